"""What a reviewer's worlds did to a master: clocks that jump, orders that outlive authorizations, limits of some seconds."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from acmectl.errors import Problem
from acmectl.master import Outcome
from acmectl.model.memory import Failure
from acmectl.model.names import Identifier
from acmectl.sandbox.problems import rate_limited, refuse
from acmectl.sandbox.rules import Lifetimes
from tests.stories.world import DAY, HOUR, IN_2027, IN_2028, MINUTE, Host, World, occupied

BAR = timedelta(minutes=1, seconds=10)
NAMES = ("a.acme.test", "b.acme.test")


def test_at_an_unknown_ca_the_lifetime_of_orders_says_how_early_a_refresh_must_be(tmp_path: Path) -> None:
    """L is two days, and orders live for a week: by Boulder's rule an authorization is reused until 21 h before its end."""
    long_orders = Lifetimes(reuse=2 * DAY, order_lifetime=7 * DAY, pending_lifetime=7 * DAY)
    with World(tmp_path, is_lets_encrypt=False, is_trusting=True, overrides={"classic": long_orders}) as world:
        master = world.master(*NAMES)
        world.play(world.every(HOUR, master.run), until=world.now + 6 * DAY)
        assert max(world.measure(name).longest for name in NAMES) <= BAR


def test_a_clock_that_jumps_back_does_not_silence_the_master(tmp_path: Path) -> None:
    with World(tmp_path, start=IN_2027) as world:
        master = world.master(NAMES[0])
        world.play(world.every(HOUR, master.run), until=world.now + 8 * DAY)
        asked = master.costs.requests["directory"]
        master.skew = -20 * DAY
        world.play(world.every(HOUR, master.run, phase=HOUR), until=world.now + 20 * DAY)
        assert world.measure(NAMES[0]).longest <= BAR
        assert master.costs.requests["directory"] - asked <= 4, "it asked once for the time, and then when it had to"


@pytest.mark.parametrize(
    "detail",
    ["too many new orders (300) from this account", f'too many failed authorizations (5) for "{NAMES[1]}"'],
    ids=["account", "name"],
)
def test_a_limit_of_some_seconds_after_a_deactivation_is_waited_out(tmp_path: Path, detail: str) -> None:
    """A daily master would else come back a day later."""
    with World(tmp_path, start=IN_2027) as world:
        master = world.master(*NAMES, every=DAY)
        limits: Any = world.sandbox.authority.state.limits
        admit = limits.admit_order

        def some_seconds_later(*arguments: Any, **more: Any) -> None:
            given_up = [a.deactivated_at for a in world.authorizations() if a.deactivated_at]
            if given_up and world.now < max(given_up) + timedelta(seconds=20):
                raise rate_limited(detail, timedelta(seconds=20))
            admit(*arguments, **more)

        limits.admit_order = some_seconds_later
        world.play(world.every(DAY, master.run), until=world.now + 12 * DAY)
        assert max(world.measure(name).longest for name in NAMES) <= BAR


