"""Who goes first, how many at once, and what must be in hand, as tables and properties."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acmectl.model.names import Identifier
from acmectl.policy.refresh import Wanted
from acmectl.policy.replacing import Stake, canaries, cost, portion, stake, zone

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.mark.parametrize(
    ("left", "every", "expected"),
    [
        (-HOUR, HOUR, Stake.LAPSED),
        (timedelta(), HOUR, Stake.LAPSED),
        (HOUR / 2, HOUR, Stake.PRESSING),
        (0.6 * HOUR, HOUR, Stake.PATIENT),
        (2 * HOUR, HOUR, Stake.PATIENT),
        (12 * HOUR, DAY, Stake.PRESSING),
        (13 * HOUR, DAY, Stake.PATIENT),
    ],
)
def test_a_name_is_tried_where_waiting_costs_more_than_failing(
    left: timedelta, every: timedelta, expected: Stake
) -> None:
    assert stake(NOW + left, NOW, every) is expected


@given(left=st.timedeltas(timedelta(), 2 * DAY), every=st.timedeltas(timedelta(minutes=1), 2 * DAY))
def test_whichever_way_it_is_decided_a_name_loses_half_an_interval_at_most(left: timedelta, every: timedelta) -> None:
    waits = stake(NOW + left, NOW, every) is Stake.PATIENT
    assert (every - left if waits else left) <= every / 2


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.b.example.com", "example.com"),
        ("*.example.com", "example.com"),
        ("shop.customer.co.uk", "customer.co.uk"),
        ("customer.co.uk", "customer.co.uk"),
        ("co.uk", "co.uk"),
        ("www.example.de", "example.de"),
        ("a.ab.example.de", "example.de"),
    ],
)
def test_a_canary_speaks_for_its_registered_domain_and_solver(name: str, expected: str) -> None:
    assert zone(Wanted(Identifier(name), "default", None, "dns")) == ("dns", expected)


def test_the_first_name_of_each_zone_that_is_not_known_to_be_good_is_its_canary() -> None:
    zones = {"a1": ("dns", "a"), "a2": ("dns", "a"), "b1": ("dns", "b"), "c1": ("web", "a"), "c2": ("web", "a")}
    assert canaries(zones, zones.__getitem__, {("dns", "b")}) == (("a1", "c1"), ("a2", "b1", "c2"))


@given(st.integers(1, 2000), st.booleans())
def test_a_batch_costs_its_question_its_order_and_its_splitting(names: int, asked: bool) -> None:  # noqa: FBT001  # hypothesis
    assert cost(names, asked=asked) == (1 if asked else 2) + 2 * math.ceil(math.log2(names))


@given(st.integers(1, 2000), st.integers(0, 300), st.booleans())
def test_a_portion_is_the_largest_that_the_budget_covers(names: int, budget: int, asked: bool) -> None:  # noqa: FBT001
    size = portion(names, budget, asked=asked)
    if size == names:
        assert cost(names, asked=asked) <= budget
    else:
        assert size == 0 or cost(size) <= budget  # a smaller set was not asked for
        assert cost(size + 1, asked=asked and size + 1 == names) > budget


@given(st.integers(1, 2000), st.integers(0, 300), st.booleans())
def test_what_lapsed_takes_a_question_and_an_order_and_nothing_in_reserve(names: int, budget: int, asked: bool) -> None:  # noqa: FBT001
    assert portion(names, budget, asked=asked, lapsed=True) == (names if budget >= (1 if asked else 2) else 0)
