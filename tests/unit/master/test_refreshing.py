"""Early refresh at a CA that refuses: what is given up, what is left alone, and what it costs.

Real runs of a master against the sandbox, with time that only moves when it is told to.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from acmectl.errors import Problem
from acmectl.master import MasterReport, Outcome
from acmectl.model.names import Identifier
from acmectl.policy.ca_rules import Limit, Limits
from acmectl.policy.replacing import CANARIES
from acmectl.sandbox.problems import refuse
from acmectl.sandbox.rules import Lifetimes
from tests.stories.world import DAY, HOUR, TODAY, Host, World

NAMES = ("a.acme.test", "b.acme.test", "c.acme.test", "d.acme.test", "e.acme.test", "f.acme.test")
USABLE = 30 * DAY - 21 * HOUR  # of an authorization's life: L - C
REFUSED = Problem("connection", "Connection refused", 400)
AN_ACCOUNT_WITH_TWO_MORE_ORDERS = Limits(new_orders=Limit(2, 3 * HOUR))
TWO_NAMES = {"classic": Lifetimes(max_names=2)}


@contextmanager
def at_the_refresh(
    directory: Path, *names: str, left: timedelta, every: timedelta = HOUR, extra: str = "", **rules: Any
) -> Iterator[tuple[World, Host]]:
    """A master whose names were proven, and are of use to followers for `left` more."""
    with World(directory, start=TODAY, is_trusting=True, **rules) as world:
        master = world.master(*names, every=every, extra=extra)
        assert not master.run().failed
        world.clock.set(TODAY + USABLE - left)
        yield world, master


def use_up_set(world: World, *names: str) -> None:
    """Followers have issued as often for exactly these names as a week allows."""
    state = world.sandbox.authority.state
    assert state.limits.limits is not None
    with state.lock:
        for _ in range(state.limits.limits.certificates_per_set.count):
            identifiers = frozenset(Identifier(name) for name in names)
            state.limits.issued(identifiers, world.now, is_renewal=False, is_replacement=False)


def refuse_alone(world: World, name: str) -> None:
    """The CA takes no order for just this name."""
    ordering: Any = world.sandbox.authority.ordering
    new_order = ordering.new_order

    def refusing(account: Any, wish: Any) -> Any:
        if tuple(wish.names) == (name,):
            raise refuse("rejectedIdentifier", f'Cannot issue for "{name}": not alone', 400)
        return new_order(account, wish)

    ordering.new_order = refusing


def fail(world: World, *names: str) -> None:
    """The CA cannot validate these, although the solver's probes are seen."""
    world.sandbox.authority.state.injections.failing.update(dict.fromkeys(names, REFUSED))


def given_up(world: World) -> list[str]:
    return sorted(a.identifier.value for a in world.authorizations() if a.deactivated_at)


def usable(world: World, *names: str) -> list[str]:
    return [name for name in names if world.is_usable(name)]


def reasons(report: MasterReport) -> dict[str, str]:
    return {r.wanted.identifier.value: r.reason for r in report.results if r.outcome is Outcome.FAILED}


# -- asked for exactly the set that is ordered after it


def test_a_set_that_has_had_its_certificates_is_not_given_up(tmp_path: Path) -> None:
    """The limit is by exact set: what the CA says of the canary, or of all names, says nothing of the rest."""
    with at_the_refresh(tmp_path, *NAMES[:2], left=HOUR) as (world, master):
        use_up_set(world, NAMES[1])
        use_up_set(world, *NAMES[:2])  # nor can it be ordered in company
        report = master.run()
        assert given_up(world) == [NAMES[0]]
        assert usable(world, *NAMES[:2]) == list(NAMES[:2])
        (reason,) = reasons(report).values()
        assert "already issued for this exact set of identifiers" in reason
        assert next(r for r in report.results if r.outcome is Outcome.FAILED).expires_at is not None


def test_the_set_of_a_canary_is_asked_for_as_well(tmp_path: Path) -> None:
    with at_the_refresh(tmp_path, *NAMES[:3], left=HOUR) as (world, master):
        for company in ((), NAMES[1:2], NAMES[2:3]):
            use_up_set(world, NAMES[0], *company)
        report = master.run()
        assert set(reasons(report)) == {NAMES[0]}
        assert given_up(world) == [NAMES[1], NAMES[2]]
        assert usable(world, *NAMES[:3]) == list(NAMES[:3])