def test_orders_that_the_ca_does_not_answer_count_as_sent(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        master = world.master(*NAMES, extra="new_orders: 10, ")
        ordering: Any = world.sandbox.authority.ordering
        ordering.new_order, new_order = _busy, ordering.new_order
        world.play(world.every(MINUTE, master.run), until=world.now + 30 * MINUTE)
        assert master.costs.requests["newOrder"] <= 10
        ordering.new_order = new_order
        world.clock.advance(3 * HOUR)
        assert {r.outcome for r in master.run().results} == {Outcome.PROVEN}
        assert not failures(master, "outage")


def test_runs_that_come_each_minute_do_not_use_the_orders_up_on_a_ca_that_is_away(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        master = world.master(NAMES[0])
        ordering: Any = world.sandbox.authority.ordering
        ordering.new_order, new_order = _busy, ordering.new_order
        world.play(world.every(MINUTE, master.run), until=world.now + 80 * MINUTE)
        assert master.costs.requests["newOrder"] < 60
        (waiting,) = master.run().results
        ordering.new_order = new_order
        ended = world.now
        world.play(world.every(MINUTE, master.run), until=ended + 12 * MINUTE)
        assert world.is_usable(NAMES[0])
        assert waiting.reason.startswith("the CA is away: ")


def test_verify_leaves_an_account_alone_that_the_ca_asked_to_leave_alone(tmp_path: Path) -> None:
    with World(tmp_path, is_lets_encrypt=False) as world:
        master = world.master(*NAMES)
        master.run()
        limits: Any = world.sandbox.authority.state.limits
        refusals = 0

        def refuse_all(*_: Any, **__: Any) -> None:
            nonlocal refusals
            refusals += 1
            raise rate_limited("too many new orders (300) from this account in the last 3h0m0s", 2 * HOUR)

        limits.admit_order = refuse_all
        for _ in range(4):
            world.clock.advance(5 * MINUTE)
            master.run(verify=True)
        assert refusals == 1
        assert failures(master, "account")


def test_a_clock_that_was_ahead_leaves_no_orders_of_the_future_behind(tmp_path: Path) -> None:
    with World(tmp_path, start=IN_2027) as world:
        master = world.master(NAMES[0], extra="new_orders: 1, ", skew=30 * DAY)
        master.run()
        master.skew = timedelta()
        master.rewrite(lambda text: text.replace(NAMES[0], NAMES[1]))
        world.clock.advance(4 * HOUR)
        assert [r.outcome for r in master.run().results] == [Outcome.PROVEN]


def test_a_short_limit_of_a_name_that_is_still_good_costs_no_day_when_it_is_over(tmp_path: Path) -> None:
    with World(tmp_path, start=IN_2028) as world:
        master = world.master(NAMES[0])
        world.play(world.every(HOUR, master.run), until=world.now + 4 * HOUR)
        limits: Any = world.sandbox.authority.state.limits
        world_admits = limits.admit_order

        def refuse_all(*_: Any, **__: Any) -> None:
            raise rate_limited(f'too many failed authorizations (5) for "{NAMES[0]}" in the last 1h0m0s', 10 * MINUTE)

        limits.admit_order = refuse_all
        world.play(world.every(15 * MINUTE, master.run), until=world.now + 4 * HOUR)
        limits.admit_order = world_admits
        over = world.now
        world.play(world.every(15 * MINUTE, master.run), until=over + DAY)
        assert max(gap.end for gap in world.measure(NAMES[0]).gaps if gap.length > BAR) <= over + 15 * MINUTE + BAR


def test_a_name_that_is_found_lost_waits_for_nothing_that_failed_while_it_was_good(tmp_path: Path) -> None:
    with World(tmp_path, start=IN_2027) as world:
        master = world.master(NAMES[0])
        master.run()
        world.clock.advance(9 * DAY)
        world.sandbox.authority.state.injections.rejected[NAMES[0]] = "forbidden by policy"
        world.play(world.every(MINUTE, master.run), until=world.now + 2 * HOUR)
        world.sandbox.authority.state.injections.rejected.clear()
        assert [r.outcome for r in master.run().results] == [Outcome.WAITING]
        world.forget()
        assert [r.outcome for r in master.run(verify=True).results] == [Outcome.PROVEN]


def test_a_name_server_that_is_down_for_a_night_does_not_make_the_next_failure_cost_a_day(tmp_path: Path) -> None:
    with World(tmp_path, start=IN_2027) as world:
        master = world.master(NAMES[0], every=DAY)
        master.run()
        world.clock.advance(8 * DAY)
        with occupied(world.port):
            world.play(world.every(HOUR, master.run), until=world.now + 20 * HOUR)
        failing = world.sandbox.authority.state.injections.failing
        failing[NAMES[0]] = Problem("dns", "SERVFAIL", 400)
        master.run()
        failing.clear()
        world.play(world.every(HOUR, master.run, phase=HOUR), until=world.now + DAY)
        assert world.measure(NAMES[0]).longest <= HOUR + BAR


def test_a_name_that_was_removed_can_still_be_given_up_at_the_ca(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        master = world.master(*NAMES)
        master.run()
        master.rewrite(lambda text: text.replace(f'"{NAMES[0]}", ', ""))
        master.run()
        assert world.is_usable(NAMES[0])
        app = master.app()
        try:
            with app.state.locked():
                (given_up,) = app.prover().forget(frozenset({Identifier(NAMES[0])}))
                assert app.prover().remembered([Identifier(NAMES[0])]) == frozenset()
        finally:
            app.state.close()
        assert given_up.error is None
        assert not world.is_usable(NAMES[0])


def failures(host: Host, kind: str) -> Mapping[str, Failure]:
    app = host.app()
    try:
        return app.state.memory.failures(kind)
    finally:
        app.state.close()


def _busy(*_: Any) -> Any:
    raise refuse("serverInternal", "Service busy; retry later.", 503)
