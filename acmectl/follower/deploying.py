"""Deployment as state: a target is behind until it holds the certificate in use and its service has read it again.

A copy that was deleted or overwritten puts its target behind again.
What failed is tried again by every later run, with growing pauses; a target whose options changed is deployed anew. Targets
with the same reload command cause one reload a run, however many certificates changed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from acmectl import programs
from acmectl.errors import AcmectlError, DeployError
from acmectl.model.certificates import Installed
from acmectl.model.memory import Deployment
from acmectl.policy import backoff

if TYPE_CHECKING:
    from acmectl.deploy.target import Target
    from acmectl.storage.memory import Memory

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Placed:
    """A configured target, and its name in messages."""

    name: str
    target: Target


@dataclass(frozen=True, slots=True)
class DeployResult:
    """What became of one target: deployed in this run, waiting for its next attempt, or failed."""

    label: str
    target: str
    error: str | None = None
    retry_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Behind:
    installed: Installed
    directory: Path
    placed: Placed
    last: Deployment | None


class Deployer:
    """Brings every target of every certificate to what is in use."""

    def __init__(self, memory: Memory, clock: Callable[[], datetime]) -> None:
        """`memory` keeps how far each target is."""
        self._memory = memory
        self._clock = clock
        self._behind: list[_Behind] = []

    def add(
        self, installed: Installed, directory: Path, targets: Sequence[Placed], *, forced: bool = False
    ) -> tuple[DeployResult, ...]:
        """Queue what is behind; returns the targets that failed and are left alone until their next attempt."""
        left_alone = []
        for placed, last in behind(self._memory, installed, targets):
            if forced or _may_try(last, placed, installed, self._clock()):
                self._behind.append(_Behind(installed, directory, placed, last))
            elif last is not None:
                left_alone.append(DeployResult(installed.label, placed.name, last.error, last.retry_at))
        return tuple(left_alone)

    def run(self) -> tuple[DeployResult, ...]:
        """Install all that was added, then reload each service once; one failure leaves the others alone."""
        installed: dict[_Behind, str | None] = {}
        for item in self._behind:
            installed[item] = _attempt(lambda i=item: i.placed.target.install(i.directory))  # type: ignore[misc]
        reloads: dict[tuple[str, ...], str | None] = {}
        for item, error in installed.items():
            command = item.placed.target.reload_command
            if error is None and command is not None and command not in reloads:
                timeout = item.placed.target.reload_timeout
                reloads[command] = _attempt(lambda c=command, t=timeout: _reload(c, t))  # type: ignore[misc]
        self._behind.clear()
        return tuple(self._settle(item, error, reloads) for item, error in installed.items())

    def _settle(self, item: _Behind, error: str | None, reloads: Mapping[tuple[str, ...], str | None]) -> DeployResult:
        command = item.placed.target.reload_command
        error = error or (reloads.get(command) if command else None)
        now = self._clock()
        same = item.last is not None and item.last.digest == item.placed.target.digest
        attempts = (item.last.attempts if item.last and same else 0) + 1 if error else 0
        deployment = Deployment(
            label=item.installed.label,
            target=item.placed.name,
            digest=item.placed.target.digest,
            generation=item.installed.generation,
            fingerprint=item.installed.fingerprint,
            copies=item.placed.target.stamp(),  # after the reload, which is free to rewrite what it reads
            deployed_at=None if error else now,
            attempts=attempts,
            retry_at=now + backoff.pause_after(attempts) if error else None,
            error=error,
        )
        self._memory.save_deployment(deployment)
        return DeployResult(item.installed.label, item.placed.name, error, deployment.retry_at)


def behind(
    memory: Memory, installed: Installed, targets: Sequence[Placed]
) -> tuple[tuple[Placed, Deployment | None], ...]:
    """The targets that do not hold `installed`, or whose service has not read it, with what is remembered of each."""
    known = {d.target: d for d in memory.deployments(installed.label)}
    return tuple((p, known.get(p.name)) for p in targets if not _is_done(known.get(p.name), p, installed))


def _may_try(last: Deployment | None, placed: Placed, installed: Installed, now: datetime) -> bool:
    """Whether nothing is known to be wrong with just this, or its pause is over."""
    if last is None or (last.digest, last.fingerprint) != (placed.target.digest, installed.fingerprint):
        return True
    return last.retry_at is None or last.retry_at <= now


def _is_done(last: Deployment | None, placed: Placed, installed: Installed) -> bool:
    return (
        last is not None
        and last.error is None
        and last.digest == placed.target.digest
        and last.fingerprint == installed.fingerprint
        and last.copies == placed.target.stamp()
    )


def _reload(command: tuple[str, ...], timeout: timedelta) -> None:
    log.info("reloading: %s", " ".join(command))
    programs.run(command, timeout=timeout, error=DeployError)


def _attempt(work: Callable[[], None]) -> str | None:
    try:
        work()
    except AcmectlError as error:
        return error.message if error.hint is None else f"{error.message} ({error.hint})"
    return None
