"""Whatever happens, in whatever order: what a master must never do, and what it must always do in the end."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from acmectl.errors import SolverError
from acmectl.master import MasterReport, Outcome
from acmectl.model.names import Identifier
from acmectl.model.orders import AuthorizationStatus
from acmectl.solvers.base import Capabilities, Failures, Response
from tests.stories.world import DAY, HOUR, MINUTE, TODAY, Host, World, lifetimes, memory

POOL = tuple(f"{host}.{zone}.test" for zone in ("one", "two", "three") for host in ("a", "b"))
NEW_ORDERS = 9


class Recorder:
    """A solver that writes down what was published and seen, and fails when the world's DNS is down."""

    capabilities = Capabilities(challenge_types=("http-01",), wildcard=False)

    def __init__(self) -> None:
        self.is_down = False
        self.seen_tokens: set[str] = set()
        self.published: set[str] = set()
        self.probed: set[str] = set()

    def publish(self, responses: Sequence[Response]) -> Failures:
        if self.is_down:
            return {r: SolverError("the name server is down") for r in responses}
        self.published |= {r.token for r in responses}
        return {}

    def seen(self, responses: Sequence[Response]) -> Failures:
        there = [r for r in responses if r.token in self.published]
        self.seen_tokens |= {r.token for r in there}
        self.probed |= {r.identifier.value for r in there if r.token.startswith("acmectl-probe-")}
        return {}

    def remove(self, responses: Sequence[Response]) -> Failures:
        self.published -= {r.token for r in responses}
        return {}


