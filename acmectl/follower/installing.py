"""New files are put in place, the service's own check looks at them, and the old ones go back if it refuses them.

Before the first rename the old files are remembered in the state directory, so that the run after one which is killed anywhere in
between can put them back (`settling`). Targets with the same check are put in place together and checked once: a service
that is configured with two files from the start accepts none of them alone. Where the check refuses them together, each is tried by
itself, so that one that is wrong does not hold back the others.
"""

from __future__ import annotations

import itertools
import logging
import os
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from acmectl import files, programs
from acmectl.errors import AcmectlError, DeployError
from acmectl.follower import environment
from acmectl.follower.targets import Broken, Failures, Work, attempt
from acmectl.model.memory import DeployStep
from acmectl.storage.previous_files import Remembered, digest_of

if TYPE_CHECKING:
    from acmectl.storage.previous_files import PreviousFiles

log = logging.getLogger(__name__)

_AS_BEFORE = "it fails with the files that were there before, too: mend the configuration of the service"


class Installer:
    """Puts files in place, and back."""

    def __init__(self, previous: PreviousFiles) -> None:
        """`previous` keeps what stood there before."""
        self._previous = previous
        self._begun: dict[Work, None] = {}  # in order
        self._stamps: dict[Work, str] = {}

    def install(self, works: Iterable[Work]) -> Failures:
        """Install and check all of it; returns what failed, whose old files are in place again. So are those of what is interrupted."""
        failed: Failures = {}
        try:
            for group in _by_check(works):
                failed |= self._together(group)
        except BaseException:  # Ctrl-C, SIGTERM: a service that starts must not find what no check has accepted
            interrupted = Broken(DeployStep.CHECK, "interrupted")
            for work in reversed([*self._begun]):
                self._undone(work, interrupted)
            raise
        return failed

    def stamp(self, work: Work) -> str:
        """The stamp of the files as they were put in place; of those that are there, where none were, or the old ones are back."""
        stamp = self._stamps.get(work)
        return work.target.stamp() if stamp is None else stamp

    def _together(self, group: Sequence[Work]) -> Failures:
        failed: Failures = {}
        for work in group:
            if broken := attempt(DeployStep.INSTALL, lambda w=work: self._put(w)):  # type: ignore[misc]
                failed[work] = self._undone(work, broken)
        placed = [work for work in group if work not in failed]
        if not placed:
            return failed
        broken = attempt(DeployStep.CHECK, lambda: _check(placed))
        if broken is None:
            return failed | self._settled(placed)
        undone = {work: self._undone(work, broken) for work in reversed(placed)}
        if broken.timed_out:  # as it would again, for each
            return failed | undone
        if len(placed) == 1:
            return failed | {work: _explained(work, refused) for work, refused in undone.items()}
        return failed | dict(itertools.chain.from_iterable(self._together([work]).items() for work in placed))

    def _put(self, work: Work) -> None:
        label, name, target = work.installed.label, work.placed.name, work.target
        if not target.copies:
            return
        new = target.made(work.directory)
        begun = {str(file.path): digest_of(file.content) for file in new}
        listed = tuple(begun.get(str(path)) for path in target.copies)
        standing = target.standing()
        files.refuse_others(standing, error=DeployError)  # before anything is changed that could not be undone
        self._previous.remember(Remembered(label, name, target.digest, standing, listed))
        self._begun[work] = None
        target.put(new)
        self._stamps[work] = target.stamp()

    def _settled(self, works: Iterable[Work]) -> Failures:
        """The new files are there to stay, unless the check changed them."""
        failed = {}
        for work in works:
            if broken := rewritten(work.target.changed_since(self.stamp(work)), DeployStep.CHECK, "the check"):
                failed[work] = self._undone(work, broken)
            elif broken := attempt(DeployStep.CHECK, lambda w=work: self._forget(w)):  # type: ignore[misc]
                failed[work] = broken
        return failed

    def _undone(self, work: Work, broken: Broken) -> Broken:
        """The same failure, with the old files in place again, or the reason why they are not."""
        self._stamps.pop(work, None)
        if work not in self._begun:
            return broken
        try:
            remembered = self._previous.of(work.installed.label, work.placed.name)
            if remembered is not None:
                work.target.restore(remembered.standing)
                self._forget(work)
        except AcmectlError as error:
            message = f"{broken.message}; and the files from before could not be put back: {error.message}"
            return Broken(broken.step, message, error.hint or broken.hint)
        return broken

    def _forget(self, work: Work) -> None:
        if work in self._begun:
            self._previous.forget(work.installed.label, work.placed.name)
            del self._begun[work]


def rewritten(places: Sequence[Path], step: DeployStep, by: str) -> Broken | None:
    """That files are not as they were put in place, in words; None where there are none."""
    if not places:
        return None
    hint = "the files of a target are acmectl's: name their owner, group and mode in its options, and let commands write elsewhere"
    return Broken(step, f"`{places[0]}` was changed or removed by {by} after it was put in place", hint)


def _by_check(works: Iterable[Work]) -> list[list[Work]]:
    """What shares a check together, and else each by itself; in the order of the first of each."""
    groups: dict[object, list[Work]] = {}
    for work in works:
        groups.setdefault(work.target.check or work, []).append(work)
    return list(groups.values())


def _check(works: Sequence[Work]) -> None:
    """Raises DeployError with the words of the service."""
    command = works[0].target.check
    if command is None:
        return
    log.info("checking: %s", shlex.join(command))
    timeout, told = max(work.target.check_timeout for work in works), environment.of_all(works)
    programs.run(command, timeout=timeout, limit="check_timeout", environment=told, error=DeployError)


def _explained(work: Work, refused: Broken) -> Broken:
    """Whether it is the new files that the service dislikes: the check is asked once more, with the old ones, if there were any."""
    if refused.timed_out or refused.hint is not None or any(not os.path.lexists(path) for path in work.target.copies):
        return refused
    if attempt(DeployStep.CHECK, lambda: _check([work])) is None:
        return refused
    return Broken(refused.step, refused.message, _AS_BEFORE)