def test_a_name_whose_set_has_had_its_certificates_is_replaced_in_the_company_of_one_that_is_valid(
    tmp_path: Path,
) -> None:
    """It is asked for so, and ordered so; the company has to prove nothing, and keeps what it has."""
    with at_the_refresh(tmp_path, NAMES[0], left=20 * DAY) as (world, master):
        master.rewrite(lambda text: text.replace(f'"{NAMES[0]}"', ", ".join(f'"{name}"' for name in NAMES[:3])))
        master.run()
        world.clock.advance(20 * DAY - HOUR)
        use_up_set(world, NAMES[0])
        use_up_set(world, *NAMES[:2])  # a company that does not help is not the last one
        report = master.run()
        assert [r.outcome for r in report.results] == [Outcome.PROVEN, Outcome.KEPT, Outcome.KEPT]
        assert given_up(world) == [NAMES[0]]
        assert (report.requests["challenge"], report.requests["deactivate"]) == (1, 1)
        assert report.requests["newOrder"] <= 4  # alone, in company of one or two, and in company again
        assert world.measure(NAMES[0]).longest < timedelta(minutes=1)


def test_a_set_of_several_names_that_is_refused_is_replaced_in_others(tmp_path: Path) -> None:
    with at_the_refresh(tmp_path, *NAMES[:4], left=HOUR) as (world, master):
        use_up_set(world, *NAMES[1:4])
        report = master.run()
        assert {r.outcome for r in report.results} == {Outcome.PROVEN}
        assert given_up(world) == list(NAMES[:4])
        assert usable(world, *NAMES[:4]) == list(NAMES[:4])


def test_a_name_that_is_asked_for_alone_is_asked_for_once(tmp_path: Path) -> None:
    with at_the_refresh(tmp_path, NAMES[0], left=HOUR) as (_, master):
        assert master.run().requests["newOrder"] == 2


def test_a_name_that_the_ca_rejects_by_then_stays_usable_and_the_others_are_replaced(tmp_path: Path) -> None:
    with at_the_refresh(tmp_path, *NAMES[:4], left=HOUR) as (world, master):
        world.sandbox.authority.state.injections.rejected[NAMES[2]] = "forbidden by policy"
        report = master.run()
        assert set(reasons(report)) == {NAMES[2]}
        assert given_up(world) == [NAMES[0], NAMES[1], NAMES[3]]
        assert usable(world, *NAMES[:4]) == list(NAMES[:4])


def test_what_another_master_has_replaced_is_remembered_and_not_given_up(tmp_path: Path) -> None:
    """Also where the canary is the one name that it has not: its zone may have been proven a moment ago by others."""
    with at_the_refresh(tmp_path, *NAMES, left=HOUR) as (world, master):
        other = world.master(*NAMES[:4], name="other")
        assert other.run(forced=frozenset(map(Identifier, NAMES[:4]))).requests["deactivate"] == 4
        report = master.run()
        assert {r.wanted.identifier.value for r in report.results if r.outcome is Outcome.FOUND} == set(NAMES[:4])
        assert {r.wanted.identifier.value for r in report.results if r.outcome is Outcome.PROVEN} == set(NAMES[4:])
        assert (report.requests["deactivate"], report.requests["challenge"]) == (2, 2)


def test_what_is_left_of_a_set_after_the_answer_is_a_set_of_its_own(tmp_path: Path) -> None:
    with at_the_refresh(tmp_path, *NAMES[:3], left=HOUR) as (world, master):
        other = world.master(NAMES[1], name="other")
        assert other.run(forced=frozenset({Identifier(NAMES[1])})).requests["deactivate"] == 1
        refuse_alone(world, NAMES[2])  # of the rest, b and c, only c is still the old one
        report = master.run()
        assert set(reasons(report)) == {NAMES[2]}
        assert usable(world, *NAMES[:3]) == list(NAMES[:3])


# -- canaries