class MasterMachine(RuleBasedStateMachine):
    """One master at a CA that trusts; the recorder knows what the CA would have found."""

    @initialize(
        reuse=st.sampled_from([7 * HOUR, 3 * DAY, 10 * DAY, 30 * DAY]),
        every=st.sampled_from([HOUR, 6 * HOUR, DAY]),
        names=st.sets(st.sampled_from(POOL), min_size=1),
    )
    def begin(self, reuse: timedelta, every: timedelta, names: set[str]) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="acmectl-machine-", dir=memory()))
        self.world = World(self.directory, start=TODAY, is_trusting=True, overrides={"classic": lifetimes(reuse)})
        self.world.on_request = self.watch
        self.every = every
        self.names = set(names)
        self.recorder = Recorder()
        self.unseen: list[str] = []
        self.orders: list[datetime] = []
        self.unprobed: list[str] = []
        self.master: Host = self.world.master(*sorted(names), every=every, extra=f"new_orders: {NEW_ORDERS}, ")

    # -- what happens

    @rule()
    def run(self) -> None:
        """Cron's next run."""
        self.step()

    @rule(count=st.integers(2, 30))
    def time_passes_with_runs(self, count: int) -> None:
        for _ in range(count):
            self.world.clock.advance(self.every)
            self.step()

    @rule(late=st.integers(0, 3), is_down=st.booleans())
    def runs_go_on_until_something_is_due(self, late: int, is_down: bool) -> None:  # noqa: FBT001  # hypothesis passes it by name
        """As cron would, but without the runs that find nothing to do."""
        self.recorder.is_down = is_down
        host = self.master.app()
        try:
            moments = [d.at for d in host.master().plan(host.wanted).decisions if d.at is not None]
        finally:
            host.state.close()
        if moments:
            self.world.clock.set(max(self.world.now, min(moments) + late * self.every / 4))
        self.step()

    @rule(times=st.integers(1, NEW_ORDERS + 3))
    def a_person_insists(self, times: int) -> None:
        for _ in range(times):
            self.step(forced=frozenset(Identifier(name) for name in self.names))

    @rule(hours=st.integers(1, 24 * 12))
    def nobody_runs_it(self, hours: int) -> None:
        self.world.clock.advance(hours * HOUR)

    @rule(is_down=st.booleans())
    def the_name_server_changes(self, is_down: bool) -> None:  # noqa: FBT001  # hypothesis passes it by name
        self.recorder.is_down = is_down

    @rule(name=st.sampled_from(POOL), fails=st.booleans())
    def the_ca_cannot_see_a_name(self, name: str, fails: bool) -> None:  # noqa: FBT001  # as above
        self.world.cannot_see(name, fails=fails)

    @rule(name=st.sampled_from(POOL))
    def the_ca_revokes_a_name(self, name: str) -> None:
        self.world.sandbox.authority.set_status([name], AuthorizationStatus.REVOKED)

    @rule()
    def the_ca_forgets(self) -> None:
        self.world.forget()

    @rule(names=st.sets(st.sampled_from(POOL), min_size=1))
    def a_person_changes_the_names(self, names: set[str]) -> None:
        before, after = _yaml(self.names), _yaml(names)
        self.master.rewrite(lambda text: text.replace(before, after))
        self.names = set(names)

    # -- how it is watched

    def step(self, **options: Any) -> MasterReport:
        self.recorder.probed.clear()
        before = {a.id for a in self.world.authorizations() if a.deactivated_at}
        report = self.master.run(solver=self.recorder, **options)
        given_up = [a for a in self.world.authorizations() if a.deactivated_at and a.id not in before]
        self.unprobed += [a.identifier.value for a in given_up if a.identifier.value not in self.recorder.probed]
        self.orders += [self.world.now] * report.requests["newOrder"]
        return report

    def watch(self, line: str) -> None:
        if "/acme/challenge/" not in line:
            return
        answered = int(line.split("/acme/challenge/")[1].split("/", maxsplit=1)[0])
        challenges = self.world.sandbox.authority.state.store.authorizations[answered].challenges
        if not {c.token for c in challenges} & self.recorder.seen_tokens:
            self.unseen.append(line)

    # -- what must hold

    @invariant()
    def no_challenge_is_answered_that_was_not_seen_published(self) -> None:
        assert self.unseen == []

    @invariant()
    def nothing_stays_published(self) -> None:
        assert self.recorder.published == set()

    @invariant()
    def nothing_is_finalized(self) -> None:
        assert self.world.sandbox.counts["finalize"] == 0

    @invariant()
    def the_limit_of_orders_is_kept(self) -> None:
        window = [at for at in self.orders if at > self.world.now - 3 * HOUR]
        assert len(window) <= NEW_ORDERS

    @invariant()
    def nothing_valid_is_deactivated_without_a_preflight_of_its_name_in_that_run(self) -> None:
        assert self.unprobed == []

    def teardown(self) -> None:
        """When the CA and the DNS work, every name is authorized in the end."""
        if not hasattr(self, "world"):
            return
        try:
            self.recorder.is_down = False
            self.world.sandbox.authority.state.injections.failing.clear()
            self.step(verify=True)
            for _ in range(3):
                self.world.clock.advance(DAY + MINUTE)
                report = self.step(verify=True)
            assert {r.outcome for r in report.results} <= {Outcome.PROVEN, Outcome.FOUND, Outcome.KEPT}
            assert all(self.is_valid(name) for name in self.names)
        finally:
            self.world.__exit__(None, None, None)
            shutil.rmtree(self.directory)

    def is_valid(self, name: str) -> bool:
        state = self.world.sandbox.authority.state
        return any(
            a.identifier.value == name and state.authorization_status(a, self.world.now) is AuthorizationStatus.VALID
            for a in self.world.authorizations()
        )


def _yaml(names: set[str]) -> str:
    listed = ", ".join(f'"{name}"' for name in sorted(names))
    return f"names: [{listed}]"


TestMasterMachine = MasterMachine.TestCase
TestMasterMachine.settings = settings(
    max_examples=15,
    stateful_step_count=12,
    deadline=None,
    phases=(Phase.reuse, Phase.generate),  # to shrink a failure takes minutes
    suppress_health_check=list(HealthCheck),
)
