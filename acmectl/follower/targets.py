"""What is to be deployed: targets as configured, which of them are behind, and what went wrong with one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from acmectl.errors import AcmectlError
from acmectl.model.certificates import Installed
from acmectl.model.memory import Deployment, DeployStep
from acmectl.model.names import Identifier
from acmectl.policy import deployment as policy

if TYPE_CHECKING:
    from acmectl.deploy.target import Target
    from acmectl.storage.memory import Memory


@dataclass(frozen=True, slots=True)
class Placed:
    """A configured target, and its name in messages."""

    name: str
    target: Target


@dataclass(frozen=True, slots=True)
class DeployResult:
    """What became of one target: deployed in this run, failed, or left alone until `retry_at` (`attempted` is False).

    `label` is empty for what is run once for all certificates. `changed` says that somebody had changed the files since the last time.
    """

    label: str
    target: str
    error: str | None = None
    retry_at: datetime | None = None
    step: DeployStep | None = None
    hint: str | None = None
    attempts: int = 0
    attempted: bool = True
    changed: bool = False


@dataclass(frozen=True, slots=True)
class Wait:
    """Why a target, or a command, does not have its certificate, where that is no failure of its own.

    `is_failure` says that a run which finds it so fails, or has still to be made, `is_left` that a run leaves it as it is.
    """

    reason: str
    hint: str | None = None
    is_failure: bool = False
    is_left: bool = False


@dataclass(frozen=True, slots=True)
class Broken:
    """Where a deployment ended, and in whose words.

    `timed_out` says that a command did not end by itself, `beyond_reload` that the service has what it was given.
    """

    step: DeployStep
    message: str
    hint: str | None = None
    timed_out: bool = False
    beyond_reload: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Work:
    """One target that is to get one certificate, which lies in `directory`; `names` are in the order in which people wrote them.

    `lineage` makes and returns the folder that is called as the certificate; it raises StorageError. `again` says that a person wants all of
    it done, whatever is remembered, `at_once` that no pause counts, `changed` that somebody changed its files since it was deployed.
    """

    installed: Installed
    names: tuple[Identifier, ...]
    directory: Path
    lineage: Callable[[], Path]
    placed: Placed
    last: Deployment | None
    again: bool = False
    at_once: bool = False
    changed: bool = False

    @property
    def target(self) -> Target:
        """What the service gets."""
        return self.placed.target

    @property
    def subject(self) -> dict[str, str]:
        """What the policy compares with what is remembered: the certificate and the options."""
        return {"digest": self.target.digest, "fingerprint": self.installed.fingerprint}


Failures = dict[Work, Broken]

CHANGED_AGAIN = "somebody changed its files again each time after they were deployed"
_WHO = "find out what else writes them: a command of the target, another program, or another target"


def attempt(step: DeployStep, doing: Callable[[], object]) -> Broken | None:
    """Do it; what failed is a value, so that one target leaves the others alone."""
    try:
        doing()
    except AcmectlError as error:
        return Broken(step, error.message, error.hint, isinstance(error.__cause__, TimeoutError))
    return None


def known(memory: Memory, label: str) -> dict[str, Deployment]:
    """What is remembered of the targets of a certificate, by name."""
    return {deployment.target: deployment for deployment in memory.deployments(label)}


def behind(
    memory: Memory, installed: Installed, targets: Sequence[Placed]
) -> tuple[tuple[Placed, Deployment | None], ...]:
    """The targets that do not hold `installed`, or whose service does not serve it, with what is remembered of each."""
    last = known(memory, installed.label) if targets else {}
    return tuple((p, last.get(p.name)) for p in targets if not _is_deployed(last.get(p.name), p, installed))


def _is_deployed(last: Deployment | None, placed: Placed, installed: Installed) -> bool:
    target = placed.target
    return policy.is_deployed(
        last,
        digest=target.digest,
        fingerprint=installed.fingerprint,
        stamp=target.stamp(),
        verify=target.verify_digest,
    )


def changed(last: Deployment | None, placed: Placed, installed: Installed) -> bool:
    """Whether the target had `installed`, and somebody changed or removed its files since."""
    target = placed.target
    subject = {"digest": target.digest, "fingerprint": installed.fingerprint}
    if last is None or not policy.was_changed(last, **subject, stamp=target.stamp()):
        return False
    return bool(target.changed_since(last.copies))  # and not only the passphrase


def result_of(deployment: Deployment, *, attempted: bool = True, changed: bool = False) -> DeployResult:
    """What to tell of a deployment; one that pauses without an error does so because its files are changed again and again."""
    error, hint, attempts = deployment.error, deployment.hint, deployment.attempts
    if error is None and not attempted:
        error, hint, attempts = CHANGED_AGAIN, _WHO, deployment.changes
    return DeployResult(
        deployment.label,
        deployment.target,
        error,
        deployment.retry_at,
        deployment.failed_step,
        hint,
        attempts,
        attempted,
        changed,
    )


def last_of_each(before: Iterable[DeployResult], after: Iterable[DeployResult]) -> tuple[DeployResult, ...]:
    """What became of each target in two rounds of one run: what was done last, and not that it was left alone then."""
    told = {(result.label, result.target): result for result in before}
    for result in after:
        if result.attempted or (result.label, result.target) not in told:
            told[result.label, result.target] = result
    return tuple(told.values())


def ordered(names: Iterable[Identifier], certified: Iterable[Identifier]) -> tuple[Identifier, ...]:
    """The names of a certificate in the order of the configuration, and then those that the configuration does not have."""
    present = frozenset(certified)
    listed = tuple(name for name in names if name in present)
    return (*listed, *sorted(present.difference(listed)))