@pytest.mark.parametrize("every", [HOUR, DAY], ids=["hourly", "daily"])
def test_where_the_canaries_fail_what_is_long_of_use_is_left_alone(tmp_path: Path, every: timedelta) -> None:
    """Also what lapses before the next run: with daily runs that is nearly all that is ever due."""
    with at_the_refresh(tmp_path, *NAMES, left=0.9 * every, every=every) as (world, master):
        fail(world, *NAMES)
        report = master.run()
        assert len(given_up(world)) == CANARIES
        assert usable(world, *NAMES) == list(NAMES[CANARIES:])
        assert report.requests["newOrder"] == CANARIES * (1 + 1 + 2)  # asked, given up, and tried twice more


def test_where_the_canaries_fail_a_name_with_more_to_lose_by_waiting_is_tried(tmp_path: Path) -> None:
    with at_the_refresh(tmp_path, *NAMES, left=0.4 * DAY, every=DAY) as (world, master):
        fail(world, *NAMES[:3])
        master.run()
        assert given_up(world) == list(NAMES)
        assert usable(world, *NAMES) == list(NAMES[3:])


def test_what_was_spared_is_tried_as_soon_as_it_has_nothing_to_lose(tmp_path: Path) -> None:
    with at_the_refresh(tmp_path, *NAMES, left=0.9 * HOUR) as (world, master):
        fail(world, *NAMES[:3])
        master.run()
        assert usable(world, *NAMES) == list(NAMES[3:])
        world.clock.advance(HOUR)
        master.run()
        assert usable(world, *NAMES[3:]) == list(NAMES[3:])


def test_another_canary_that_succeeds_frees_the_rest(tmp_path: Path) -> None:
    with at_the_refresh(tmp_path, *NAMES, left=0.9 * DAY, every=DAY) as (world, master):
        fail(world, NAMES[0])
        report = master.run()
        assert set(reasons(report)) == {NAMES[0]}
        assert usable(world, *NAMES) == list(NAMES[1:])


def test_a_zone_that_fails_costs_another_zone_nothing(tmp_path: Path) -> None:
    others = ("a.fine.test", "b.fine.test")
    with at_the_refresh(tmp_path, *NAMES, *others, left=0.9 * DAY, every=DAY) as (world, master):
        fail(world, *NAMES)
        report = master.run()
        assert {r.wanted.identifier.value for r in report.results if r.outcome is Outcome.PROVEN} == set(others)


def test_what_is_past_its_cutoff_takes_one_order_and_no_canary(tmp_path: Path) -> None:
    """At a CA with no cutoff that anybody knows the old authorization still comes back: nothing is lost by it."""
    lifetimes = Lifetimes(reuse=10 * DAY, pending_lifetime=7 * DAY, order_lifetime=7 * DAY)
    with World(tmp_path, rules="pebble", overrides={"": lifetimes}, reuse_percent=100, is_trusting=True) as world:
        master = world.master(*NAMES, extra="new_orders: 2, ")
        master.run()
        world.clock.advance(9 * DAY + 2 * HOUR)
        report = master.run()
        assert {r.outcome for r in report.results} == {Outcome.PROVEN}
        assert (report.requests["newOrder"], report.requests["deactivate"]) == (2, len(NAMES))


@pytest.mark.parametrize("recovers", [True, False])
def test_a_zone_that_failed_loses_no_more_names_in_later_runs(tmp_path: Path, *, recovers: bool) -> None:
    """Until a lost name of it was proven, or a name has more to lose by waiting, half an interval before its cutoff."""
    with at_the_refresh(tmp_path, *NAMES, left=0.95 * DAY, every=DAY) as (world, master):
        fail(world, *NAMES)
        world.play(world.every(HOUR, master.run), until=world.now + 8 * HOUR)
        assert given_up(world) == list(NAMES[:CANARIES])
        if recovers:
            world.sandbox.authority.state.injections.failing.clear()
        world.play(world.every(HOUR, master.run), until=world.now + 30 * HOUR)
        lost = [name for name in NAMES[CANARIES:] if world.measure(name).longest > timedelta(minutes=1)]
        assert lost == ([] if recovers else list(NAMES[CANARIES:]))


