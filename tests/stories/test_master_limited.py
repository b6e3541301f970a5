"""A CA that limits what may be ordered, or is away at the worst moment: who waits, until when, and what is not lost."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from acmectl.master import MasterReport, Outcome
from acmectl.model.memory import Failure
from acmectl.model.names import Identifier
from acmectl.policy.ca_rules import LETS_ENCRYPT_LIMITS
from acmectl.sandbox.problems import rate_limited, refuse
from tests.stories.world import DAY, HOUR, MINUTE, Host, World

NAMES = ("a.acme.test", "b.acme.test", "c.acme.test")


def used_up(world: World, *names: str) -> None:
    """Followers have issued as many certificates for exactly these names as a week allows."""
    limits = world.sandbox.authority.state.limits
    for _ in range(LETS_ENCRYPT_LIMITS.certificates_per_set.count):
        limits.issued(frozenset(map(Identifier, names)), world.now, is_renewal=True, is_replacement=False)


def account_failure(host: Host) -> Failure | None:
    app = host.app()
    try:
        return app.state.memory.failures("account").get("default")
    finally:
        app.state.close()


def outcomes(report: MasterReport) -> list[Outcome]:
    return [result.outcome for result in report.results]


# -- an exact set


def test_an_exact_set_that_is_used_up_costs_neither_the_account_nor_a_name(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        used_up(world, *NAMES)
        master = world.master(*NAMES)
        report = master.run()
        assert outcomes(report) == [Outcome.PROVEN] * 3
        assert report.requests["newOrder"] == 3
        assert account_failure(master) is None


def test_a_single_name_whose_set_is_used_up_waits_alone(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        used_up(world, NAMES[0])
        master = world.master(NAMES[0])
        (result,) = master.run().results
        assert result.outcome is Outcome.FAILED
        assert result.retry_at is not None
        assert result.retry_at > world.now + DAY
        assert account_failure(master) is None
        master.rewrite(lambda text: text.replace(f'"{NAMES[0]}"', f'"{NAMES[0]}", "{NAMES[1]}"'))
        assert outcomes(master.run()) == [Outcome.WAITING, Outcome.PROVEN]


# -- the account


@pytest.fixture
def limited() -> Callable[[World, timedelta], None]:
    def limit(world: World, retry_after: timedelta) -> None:
        """All newOrders of the account get 429 with this Retry-After, until somebody puts the real limits back."""
        limits: Any = world.sandbox.authority.state.limits

        def refuse(*_: Any, **__: Any) -> None:
            raise rate_limited("too many new orders (300) from this account in the last 3h0m0s", retry_after)

        limits.admit_order = refuse  # what no rule of the sandbox does: a Retry-After of the test's choice

    return limit


def test_a_limited_account_waits_exactly_as_long_as_the_ca_says(
    tmp_path: Path, limited: Callable[[World, timedelta], None]
) -> None:
    with World(tmp_path) as world:
        master = world.master(*NAMES)
        for count in (1, 2, 3):
            limited(world, 20 * MINUTE)
            assert master.run().requests["newOrder"] == 1
            failure = account_failure(master)
            assert failure is not None
            assert failure.count == count, "one failure a run"
            assert abs(failure.retry_at - world.now - 20 * MINUTE) < MINUTE if failure.retry_at else False
            assert not master.run().requests
            world.clock.advance(21 * MINUTE)
        del world.sandbox.authority.state.limits.admit_order  # the real one is there again
        assert outcomes(master.run()) == [Outcome.PROVEN] * 3
        assert account_failure(master) is None


def test_a_person_who_asks_by_name_is_told_until_when_the_ca_wants_to_be_left_alone(
    tmp_path: Path, limited: Callable[[World, timedelta], None]
) -> None:
    with World(tmp_path) as world:
        master = world.master(*NAMES)
        limited(world, 2 * HOUR)
        until = master.run().results[0].retry_at
        report = master.run(forced=frozenset({Identifier(NAMES[0])}))
        assert not report.requests
        asked = report.results[0]
        assert (asked.outcome, asked.is_firm) == (Outcome.WAITING, True)
        assert asked.reason.startswith("the CA asked to leave the account `default` alone: ")
        assert (until, asked.retry_at) == (asked.retry_at, until)


def test_a_limit_in_the_middle_of_a_run_stops_its_orders_and_outlives_it(tmp_path: Path) -> None:
    """What was proven before the limit was met is no sign that the limit is over."""
    names = [f"n{number}.acme.test" for number in range(6)]
    with World(tmp_path, profile="classic", is_trusting=True) as world:
        limits: Any = world.sandbox.authority.state.limits
        admit, orders = limits.admit_order, itertools.count(1)

        def second_is_refused(*arguments: Any, **more: Any) -> None:
            if next(orders) == 2:
                raise rate_limited("too many new orders (300) from this account in the last 3h0m0s", HOUR)
            admit(*arguments, **more)

        limits.admit_order = second_is_refused
        master = world.master(*names)
        app = master.app()
        app.state.memory.set_fact(f"max-names/{world.directory_url}/classic", "2")
        app.state.close()
        report = master.run()
        assert report.requests["newOrder"] == 2
        assert sorted(outcomes(report)) == sorted([Outcome.PROVEN] * 2 + [Outcome.FAILED] * 4)
        failure = account_failure(master)
        assert failure is not None
        assert not master.run().requests


# -- away


def test_a_ca_that_is_away_right_after_a_deactivation_is_asked_again_in_the_same_run(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        master = world.master(NAMES[0])
        master.run()
        world.clock.advance(29 * DAY + 2 * HOUR)
        ordering: Any = world.sandbox.authority.ordering
        new_order = ordering.new_order

        def away_for_a_minute(*arguments: Any) -> Any:
            if any(a.deactivated_at and world.now < a.deactivated_at + MINUTE for a in world.authorizations()):
                raise refuse("serverInternal", "Service busy; retry later.", 503)
            return new_order(*arguments)

        ordering.new_order = away_for_a_minute
        assert outcomes(master.run()) == [Outcome.PROVEN]
        assert world.is_usable(NAMES[0])
        assert world.measure(NAMES[0]).longest <= 2 * MINUTE
