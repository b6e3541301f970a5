"""The commands of `onchange`: what is run after a certificate was deployed, and what is run once after all of them.

The rule: a command is owed a run whenever one of its certificates was issued, or deployed to one of its targets, since the command last ran
well. What was done before it was configured counts for the commands of a certificate, which it needs as it needs its targets, and not for
those that are run once for all; but one of these that takes the place of another is owed what that one was.

So what had been done when a command last ran well is remembered with it (`Deployment.copies`): which certificate was in use, and when each
target was deployed the last time. What is done now and not among that, it is owed a run for: a run that is killed takes
nothing from the next, a target that is taken out is nothing that was done, and no clock is compared with another. A failure takes
what the command was run for out of that. A command is known by its words, wherever it stands in its list. A certificate's commands wait
until all its targets have it.
"""

from __future__ import annotations

import hashlib
import logging
import shlex
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from acmectl import programs
from acmectl.errors import DeployError
from acmectl.follower import environment
from acmectl.follower.targets import Broken, DeployResult, Placed, Work, attempt, behind, known, result_of
from acmectl.model.certificates import KIND
from acmectl.model.memory import Deployment, DeployStep
from acmectl.policy import deployment as policy

if TYPE_CHECKING:
    from acmectl.model.certificates import Installed
    from acmectl.storage.memory import Memory


log = logging.getLogger(__name__)

OF_ALL = ""
"""The label of what is run once for all certificates: no certificate has it."""

_KEY = "onchange "

_Done = frozenset[str]
"""What was done of a certificate, a line each: `LABEL FINGERPRINT` for what is in use, `LABEL TARGET MOMENT` for each target."""


@dataclass(frozen=True, slots=True)
class Once:
    """What is remembered of a command that is run once for all, and whether it is owed a run."""

    deployment: Deployment
    is_owed: bool


@dataclass(frozen=True, slots=True)
class _Due:
    """A command that is to be run for what was done; `told` makes what it is told, `hint` is for a failure that has none.

    `fingerprint` is of what it is run for: another one begins to count failures anew.
    """

    placed: Placed
    last: Deployment | None
    done: Sequence[_Done]
    told: Callable[[], Mapping[str, str]]
    label: str = OF_ALL
    generation: int = 0
    fingerprint: str = ""
    hint: str | None = None


def key_of(command: Placed) -> str:
    """What a command is remembered by, in place of a target's name: its words, as its place in the list can change."""
    return f"{_KEY}{command.target.digest}"


def is_key(target: str) -> bool:
    """Whether something that is remembered is a command, and no target."""
    return target.startswith(_KEY)


def remembered(memory: Memory, label: str, commands: Sequence[Placed]) -> dict[str, Deployment]:
    """What is remembered of these commands of a certificate, or of `OF_ALL`, by their names now."""
    found = known(memory, label) if commands else {}
    return {p.name: replace(found[key_of(p)], target=p.name) for p in commands if key_of(p) in found}


def missing(
    memory: Memory, installed: Installed, commands: Sequence[Placed]
) -> tuple[tuple[Placed, Deployment | None], ...]:
    """The commands of a certificate that are owed a run, with what is remembered of each."""
    if not commands:
        return ()
    last, done = remembered(memory, installed.label, commands), _done(memory, installed)
    return tuple((p, last.get(p.name)) for p in commands if _owed(last.get(p.name), [done]))


def once(memory: Memory, in_use: Iterable[Installed], commands: Sequence[Placed]) -> tuple[Once, ...]:
    """How the commands stand that are run once for all; `in_use` are all certificates of the configuration.

    A failure is none any more where all that it was for is configured no more.
    """
    last = remembered(memory, OF_ALL, commands)
    done = [_done(memory, one) for one in in_use] if last else []
    standing = ((last[p.name], bool(_owed(last[p.name], done))) for p in commands if p.name in last)
    return tuple(Once(one if is_owed else policy.without_failure(one), is_owed) for one, is_owed in standing)


