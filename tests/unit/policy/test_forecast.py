"""What a forecast finds, against tables, an account by hand, and properties of every schedule."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acmectl.model.memory import RememberedAuthorization
from acmectl.model.names import Identifier
from acmectl.model.orders import AuthorizationStatus
from acmectl.policy import batching
from acmectl.policy.ca_rules import LETS_ENCRYPT, ProfileRules
from acmectl.policy.forecast import TOLERANCE, VALIDATION, Forecast, Setting, crowds, play, shortfalls
from acmectl.policy.lifetimes import Holding, Schedule, judge
from acmectl.policy.refresh import Knowledge, Wanted
from acmectl.policy.terms import Terms, constant, observed, published

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
START = datetime(2026, 11, 22, 12, tzinfo=UTC)
TODAY, IN_2027, IN_2028 = (rules for _, rules in LETS_ENCRYPT["classic"])
NEVER = replace(IN_2028, order_lifetime=7 * DAY, pending_lifetime=7 * DAY)  # C = 21 h of L = 7 h


def wanted(*names: str, account: str = "default") -> list[Wanted]:
    return [Wanted(Identifier(name), account, "classic", "dns") for name in names]


def many(count: int, zones: int = 1) -> list[Wanted]:
    return wanted(*(f"n{i:05}.z{i % zones}.test" for i in range(count)))


def foretell(
    rules: ProfileRules | Terms = TODAY,
    *,
    every: timedelta = DAY,
    early: bool = True,
    names: list[Wanted] | None = None,
    remembered: tuple[RememberedAuthorization, ...] = (),
    days: float = 60,
    new_orders: int = 300,
) -> Forecast:
    terms = rules if isinstance(rules, Terms) else constant(rules)
    setting = Setting(Schedule(every, early=early), new_orders=new_orders)
    asked = many(3) if names is None else names
    return play(asked, remembered, {"classic": terms}, setting, start=START, until=START + days * DAY)


def remembered(name: str, left: timedelta | None, status: str = "valid") -> RememberedAuthorization:
    return RememberedAuthorization(
        account="default",
        profile="classic",
        identifier=Identifier(name),
        url=f"https://ca.example/authz/{name}",
        status=AuthorizationStatus(status),
        expires_at=None if left is None else START + left,
        validated_at=None,
        lifetime=30 * DAY,
        challenge_type="dns-01",
        seen_at=START,
    )


@pytest.mark.parametrize(
    ("rules", "every", "early", "longest"),
    [
        (TODAY, DAY, True, VALIDATION),
        (TODAY, HOUR, True, VALIDATION),
        (IN_2027, DAY, True, VALIDATION),
        (IN_2028, HOUR, True, VALIDATION),
        (IN_2028, 3 * HOUR, True, VALIDATION),
        (IN_2028, 6 * HOUR, True, VALIDATION),
        (IN_2028, 8 * HOUR, True, 2 * HOUR),
        (IN_2028, DAY, True, 18 * HOUR),
        (TODAY, DAY, False, 21 * HOUR),
        (IN_2028, HOUR, False, HOUR),
        (NEVER, HOUR, True, 60 * DAY),
    ],
)
def test_the_longest_gap_of_a_schedule(
    rules: ProfileRules, every: timedelta, longest: timedelta, *, early: bool
) -> None:
    forecast = foretell(rules, every=every, early=early)
    assert longest - MINUTE <= forecast.longest <= longest + MINUTE
    assert forecast.holds == (longest <= VALIDATION)


def test_a_refresh_is_counted_request_by_request() -> None:
    """First: directory, 3 nonces, newOrder, 3 authorizations, 3 challenges, the order, 1 authorization. Then a refresh, which asks
    for the canary (1 + 1) and replaces it (deactivation, newOrder, authorization, challenge and 2), then so the other two."""
    first = foretell(days=1)
    assert (first.costs.orders, first.costs.validations, first.costs.requests) == (1, 3, 13)
    assert first.per_day(first.costs.requests) == 13
    hourly = foretell(every=HOUR, days=30)
    assert (hourly.costs.orders, hourly.costs.peak, hourly.costs.validations) == (1 + 4, 4, 3 + 3)
    assert hourly.costs.requests == 13 + (1 + 2) + (2 + 3 + 3) + (3 + 5 + 4)
    alone = foretell(every=DAY, days=30, names=many(1))
    assert (alone.costs.orders, alone.costs.peak) == (1 + 2, 2)


def test_a_run_with_nothing_due_costs_nothing() -> None:
    known = tuple(remembered(w.identifier.value, 25 * DAY) for w in many(3))
    forecast = foretell(remembered=known, days=10)
    assert (forecast.costs.requests, forecast.longest, forecast.share) == (0, timedelta(), 1.0)
    assert forecast.windows[0].longest is None


def test_names_with_equal_histories_are_told_together_and_the_worst_come_first() -> None:
    names = wanted("a.z.test", "b.z.test", "c.z.test", "d.z.test", "e.z.test", "f.z.test")
    known = (
        remembered("a.z.test", 25 * DAY),
        remembered("b.z.test", 25 * DAY + timedelta(seconds=20)),
        remembered("c.z.test", 5 * HOUR),
        remembered("d.z.test", 9 * DAY, "deactivated"),
        remembered("e.z.test", None),
    )
    forecast = foretell(names=names, remembered=known)
    told = [[w.identifier.value[0] for w in window.names] for window in forecast.windows]
    assert sorted(told) == [["a", "b"], ["c", "d"], ["e", "f"]]
    new = forecast.windows[told.index(["e", "f"])]
    assert new.since == START + VALIDATION
    lost = forecast.windows[told.index(["c", "d"])]
    assert (lost.since, lost.gaps[0].start, lost.gaps[0].end) == (START, START, START + VALIDATION)


def test_a_name_that_is_never_proven_in_the_time_counts_as_never_authorized() -> None:
    forecast = foretell(names=many(2), new_orders=0, days=2)
    assert [window.since for window in forecast.windows] == [None]
    assert (forecast.share, forecast.holds, forecast.costs.put_off) == (0.0, False, 2)


def test_no_names_cost_nothing() -> None:
    forecast = foretell(names=[])
    assert (forecast.windows, forecast.share, forecast.holds) == ((), 1.0, True)


def test_names_beyond_the_budget_wait_for_later_runs() -> None:
    """30 orders of 100 names fill the budget of the first run; just three hours later they are still counted, an hour after that not."""
    forecast = foretell(names=many(3500), every=HOUR, new_orders=30, days=1)
    assert (forecast.costs.peak, forecast.costs.put_off) == (30, 500)
    assert {window.since for window in forecast.windows} == {START + VALIDATION, START + 4 * HOUR + VALIDATION}


def test_a_refresh_beyond_the_budget_leaves_names_for_later_and_mixes_their_histories() -> None:
    forecast = foretell(IN_2028, names=many(2000, zones=50), every=HOUR, new_orders=40, days=3)
    assert forecast.costs.peak <= 40
    assert forecast.costs.put_off > 0
    assert len(forecast.windows) > 1
    assert sum(len(w.names) for w in forecast.windows) == 2000


def test_canaries_beyond_the_budget_hold_back_the_rest_of_their_zones() -> None:
    """Of 150 canaries 1 goes with 2 newOrders left, and 2 with 4: no zone has a good canary before its own."""
    forecast = foretell(IN_2028, names=many(200, zones=150), every=HOUR, new_orders=6, days=1)
    assert forecast.costs.peak == 6
    assert forecast.costs.put_off >= 150


def test_a_budget_too_small_for_a_full_order_still_replaces_every_name_in_smaller_ones() -> None:
    """A full batch of 100 wants 16 newOrders in hand; with 10 it goes by 16, 8, 4, 2 and 1 names, 31 in each three hours."""
    forecast = foretell(TODAY, names=many(100), every=HOUR, new_orders=10, days=60)
    assert forecast.costs.peak == 10
    assert forecast.costs.put_off > 0
    assert all(window.since for window in forecast.windows)
    assert forecast.longest <= 12 * HOUR


def test_accounts_have_budgets_of_their_own() -> None:
    names = [*many(200), *(replace(w, account="other") for w in many(200))]
    forecast = foretell(names=names, new_orders=2, days=1)
    assert (forecast.costs.orders, forecast.costs.peak, forecast.costs.put_off) == (4, 2, 0)


def test_wildcards_are_packed_as_the_master_packs_them() -> None:
    names = wanted("*.a.test", "b.a.test", "a.test", "*.b.a.test")
    forecast = foretell(names=names, days=1)
    assert forecast.costs.orders == len(batching.pack(names)) == 2


def test_a_wildcard_among_many_names_changes_nothing() -> None:
    names = [*many(400, zones=40), *wanted("*.z1.test")]
    forecast = foretell(IN_2028, names=names, every=HOUR, new_orders=12, days=12)
    assert forecast.costs.peak <= 12


def test_orders_are_filled_as_the_master_fills_them() -> None:
    names = many(250, zones=7)
    assert foretell(names=names, days=1).costs.orders == len(batching.pack(names)) == 3


def test_rules_change_on_their_published_dates() -> None:
    calendar = published("classic")
    assert foretell(calendar, days=400).holds
    forecast = foretell(calendar, days=800)
    assert forecast.longest == 18 * HOUR
    worst = forecast.windows[0].longest
    assert worst is not None
    assert worst.start >= datetime(2028, 2, 16, tzinfo=UTC)


def test_an_authorization_closes_by_the_cutoff_of_its_last_days() -> None:
    terms, change = published("classic"), datetime(2028, 2, 16, tzinfo=UTC)
    assert terms.closes_at(change + 23 * HOUR, START) == change + 22 * HOUR
    assert terms.closes_at(change + 20 * HOUR, START) == change - HOUR
    assert terms.closes_at(START - DAY, START) == START


def test_where_nothing_is_reused_a_ready_order_is_handed_out_again() -> None:
    """C beyond L: the order of the first run stays ready until its authorizations end, and nothing is proven before."""
    forecast = foretell(NEVER, every=HOUR, early=False, days=1)
    assert forecast.costs.validations == 3 * 3
    assert forecast.share == 0


def test_a_ready_order_whose_names_close_is_refreshed_early() -> None:
    """Orders live as long as authorizations; the runs are too rare, so newOrder still shows the old authorization, which is replaced."""
    rules = replace(IN_2028, pending_lifetime=8 * HOUR)
    forecast = foretell(rules, every=timedelta(hours=6, minutes=30), days=2)
    assert forecast.longest == timedelta(minutes=30)
    assert forecast.costs.orders > forecast.costs.validations / 3


def test_what_was_observed_plays_like_what_is_published() -> None:
    seen = observed(lifetime=30 * DAY, cutoff=21 * HOUR, max_names=100, published=True)
    assert foretell(seen).costs == foretell(TODAY).costs
    unknown = observed(lifetime=30 * DAY, cutoff=24 * HOUR, max_names=100, published=False)
    assert foretell(unknown).holds
    hour = observed(lifetime=HOUR, cutoff=HOUR, max_names=100, published=False)
    assert not foretell(hour, every=timedelta(minutes=10), days=1).holds


def test_a_schedule_that_falls_short_is_said_with_its_date_and_what_would_hold() -> None:
    (short,) = shortfalls(published("classic"), Schedule(DAY), START)
    assert short.since == datetime(2028, 2, 16, tzinfo=UTC)
    assert (short.gap, short.of, short.every) == (18 * HOUR, DAY, 3 * HOUR)
    assert shortfalls(published("classic"), Schedule(HOUR), START) == ()


def test_lapse_falls_short_of_every_row() -> None:
    found = shortfalls(published("classic"), Schedule(DAY, early=False), START)
    assert [(s.gap, s.of) for s in found] == [(21 * HOUR, 30 * DAY), (21 * HOUR, 10 * DAY), (18 * HOUR, DAY)]


def test_where_nothing_is_ever_reused_no_schedule_is_named() -> None:
    (short,) = shortfalls(constant(NEVER), Schedule(HOUR), START)
    assert short.every is None


def test_a_learned_limit_of_names_takes_more_orders() -> None:
    seen = constant(TODAY).learned(max_names=25, knowledge=Knowledge(TODAY.cutoff))
    assert foretell(names=many(100), days=1).costs.orders == 1
    assert foretell(seen, names=many(100), days=1).costs.orders == 4


def test_longer_orders_that_were_seen_move_the_refresh_forward_under_the_rules_they_were_seen_under() -> None:
    """An eighth of 8 days is 24 h, where 21 h are published."""
    calendar = published("classic")
    seen = calendar.learned(max_names=100, knowledge=Knowledge(TODAY.cutoff, 8 * DAY))
    first, earlier = (foretell(terms, every=HOUR, days=31).windows[0].gaps[0].start for terms in (calendar, seen))
    assert first - earlier == 3 * HOUR
    assert seen.knowledge(START) == Knowledge(TODAY.cutoff, 8 * DAY)
    assert seen.knowledge(datetime(2028, 3, 1, tzinfo=UTC)) == Knowledge(IN_2028.cutoff)


def test_an_order_that_was_born_ready_is_handed_out_past_the_cutoff() -> None:
    """`lapse` at a CA whose C is below the 24 h that are taken for it: asked with 24 h left, the order comes back ready until the old
    authorizations end, and so nothing is proven in between."""
    rules = Terms(constant(TODAY).eras, published=False)
    forecast = foretell(rules, every=HOUR, early=False, days=61)
    assert forecast.costs.validations == 3 * 3
    assert 21 * HOUR < forecast.longest <= 22 * HOUR


def test_remembered_names_whose_order_is_born_ready_count_as_well() -> None:
    known = tuple(remembered(w.identifier.value, 23 * HOUR) for w in many(3))
    rules = Terms(constant(TODAY).eras, published=False)
    forecast = foretell(rules, every=HOUR, early=False, days=2, remembered=known)
    assert forecast.longest == 21 * HOUR + VALIDATION


def test_what_is_past_the_cutoff_that_the_master_reckons_with_is_replaced_at_once() -> None:
    """The second run finds names with 23 h left, 24 h being the cutoff for it and 21 h for the CA: asked, given up, ordered in one."""
    forecast = foretell(Terms(constant(TODAY).eras, published=False), every=29 * DAY + HOUR, days=31)
    assert (forecast.costs.orders, forecast.costs.validations, forecast.longest) == (1 + 2, 3 + 3, VALIDATION)


def test_what_the_ca_reuses_no_more_is_proven_as_it_comes_back() -> None:
    """A seventh of two days is less than this CA's 7 h: of two names that are asked for together one is pending, and the other is then
    asked for by itself, and replaced."""
    rules = replace(TODAY, reuse=2 * DAY, order_lifetime=56 * HOUR, pending_lifetime=56 * HOUR)
    left = {"a": 6.9 * HOUR, "b": 7.5 * HOUR, "c": 6.9 * HOUR}
    known = tuple(replace(remembered(f"{n}.z.test", of), lifetime=2 * DAY) for n, of in left.items())
    names = wanted(*(f"{n}.z.test" for n in left))
    terms = Terms(constant(rules).eras, published=False)
    forecast = foretell(terms, names=names, remembered=known, every=HOUR, days=0.5 / 24)
    assert forecast.costs.orders == 1 + (
        1 + 1 + 1
    )  # the canary is pending; the others: asked for, asked for without c, replaced
    assert forecast.costs.validations == 3


def crowded(
    count: int, new_orders: int, *, every: timedelta = HOUR, rules: ProfileRules = TODAY
) -> list[timedelta | None]:
    setting = Setting(Schedule(every), new_orders=new_orders)
    return [crowd.gap for crowd in crowds(many(count, zones=5), {"classic": constant(rules)}, setting, START)]


def test_names_that_are_too_many_for_the_budget_are_told_with_their_gap() -> None:
    assert crowded(3, 300) == []
    assert crowded(100, 300) == []
    assert crowded(100, 10) == [3 * HOUR]
    assert crowded(5, 0) == [None]
    assert crowded(1, 1) == [HOUR]  # one order is too few for one name: it takes a question and the order itself


def test_what_one_name_alone_would_lack_is_no_matter_of_their_number() -> None:
    assert crowded(200, 300, every=DAY, rules=IN_2028) == []


def test_a_crowd_is_counted_by_account_and_told_from_a_published_date_on() -> None:
    names = [*many(60), *(replace(w, account="other") for w in many(3))]
    setting = Setting(Schedule(6 * HOUR), new_orders=10)
    found = crowds(names, {"classic": published("classic")}, setting, START)
    assert {crowd.names for crowd in found} == {60}
    assert found[0].since is None
    assert [crowd.since for crowd in found[1:]] == sorted(crowd.since for crowd in found[1:] if crowd.since)


lifetimes = st.integers(2 * 60, 40 * 24 * 60).map(lambda minutes: timedelta(minutes=minutes))
intervals = st.integers(5, 36 * 60).map(lambda minutes: timedelta(minutes=minutes))
cutoffs = st.integers(60, 24 * 60).map(lambda minutes: timedelta(minutes=minutes))


def rules_of(lifetime: timedelta, cutoff: timedelta) -> Terms:
    return observed(lifetime=lifetime, cutoff=cutoff, max_names=100, published=True)


@settings(max_examples=60, deadline=None)
@given(lifetime=lifetimes, cutoff=cutoffs, every=intervals, early=st.booleans())
def test_open_and_shut_times_make_up_the_whole(
    lifetime: timedelta, cutoff: timedelta, every: timedelta, *, early: bool
) -> None:
    forecast = foretell(rules_of(lifetime, cutoff), every=every, early=early, days=20)
    for window in forecast.windows:
        assert window.since is not None
        edges = [edge for gap in window.gaps for edge in (gap.start, gap.end)]
        assert edges == sorted(edges)
        assert all(window.since <= edge <= window.until for edge in edges)
        opened = (window.until - window.since) * window.share
        assert abs(opened + window.shut - (window.until - window.since)) < timedelta(seconds=1)


@settings(max_examples=100, deadline=None)
@given(lifetime=lifetimes, cutoff=cutoffs, every=intervals)
def test_a_schedule_that_is_judged_to_hold_leaves_no_gap_beyond_a_validation(
    lifetime: timedelta, cutoff: timedelta, every: timedelta
) -> None:
    judgement = judge(lifetime=lifetime, cutoff=cutoff, schedule=Schedule(every))
    if judgement.holding is Holding.HOLDS and cutoff <= 0.8 * lifetime:
        assert foretell(rules_of(lifetime, cutoff), every=every, days=20).longest <= VALIDATION + TOLERANCE


@settings(max_examples=100, deadline=None)
@given(lifetime=lifetimes, cutoff=cutoffs, every=intervals, times=st.integers(2, 6))
def test_running_more_often_never_makes_the_longest_gap_longer(
    lifetime: timedelta, cutoff: timedelta, every: timedelta, times: int
) -> None:
    if cutoff <= 0.8 * lifetime:
        rules = rules_of(lifetime, cutoff)
        seldom, often = foretell(rules, every=times * every, days=30), foretell(rules, every=every, days=30)
        assert often.longest <= seldom.longest + VALIDATION