def test_a_lost_name_that_is_proven_frees_its_zone_in_the_same_run(tmp_path: Path) -> None:
    with at_the_refresh(tmp_path, *NAMES, left=0.95 * DAY, every=DAY) as (world, master):
        fail(world, *NAMES)
        master.run()
        world.sandbox.authority.state.injections.failing.clear()
        world.clock.advance(HOUR)
        assert {r.outcome for r in master.run().results} == {Outcome.PROVEN}
        assert usable(world, *NAMES) == list(NAMES)


def test_names_that_fail_in_the_same_run_count_as_canaries_of_their_zone(tmp_path: Path) -> None:
    with at_the_refresh(tmp_path, *NAMES, left=0.95 * DAY, every=DAY) as (world, master):
        new = [f"new{number}.acme.test" for number in range(CANARIES)]
        master.rewrite(lambda text: text.replace(f'"{NAMES[0]}"', ", ".join(f'"{name}"' for name in (NAMES[0], *new))))
        fail(world, *NAMES, *new)
        master.run()
        assert given_up(world) == []
        assert usable(world, *NAMES) == list(NAMES)


def test_a_name_that_failed_in_the_same_run_takes_the_place_of_one_canary_only(tmp_path: Path) -> None:
    """A new name that nobody set up must not keep its zone from being refreshed."""
    with at_the_refresh(tmp_path, *NAMES, left=0.95 * DAY, every=DAY) as (world, master):
        master.rewrite(lambda text: text.replace(f'"{NAMES[0]}"', f'"{NAMES[0]}", "new.acme.test"'))
        fail(world, "new.acme.test")
        assert set(reasons(master.run())) == {"new.acme.test"}
        assert given_up(world) == list(NAMES)


def test_canaries_that_the_ca_refuses_have_risked_nothing_and_others_go_in_their_place(tmp_path: Path) -> None:
    with at_the_refresh(tmp_path, *NAMES, left=0.95 * DAY, every=DAY) as (world, master):
        for name in NAMES[:CANARIES]:
            world.sandbox.authority.state.injections.rejected[name] = "forbidden by policy"
        report = master.run()
        assert set(reasons(report)) == set(NAMES[:CANARIES])
        assert {"forbidden by policy" in reason for reason in reasons(report).values()} == {True}
        assert given_up(world) == list(NAMES[CANARIES:])
        assert usable(world, *NAMES) == list(NAMES)


def test_where_the_domain_has_had_its_certificates_no_name_after_the_other_is_asked_for(tmp_path: Path) -> None:
    with at_the_refresh(tmp_path, *NAMES, left=0.95 * DAY, every=DAY) as (world, master):
        world.use_up_certificates("acme.test")
        report = master.run()
        assert report.requests["newOrder"] == 2  # the canary, then all the others at once
        assert (given_up(world), usable(world, *NAMES)) == ([], list(NAMES))


def test_what_is_past_an_estimated_cutoff_is_asked_for_as_well(tmp_path: Path) -> None:
    """Where the master takes 24 h for C and the CA has 21 h, followers can use it yet: a CA that refuses just it must not cost it."""
    with at_the_refresh(tmp_path, NAMES[0], left=2 * HOUR, is_lets_encrypt=False) as (world, master):
        master.rewrite(lambda text: text.replace(f'"{NAMES[0]}"', f'"{NAMES[0]}", "{NAMES[1]}"'))
        refuse_alone(world, NAMES[0])
        assert "not alone" in reasons(master.run())[NAMES[0]]
        assert given_up(world) == []
        assert usable(world, *NAMES[:2]) == list(NAMES[:2])


# -- budgets and refusals of the account


def test_a_small_budget_replaces_few_names_at_a_time_and_leaves_the_others_usable(tmp_path: Path) -> None:
    """6 newOrders: a canary (2), two names (2), one name (2). Five of the zone's six are of use, or new, at any time."""
    with at_the_refresh(tmp_path, *NAMES, left=HOUR, extra="new_orders: 6, ") as (world, master):
        report = master.run()
        assert (report.requests["newOrder"], report.requests["deactivate"]) == (6, 4)
        assert usable(world, *NAMES) == list(NAMES)
        assert set(reasons(report)) == set(NAMES[4:])
        assert {"order budget" in reason for reason in reasons(report).values()} == {True}


