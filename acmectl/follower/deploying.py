"""Deployment as state: a target is behind until it holds the certificate in use and its service was seen to serve it.

A copy that was deleted or overwritten puts its target behind again. What failed is tried again by every later run, with pauses that
grow; a target whose options changed is deployed anew. All files of a run are put in place and checked first, then each service
is told once, however many certificates changed, and then all are looked at. A failure of one target leaves the
others alone; nothing is remembered as done before it is, so that a run which is killed anywhere is repeated.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from acmectl.follower import reloading, seeing, settling
from acmectl.follower.installing import Installer, rewritten
from acmectl.follower.targets import (
    Broken,
    DeployResult,
    Failures,
    Placed,
    Work,
    behind,
    changed,
    known,
    ordered,
    result_of,
)
from acmectl.model.certificates import Installed
from acmectl.model.memory import Deployment, DeployStep
from acmectl.model.names import Identifier
from acmectl.policy import deployment as policy

if TYPE_CHECKING:
    from acmectl.storage.memory import Memory
    from acmectl.storage.previous_files import PreviousFiles

__all__ = ["DeployResult", "Deployer", "Placed", "behind"]

_BEFORE_IT_PASSED = frozenset({DeployStep.INSTALL, DeployStep.CHECK})


@dataclass(frozen=True, slots=True)
class _Left:
    """What is behind, and whose pause is not over."""

    work: Work
    last: Deployment


class Deployer:
    """Brings every target of every certificate to what is in use; one instance serves one run, which holds the lock."""

    def __init__(
        self,
        memory: Memory,
        previous: PreviousFiles,
        clock: Callable[[], datetime],
        pause: Callable[[float], None],
    ) -> None:
        """`memory` keeps how far each target is, `previous` the files that go back; `pause` sleeps for seconds."""
        self._memory = memory
        self._previous = previous
        self._installer = Installer(previous)
        self._clock = clock
        self._pause = pause
        self._wanted: list[Work] = []
        self._left: list[_Left] = []

    def add(
        self,
        installed: Installed,
        directory: Path,
        targets: Sequence[Placed],
        *,
        lineage: Callable[[], Path],
        names: Iterable[Identifier] = (),
        at_once: bool = False,
        again: Collection[str] = (),
        only: bool = False,
    ) -> None:
        """Queue what is behind; `directory` holds the certificate, `names` are those of the configuration in their order.

        `lineage` makes the folder that is called as the certificate, for commands. `at_once` waits for no pause, and the targets named in
        `again` are deployed although they are not behind; with `only` no others are.
        """
        last = known(self._memory, installed.label) if targets else {}
        missing = {placed.name for placed, _ in behind(self._memory, installed, targets)} if targets else set()
        listed = ordered(names, installed.names)
        awaited = settling.awaited(self._previous)
        for placed in targets:
            if placed.name not in again and (only or placed.name not in missing):
                continue
            if self._previous.holds(installed.label, placed.name) or not awaited.isdisjoint(_places(placed)):
                continue  # the run began with saying why the files from before cannot go back
            before, subject = last.get(placed.name), {"verify": placed.target.verify_digest}
            work = Work(
                installed,
                listed,
                directory,
                lineage,
                placed,
                before,
                again=placed.name in again,
                at_once=at_once,
                changed=changed(before, placed, installed),
            )
            if at_once or work.again or policy.may_try(before, **work.subject, **subject, now=self._clock()):
                self._wanted.append(work)
            elif work.last is not None:
                self._left.append(_Left(work, work.last))

    def run(self) -> tuple[DeployResult, ...]:
        """Deploy all that was added; what failed is among the results, and what is left alone."""
        self._take_companions()
        works, left = self._wanted, self._left
        self._wanted, self._left = [], []
        saved = self._deploy(works)
        if saved:
            self._memory.save_deployments(saved)
        told = [result_of(deployment, changed=work.changed) for work, deployment in zip(works, saved, strict=True)]
        return (*(result_of(one.last, attempted=False) for one in left), *told)

    def _take_companions(self) -> None:
        """What shares a check with what is tried now is tried with it, as it may accept them only together, unless its files have passed it."""
        checks = {work.target.check for work in self._wanted} - {None}
        joined = [o for o in self._left if o.work.target.check in checks and o.last.failed_step in _BEFORE_IT_PASSED]
        self._left = [one for one in self._left if one not in joined]
        self._wanted += [one.work for one in joined]

    def _deploy(self, works: Sequence[Work]) -> list[Deployment]:
        """Do all that is to be done; what to remember of each."""
        shown, unseen = self._looked_at(works)
        doing = [work for work in works if work not in shown and work not in unseen]
        failed = self._installer.install(doing)
        failed |= reloading.reload(work for work in doing if work not in failed)
        failed |= seeing.verify([w for w in doing if w not in failed], now=self._clock, pause=self._pause)
        return [
            self._only_looked(work, unseen.get(work))
            if work in shown or work in unseen
            else self._settle(work, failed.get(work))
            for work in works
        ]

    def _looked_at(self, works: Sequence[Work]) -> tuple[Collection[Work], Failures]:
        """What was only slow to serve its certificate, and what does not although it was told often enough, or has what it was given.

        It is not reloaded, which for some means restarted, for nothing.
        """
        asked = [w for w in works if not w.again and _needs_only_a_look(w)]
        if not asked:
            return (), {}
        failed = seeing.verify(asked, now=self._clock, pause=self._pause, at_once=True)
        now = self._clock()
        unseen = {
            w: b
            for w, b in failed.items()
            if b.beyond_reload or (not w.at_once and not policy.may_reload(w.last, now=now))
        }
        return [work for work in asked if work not in failed], unseen

    def _only_looked(self, work: Work, broken: Broken | None) -> Deployment:
        """What to remember of what was neither put in place nor reloaded."""
        now, wanted = self._clock(), _wanted(work, work.target.stamp())
        if broken is not None:
            return _failed(wanted, work, broken, now)
        return policy.seen(replace(wanted, verified_at=now) if work.target.verify else wanted, work.last, now)

    def _settle(self, work: Work, broken: Broken | None) -> Deployment:
        """What to remember of what was put in place, if it is as it was put there."""
        now, stamp = self._clock(), self._installer.stamp(work)
        broken = broken or _rewritten(work, stamp)
        wanted = _wanted(work, stamp)
        wanted = replace(wanted, **_moments(work, wanted, broken, now))  # type: ignore[arg-type]  # its own fields
        if broken is None:
            return policy.deployed(wanted, now, changed=work.last if work.changed else None)
        return _failed(wanted, work, broken, now)


def _places(placed: Placed) -> frozenset[str]:
    return frozenset(settling.real(path) for path in placed.target.copies)


def _needs_only_a_look(work: Work) -> bool:
    stamp, verify = work.target.stamp(), work.target.verify_digest
    return policy.needs_only_a_look(work.last, **work.subject, stamp=stamp, verify=verify)


def _rewritten(work: Work, stamp: str) -> Broken | None:
    """Not what was put in place is what the service has, or will have after its next start."""
    target = work.target
    step = DeployStep.KEEP if target.reload_command else DeployStep.CHECK if target.check else DeployStep.INSTALL
    return rewritten(target.changed_since(stamp), step, "the reload, or another target or program,")


def _failed(wanted: Deployment, work: Work, broken: Broken, now: datetime) -> Deployment:
    return policy.failed(wanted, work.last, step=broken.step, error=broken.message, hint=broken.hint, now=now)


def _wanted(work: Work, stamp: str) -> Deployment:
    """What is wanted now, with what was installed before."""
    last = work.last
    return Deployment(
        label=work.installed.label,
        target=work.placed.name,
        digest=work.target.digest,
        generation=work.installed.generation,
        fingerprint=work.installed.fingerprint,
        copies=stamp,
        places=_still_there(last),
        verify_digest=work.target.verify_digest,
        installed_generation=last.installed_generation if last else None,
        installed_fingerprint=last.installed_fingerprint if last else None,
        installed_at=last.installed_at if last else None,
        reloaded_at=last.reloaded_at if last else None,
        verified_at=last.verified_at if last else None,
    )


def _still_there(last: Deployment | None) -> frozenset[str]:
    """Files that the target wrote when it had other options, or was another: they stay until a person removes them."""
    return frozenset(place for place in (last.places if last else ()) if os.path.lexists(place))


def _moments(work: Work, wanted: Deployment, broken: Broken | None, now: datetime) -> dict[str, object]:
    """Which steps were done just now, and with what result."""
    target, step = work.target, broken.step if broken else None
    moments: dict[str, object] = {}
    if target.copies and step not in {DeployStep.INSTALL, DeployStep.CHECK}:
        moments |= {
            "places": wanted.places | frozenset(map(str, target.written_from(work.directory))),
            "installed_generation": work.installed.generation,
            "installed_fingerprint": work.installed.fingerprint,
            "installed_at": now,
        }
    if (target.reload_command or target.run) and step in {None, DeployStep.KEEP, DeployStep.VERIFY}:
        moments["reloaded_at"] = now
    if target.verify is not None and step is None:
        moments["verified_at"] = now
    return moments
