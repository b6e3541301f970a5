"""What killed runs left half done in the places of targets is undone, before anything else is done; and what a run could not put back.

A run that is killed between two renames leaves files of two generations. Whether a later run tries that target is not known: it may
pause, be configured otherwise or no more, or have no certificate now. So each run begins with putting back whatever is remembered, for every
certificate on disk. Only the work of the killed run is undone: a place that holds something else by now is somebody's, and is left alone.
It is not another certificate's, whose label had the place before or has it now: nothing is put in a place (`awaited`) where something
is still to be put back.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from acmectl.errors import AcmectlError, DeployError, StorageError
from acmectl.files import Standing, remove_leftovers, standing_at
from acmectl.follower.targets import DeployResult, Wait
from acmectl.model.memory import DeployStep
from acmectl.storage.previous_files import PreviousFiles, Remembered, digest_of

log = logging.getLogger(__name__)

_UNFINISHED = Wait(
    "a run is under way, or did not finish: its places may hold new files that no check has passed",
    "the next run puts back what stood there before, and goes on from there",
    is_failure=True,
)


def settle_all(previous: PreviousFiles) -> tuple[DeployResult, ...]:
    """Put back all that is remembered, under the lock; what could not be put back is returned, and stays remembered."""
    try:
        previous.sweep()
        labels, strays = previous.labels(), previous.strays()
    except StorageError as damaged:
        return (_unsettled("", "", damaged),)
    return (
        *(failed for label in labels for failed in _settle_label(previous, label)),
        *(_nobodys(path) for path in strays),
    )


@dataclass(frozen=True, slots=True)
class Unsettled:
    """What a killed run left at the places of one target, and the next run begins with; `wait` says so in words.

    `label` is empty for what is no certificate's, `target` for what is no single target's. `places` are as `real` writes them.
    """

    label: str
    target: str
    wait: Wait
    places: frozenset[str] = frozenset()


def unsettled(previous: PreviousFiles) -> tuple[Unsettled, ...]:
    """What `settle_all` would find, without the lock: nothing is changed."""
    try:
        labels, strays = previous.labels(), previous.strays()
    except StorageError as damaged:
        return (as_unsettled(_unsettled("", "", damaged)),)
    return (
        *(one for label in labels for one in _unsettled_of(previous, label)),
        *(as_unsettled(_nobodys(path)) for path in strays),
    )


def _unsettled_of(previous: PreviousFiles, label: str) -> Iterator[Unsettled]:
    try:
        found, damaged = previous.whole(label)
    except StorageError as error:
        yield as_unsettled(_unsettled(label, "", error))
        return
    for target, why in damaged:
        yield as_unsettled(_unsettled(label, target, why))
    for one in found:
        yield Unsettled(label, one.target, _UNFINISHED, frozenset(real(standing.path) for standing in one.standing))


def as_unsettled(failed: DeployResult) -> Unsettled:
    """What a run would say, as something that waits."""
    wait = Wait(failed.error or "", failed.hint, is_failure=True, is_left=True)
    return Unsettled(failed.label, failed.target, wait)


def settle(previous: PreviousFiles, remembered: Remembered) -> None:
    """Put back what a killed run remembered of one target, and forget it. Raises DeployError, StorageError.

    Left alone are places that hold neither what was there nor what the killed run was about to put there; only its temporary files go everywhere.
    """
    from acmectl.deploy.target import Target

    back = []
    for one, begun in zip(remembered.standing, remembered.begun, strict=True):
        now = standing_at(one.path, error=DeployError)
        if one.path.parent.is_dir():
            remove_leftovers(one.path, error=DeployError)
        if _is_ours(now, one, begun):
            back.append(one)
        else:
            log.warning("`%s` is not put back: somebody else wrote it after a run that did not finish", one.path)
    Target(digest=remembered.digest).restore(back)
    previous.forget(remembered.label, remembered.target)


def awaited(previous: PreviousFiles) -> frozenset[str]:
    """The places, as `real` writes them, where something is still to be put back. Raises StorageError."""
    return frozenset(real(path) for path in previous.places())


def real(path: Path) -> str:
    """A place by its real directory: the same for all targets that write it."""
    return str(Path(os.path.realpath(path.parent), path.name))


def _settle_label(previous: PreviousFiles, label: str) -> Iterator[DeployResult]:
    try:
        found, damaged = previous.whole(label)
    except StorageError as error:
        yield _unsettled(label, "its targets", error)
        return
    for target, why in damaged:
        yield _unsettled(label, target, why)
    for one in found:
        try:
            settle(previous, one)
        except AcmectlError as error:
            yield _unsettled(label, one.target, error)


def _is_ours(now: Standing, before: Standing, begun: str | None) -> bool:
    """Whether a place holds what stood there before, or the work of the killed run."""
    if (now.content, now.link) == (before.content, before.link):
        return True
    return now.content is not None and digest_of(now.content) == begun


def _nobodys(path: Path) -> DeployResult:
    message = f"`{path}` is nothing that acmectl keeps there"
    return DeployResult("", "", message, None, DeployStep.INSTALL, "move it elsewhere")


def _unsettled(label: str, target: str, error: AcmectlError) -> DeployResult:
    message = f"the files from before a run that did not finish could not be put back: {error.message}"
    hint = error.hint or "once it is mended, the next run puts them back"
    return DeployResult(label, target, message, None, DeployStep.INSTALL, hint)