def test_names_that_wait_for_the_budget_have_nothing_held_against_them(tmp_path: Path) -> None:
    with at_the_refresh(tmp_path, *NAMES, left=HOUR, extra="new_orders: 6, ") as (_, master):
        master.run()
        app = master.app()
        try:
            assert app.state.memory.failures("name") == {}
        finally:
            app.state.close()


@pytest.mark.parametrize("new_orders", [2, 3, 5, 9])
def test_no_budget_is_too_small_to_go_on_for_ever(tmp_path: Path, new_orders: int) -> None:
    with at_the_refresh(tmp_path, *NAMES, left=HOUR, extra=f"new_orders: {new_orders}, ") as (world, master):
        world.play(world.every(HOUR, master.run), until=world.now + 6 * HOUR)
        assert usable(world, *NAMES) == list(NAMES)
        assert max(world.measure(name).longest for name in NAMES) <= 3 * HOUR


@pytest.mark.parametrize("new_orders", [2, 3, 4, 300])
def test_replicas_that_lag_behind_cost_no_name_however_small_the_budget(tmp_path: Path, new_orders: int) -> None:
    """Where only one newOrder is left after the deactivation, it is sent when all replicas know of that."""
    with at_the_refresh(
        tmp_path, NAMES[0], left=HOUR, extra=f"new_orders: {new_orders}, ", replica_lag=timedelta(seconds=5)
    ) as (world, master):
        report = master.run()
        assert [r.outcome for r in report.results] == [Outcome.PROVEN]
        assert report.requests["newOrder"] <= new_orders
        assert world.measure(NAMES[0]).longest < timedelta(minutes=1)


def test_once_the_ca_refuses_the_account_nothing_more_is_given_up(tmp_path: Path) -> None:
    """Two more newOrders: the canary is asked for and replaced. Two more batches follow, of which the CA is asked about one."""
    with at_the_refresh(tmp_path, *NAMES[:5], left=HOUR, overrides=TWO_NAMES, limits=None) as (world, master):
        world.sandbox.authority.state.limits.limits = AN_ACCOUNT_WITH_TWO_MORE_ORDERS
        report = master.run()
        assert given_up(world) == [NAMES[0]]
        assert report.requests["newOrder"] == 3
        assert usable(world, *NAMES[:5]) == list(NAMES[:5])
        assert set(reasons(report)) == set(NAMES[1:5])
        assert {"too many new orders" in reason for reason in reasons(report).values()} == {True}
        assert {r.retry_at is not None for r in report.results if r.outcome is Outcome.FAILED} == {True}


def test_once_the_ca_refuses_the_account_what_lapsed_is_left_alone_too(tmp_path: Path) -> None:
    """Four more newOrders: three ask, and one is for the first batch. What is given up with the second is lost; the third stays."""
    lifetimes = Lifetimes(reuse=10 * DAY, pending_lifetime=7 * DAY, order_lifetime=7 * DAY, max_names=2)
    names = [f"{host}.{zone}.test" for zone in ("one", "three", "two") for host in "ab"]
    with World(tmp_path, rules="pebble", overrides={"": lifetimes}, reuse_percent=100, is_trusting=True) as world:
        master = world.master(*names)
        master.run()
        world.clock.advance(9 * DAY + 2 * HOUR)
        world.sandbox.authority.state.limits.limits = Limits(new_orders=Limit(4, 3 * HOUR))
        master.run()
        assert given_up(world) == sorted(names[:4])
        assert usable(world, *names) == [*names[:2], *names[4:]]


def test_batches_of_a_zone_stop_once_one_proves_nothing_of_it(tmp_path: Path) -> None:
    with at_the_refresh(tmp_path, *NAMES, left=HOUR, overrides=TWO_NAMES) as (world, master):
        fail(world, *NAMES[1:])
        report = master.run()
        assert given_up(world) == list(NAMES[:3])  # the canary, which succeeded, and a batch
        assert usable(world, *NAMES) == [NAMES[0], *NAMES[3:]]
        assert {"of its zone failed" in reasons(report)[name] for name in NAMES[3:]} == {True}