class OnChange:
    """Runs commands after deployments; one instance serves one run, which holds the lock."""

    def __init__(self, memory: Memory, clock: Callable[[], datetime], *, at_once: bool = False) -> None:
        """`memory` keeps what each command was run for; `at_once` waits for no pause."""
        self._memory = memory
        self._clock = clock
        self._at_once = at_once

    def begin(self, installed: Callable[[], Iterable[Installed]], commands: Sequence[Placed]) -> None:
        """Before anything is issued or deployed: remember what new ones of the commands that are run once are not owed, and forget former ones.

        `installed` are all certificates in use.
        """
        last, present = known(self._memory, OF_ALL), {key_of(placed): placed for placed in commands}
        former = [deployment for key, deployment in last.items() if key not in present]
        new = {key: placed for key, placed in present.items() if key not in last}
        if new:
            before = _text(_lines(_done(self._memory, one) for one in installed()).intersection(*map(_before, former)))
            self._memory.save_deployments(Deployment(OF_ALL, k, p.target.digest, 0, "", before) for k, p in new.items())
        for deployment in former:
            self._memory.forget_deployment(OF_ALL, deployment.target)

    def after(
        self, wanted: Sequence[Work], targets: Sequence[Placed], *, again: Collection[str] = ()
    ) -> tuple[DeployResult, ...]:
        """Run the commands of one certificate (each a work) that are owed a run, or named in `again`, unless one of its targets is behind."""
        if not wanted or behind(self._memory, wanted[0].installed, targets):
            return ()
        done = _done(self._memory, wanted[0].installed)
        return tuple(
            self._run(_for_one(work, done)) for work in wanted if work.placed.name in again or _owed(work.last, [done])
        )

    def after_all(self, in_use: Iterable[Installed], commands: Sequence[Placed]) -> tuple[DeployResult, ...]:
        """Run what is to be run once, and is owed a run for any of these certificates."""
        last = remembered(self._memory, OF_ALL, commands)
        done = [_done(self._memory, one) for one in in_use] if last else []
        found = [(p, last[p.name], _owed(last[p.name], done)) for p in commands if p.name in last]
        return tuple(self._run(_for_all(placed, before, owed)) for placed, before, owed in found if owed)

    def _run(self, due: _Due) -> DeployResult:
        digest = due.placed.target.digest
        wanted = Deployment(due.label, due.placed.name, digest, due.generation, due.fingerprint, "")
        subject = {"digest": digest, "fingerprint": due.fingerprint}
        if due.last is not None and not self._at_once and not policy.may_try(due.last, **subject, now=self._clock()):
            return result_of(due.last, attempted=False)
        deployment = self._settled(wanted, due, attempt(DeployStep.RUN, lambda: _run(due)))
        self._memory.save_deployment(replace(deployment, target=key_of(due.placed)))
        return result_of(deployment)

    def _settled(self, wanted: Deployment, due: _Due, broken: Broken | None) -> Deployment:
        now, before = self._clock(), _before(due.last)
        if broken is None:
            labels = {_label(line) for line in _lines(due.done)}
            others = frozenset(line for line in before if _label(line) not in labels)
            return policy.deployed(replace(wanted, copies=_text(others | _lines(due.done)), reloaded_at=now), now)
        left = _text(before - _lines(due.done))
        undone = replace(wanted, copies=left, reloaded_at=due.last.reloaded_at if due.last else None)
        hint = broken.hint or due.hint
        return policy.failed(undone, due.last, step=broken.step, error=broken.message, hint=hint, now=now)


def _done(memory: Memory, installed: Installed) -> _Done:
    """What was done of a certificate; also for targets that are none any more."""
    label = installed.label
    deployments = ((d.target, d.deployed_at) for d in memory.deployments(label) if not is_key(d.target))
    moments = {f"{label} {target} {at.isoformat(timespec='microseconds')}" for target, at in deployments if at}
    return frozenset({f"{label} {installed.fingerprint}"} | moments)


def _owed(last: Deployment | None, done: Iterable[_Done]) -> tuple[_Done, ...]:
    """What of that, of each certificate, a command is owed a run for."""
    before = _before(last)
    return tuple(one for one in done if not one <= before)


def _before(last: Deployment | None) -> frozenset[str]:
    """What had been done when a command last ran well."""
    return frozenset(last.copies.splitlines() if last else ())


def _lines(several: Iterable[_Done]) -> frozenset[str]:
    return frozenset().union(*several)


def _label(line: str) -> str:
    return line.partition(" ")[0]


def _text(lines: Iterable[str]) -> str:
    return "\n".join(sorted(lines))


def _for_one(work: Work, done: _Done) -> _Due:
    have, told = work.installed, partial(environment.of_one, work)
    return _Due(work.placed, work.last, [done], told, have.label, have.generation, have.fingerprint)


def _for_all(placed: Placed, last: Deployment, owed: Sequence[_Done]) -> _Due:
    labels = [_label(next(iter(done))) for done in owed]
    configured = " ".join(dict.fromkeys(label.partition(KIND)[0] for label in labels))
    fingerprint = hashlib.sha256(_text(_lines(owed)).encode("utf-8")).hexdigest()
    hint = f"once it is mended, `acmectl follower run {configured}` tries again at once"
    return _Due(placed, last, owed, partial(environment.of_labels, labels), fingerprint=fingerprint, hint=hint)


def _run(due: _Due) -> None:
    command = due.placed.target.run
    assert command is not None  # noqa: S101  # it is all that such a target has
    log.info("running: %s", shlex.join(command))
    programs.run(
        command,
        timeout=due.placed.target.run_timeout,
        limit="onchange_timeout",
        environment={**due.told(), "ACMECTL_TARGET": due.placed.name},
        error=DeployError,
    )
