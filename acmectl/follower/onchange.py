"""The commands of `onchange`: what is run after a certificate was deployed, and what is run once after all of them.

They are deployments themselves: remembered when they worked, and tried again until they do. What they were run for is remembered
with them (`Deployment.copies`), and not that something happened in a run: one that is killed just before them takes
nothing from the next. A certificate's commands wait until all its targets have it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shlex
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
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

_Told = Callable[[], Mapping[str, str]]
"""Makes what a command is told: where that cannot be done the command has failed, and nothing else."""


def missing(
    memory: Memory, installed: Installed, targets: Sequence[Placed], commands: Sequence[Placed]
) -> tuple[tuple[Placed, Deployment | None], ...]:
    """The commands of a certificate that were not run since it was deployed, with what is remembered of each."""
    last = known(memory, installed.label) if commands else {}
    stamp = _since(last, targets)
    found = ((placed, last.get(placed.name)) for placed in commands)
    return tuple(
        (p, d) for p, d in found if not policy.is_deployed(d, **_subject(p, installed.fingerprint), stamp=stamp)
    )


class OnChange:
    """Runs commands after deployments; one instance serves one run, which holds the lock."""

    def __init__(self, memory: Memory, clock: Callable[[], datetime], *, at_once: bool = False) -> None:
        """`memory` keeps what each command was run for; `at_once` waits for no pause."""
        self._memory = memory
        self._clock = clock
        self._at_once = at_once

    def after(
        self, wanted: Sequence[Work], targets: Sequence[Placed], *, again: Collection[str] = ()
    ) -> tuple[DeployResult, ...]:
        """Run the commands of one certificate (each a work) that are missing, or named in `again`, unless one of its targets is behind."""
        if not wanted:
            return ()
        installed = wanted[0].installed
        if behind(self._memory, installed, targets):
            return ()
        lacking = {placed.name for placed, _ in missing(self._memory, installed, targets, [w.placed for w in wanted])}
        stamp = _since(known(self._memory, installed.label), targets)
        return tuple(
            self._run(work.placed, work.last, partial(environment.of_one, work), _for(work, stamp), kept=stamp)
            for work in wanted
            if work.placed.name in lacking or work.placed.name in again
        )

    def begin(self, installed: Callable[[], Iterable[Installed]], commands: Sequence[Placed]) -> None:
        """Before anything is issued or deployed: what was done before a command was configured is nothing to run it for.

        `installed` are all certificates in use.
        """
        last = known(self._memory, OF_ALL) if commands else {}
        if new := [placed for placed in commands if placed.name not in last]:
            states = _text({one.label: self._state(one) for one in installed()})
            self._memory.save_deployments(Deployment(OF_ALL, p.name, p.target.digest, 0, "", states) for p in new)

    def after_all(
        self, in_use: Mapping[str, tuple[Installed, Sequence[Placed]]], commands: Sequence[Placed]
    ) -> tuple[DeployResult, ...]:
        """Run what is to be run once, if any of these certificates was issued or deployed since it last was."""
        last = known(self._memory, OF_ALL) if commands else {}
        done = []
        for placed in commands:
            before, now = _told(last.get(placed.name)), self._states(in_use)
            changed = [label for label, state in now.items() if before.get(label) != state]
            if changed:
                done.append(self._run_once(placed, last.get(placed.name), changed, before, {**before, **now}))
        return tuple(done)

    def _run_once(
        self,
        placed: Placed,
        last: Deployment | None,
        changed: Sequence[str],
        before: Mapping[str, str],
        now: Mapping[str, str],
    ) -> DeployResult:
        wanted = _text(now)
        fingerprint = hashlib.sha256(wanted.encode("ascii")).hexdigest()
        deployment = Deployment(OF_ALL, placed.name, placed.target.digest, 0, fingerprint, wanted)
        labels = dict.fromkeys(label.partition(KIND)[0] for label in changed)
        hint = f"once it is mended, `acmectl follower run {' '.join(labels)}` tries again at once"
        return self._run(
            placed, last, partial(environment.of_labels, changed), deployment, kept=_text(before), hint=hint
        )

    def _run(
        self,
        placed: Placed,
        last: Deployment | None,
        told: _Told,
        wanted: Deployment,
        *,
        kept: str,
        hint: str | None = None,
    ) -> DeployResult:
        """Run one command; `kept` is what it was run for until now, which a failure does not change. `hint` is for a failure that has none."""
        subject = {"digest": wanted.digest, "fingerprint": wanted.fingerprint}
        if last is not None and not self._at_once and not policy.may_try(last, **subject, now=self._clock()):
            return result_of(last, attempted=False)
        broken = attempt(DeployStep.RUN, lambda: _run(placed, told))
        if broken is not None and broken.hint is None:
            broken = replace(broken, hint=hint)
        deployment = self._settled(wanted, last, broken, kept)
        self._memory.save_deployment(deployment)
        return result_of(deployment)

    def _settled(self, wanted: Deployment, last: Deployment | None, broken: Broken | None, kept: str) -> Deployment:
        now = self._clock()
        if broken is None:
            return policy.deployed(replace(wanted, reloaded_at=now), now)
        unchanged = replace(wanted, copies=kept, reloaded_at=last.reloaded_at if last else None)
        return policy.failed(unchanged, last, step=broken.step, error=broken.message, hint=broken.hint, now=now)

    def _states(self, in_use: Mapping[str, tuple[Installed, Sequence[Placed]]]) -> dict[str, str]:
        return {
            label: f"{installed.fingerprint} {_since(known(self._memory, label), targets)}"
            for label, (installed, targets) in in_use.items()
        }

    def _state(self, installed: Installed) -> str:
        """The same of a certificate whose targets are all that are remembered."""
        targets = [d for d in self._memory.deployments(installed.label) if not d.target.startswith("onchange[")]
        return f"{installed.fingerprint} {_latest(targets)}"


def _told(last: Deployment | None) -> dict[str, str]:
    """What a command was run for: the state of each certificate then."""
    return {str(label): str(state) for label, state in json.loads(last.copies).items()} if last else {}


def _since(last: Mapping[str, Deployment], targets: Sequence[Placed]) -> str:
    """When the last of these targets was deployed; empty where there is none."""
    return _latest(last[placed.name] for placed in targets if placed.name in last)


def _latest(deployments: Iterable[Deployment]) -> str:
    return max((d.deployed_at.isoformat() for d in deployments if d.deployed_at is not None), default="")


def _subject(placed: Placed, fingerprint: str) -> dict[str, str]:
    return {"digest": placed.target.digest, "fingerprint": fingerprint}


def _for(work: Work, stamp: str) -> Deployment:
    have, target = work.installed, work.target
    return Deployment(have.label, work.placed.name, target.digest, have.generation, have.fingerprint, stamp)


def _text(states: Mapping[str, str]) -> str:
    return json.dumps(states, sort_keys=True)


def _run(placed: Placed, told: _Told) -> None:
    command = placed.target.run
    assert command is not None  # noqa: S101  # it is all that such a target has
    log.info("running: %s", shlex.join(command))
    programs.run(
        command,
        timeout=placed.target.run_timeout,
        environment={**told(), "ACMECTL_TARGET": placed.name},
        error=DeployError,
    )
