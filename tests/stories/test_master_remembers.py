"""What a master knows of its authorizations when the CA says little, time passes, or a run is killed in the middle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from acmectl.errors import Problem, SolverError
from acmectl.master import Found, Outcome
from acmectl.master.report import Forgotten
from acmectl.model.memory import Failure, RememberedAuthorization
from acmectl.model.names import Identifier
from acmectl.model.orders import AuthorizationStatus
from acmectl.sandbox.rules import Lifetimes
from acmectl.solvers.base import Capabilities, Response
from tests.stories.world import DAY, HOUR, MINUTE, Host, World

NAMES = ("a.acme.test", "b.acme.test", "c.acme.test")
SHORT = Lifetimes(reuse=7 * HOUR, order_lifetime=8 * HOUR, pending_lifetime=HOUR)


def remembered(host: Host) -> dict[str, RememberedAuthorization]:
    """The latest authorization of each name."""
    app = host.app()
    try:
        return {a.identifier.value: a for a in app.state.memory.authorizations()}
    finally:
        app.state.close()


def failures(host: Host) -> Mapping[str, Failure]:
    app = host.app()
    try:
        return app.state.memory.failures("name")
    finally:
        app.state.close()


# -- a CA that does not say when it validated


def silent_about_validation(world: World) -> None:
    """No `validated` on challenges (RFC 8555 section 7.1.5 makes it optional until it is valid, and some CAs never send it)."""
    authorizing: Any = world.sandbox.authority.authorizing
    settle = authorizing.settle

    def settle_silently(authorization: Any, challenge: Any, problem: Any) -> None:
        settle(authorization, challenge, problem)
        challenge.validated_at = None

    authorizing.settle = settle_silently


def test_a_ca_that_does_not_say_when_it_validated_is_asked_no_more_often(tmp_path: Path) -> None:
    with World(tmp_path, overrides={"": SHORT}, rules="pebble", reuse_percent=100) as world:
        silent_about_validation(world)
        master = world.master(*NAMES)
        world.play(world.every(HOUR, master.run), until=world.now + DAY)
        truth = {a.identifier.value: a.expires_at for a in world.authorizations()}
        for name, known in remembered(master).items():
            assert known.lifetime is not None
            assert abs(known.lifetime - 7 * HOUR) < MINUTE
            assert known.expires_at is not None
            assert known.expires_at <= truth[name], "never later than the truth"
            assert truth[name] - known.expires_at < MINUTE
        assert master.costs.requests["challenge"] <= len(NAMES) * 6


# -- what ends in its time


def test_an_authorization_that_lived_its_time_is_lapsed_and_not_lost(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        master = world.master(*NAMES[:2], refresh="lapse")
        master.run()
        world.clock.advance(30 * DAY + HOUR)
        report = master.run(verify=True)
        assert {one.found for one in report.looked} == {Found.LAPSED}
        assert all(one.words.startswith("it ended at ") for one in report.looked)
        assert [r.outcome for r in report.results] == [Outcome.PROVEN] * 2


# -- runs that are killed


class Killed(BaseException):
    """The process is gone."""


class Deadly:
    """A solver that proves at a CA that trusts; the run ends when it is to publish for `victim` (a probe is harmless)."""

    capabilities = Capabilities(("http-01",), wildcard=False)

    def __init__(self, victim: str) -> None:
        self.victim = victim

    def publish(self, responses: Sequence[Response]) -> Mapping[Response, SolverError]:
        if any(r.identifier.value == self.victim and not r.token.startswith("acmectl-probe-") for r in responses):
            raise Killed
        return {}

    def seen(self, _: Sequence[Response]) -> Mapping[Response, SolverError]:
        return {}

    def remove(self, _: Sequence[Response]) -> Mapping[Response, SolverError]:
        return {}


def test_what_a_killed_run_had_proven_and_failed_is_remembered(tmp_path: Path) -> None:
    """The canary is `a`, the others come after it; `z` is of another zone, and fails."""
    names = (*NAMES, "z.other.test")
    with World(tmp_path, is_trusting=True) as world:
        master = world.master(*names)
        master.run()
        old = remembered(master)
        world.clock.advance(29 * DAY + 2 * HOUR)
        world.sandbox.authority.state.injections.failing["z.other.test"] = Problem("dns", "SERVFAIL", 400)
        with pytest.raises(Killed):
            master.run(solver=Deadly(NAMES[1]))
        app = master.app()
        known = app.state.memory.authorizations()
        app.state.close()
        new = [a for a in known if a.identifier.value == NAMES[0] and a.status is AuthorizationStatus.VALID]
        assert [a.url != old[NAMES[0]].url for a in new] == [True], "the canary's success"
        assert [f.count for f in failures(master).values()] == [1], "the failure of the other zone"


def test_what_a_killed_run_was_about_to_give_up_can_still_be_forgotten_at_the_ca(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        master = world.master(*NAMES)
        master.run()
        app = master.app()
        about = [a for a in app.state.memory.authorizations() if a.identifier.value == NAMES[0]]
        app.master()._books.giving_up(about, world.now)  # and then it was killed
        app.state.close()
        assert world.is_usable(NAMES[0])
        assert [(one.authorization.identifier.value, one.error) for one in forget(master, NAMES[0])] == [
            (NAMES[0], None)
        ]
        assert not world.is_usable(NAMES[0])


def test_what_the_ca_ended_by_itself_is_forgotten_without_an_error(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        master = world.master(*NAMES)
        master.run()
        world.sandbox.authority.set_status([NAMES[0]], AuthorizationStatus.REVOKED)
        assert [one.error for one in forget(master, NAMES[0])] == [None]


def forget(host: Host, *names: str) -> tuple[Forgotten, ...]:
    app = host.app()
    try:
        return app.prover().forget(frozenset(Identifier(name) for name in names))
    finally:
        app.state.close()
