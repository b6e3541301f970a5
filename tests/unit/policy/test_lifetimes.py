"""L, C, and whether a schedule holds."""

from __future__ import annotations

from datetime import timedelta

import pytest

from acmectl.policy.lifetimes import MARGIN, Holding, Schedule, cutoff_from_above, judge, threshold

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("known", "span", "lifetime", "cutoff"),
    [
        (21 * HOUR, None, None, 21 * HOUR),
        (21 * HOUR, 8 * DAY, 30 * DAY, 24 * HOUR),
        (21 * HOUR, 8 * HOUR, 30 * DAY, 21 * HOUR),
        (None, None, None, 24 * HOUR),
        (None, 7 * DAY, 30 * DAY, 24 * HOUR),
        (None, None, 2 * DAY, 2 * DAY / 7),
        (None, DAY, HOUR, HOUR),
        (None, 7 * DAY, 2 * DAY, 21 * HOUR),
        (None, 8 * HOUR, 2 * DAY, 2 * DAY / 7),
    ],
)
def test_the_cutoff_is_taken_from_above(
    known: timedelta | None, span: timedelta | None, lifetime: timedelta | None, cutoff: timedelta
) -> None:
    assert cutoff_from_above(known=known, span=span, lifetime=lifetime) == cutoff


def test_an_authorization_is_refreshed_one_run_before_the_cutoff() -> None:
    schedule = Schedule(DAY)
    assert threshold(cutoff=21 * HOUR, lifetime=30 * DAY, schedule=schedule) == 45 * HOUR + MARGIN
    assert threshold(cutoff=21 * HOUR, lifetime=None, schedule=schedule) == 45 * HOUR + MARGIN
    assert threshold(cutoff=HOUR, lifetime=7 * HOUR, schedule=schedule) == 0.9 * (7 * HOUR)
    assert threshold(cutoff=21 * HOUR, lifetime=30 * DAY, schedule=Schedule(DAY, early=False)) == 21 * HOUR


@pytest.mark.parametrize(
    ("lifetime", "cutoff", "schedule", "holding", "gap", "best"),
    [
        (30 * DAY, 21 * HOUR, Schedule(DAY), Holding.HOLDS, timedelta(), (30 * DAY - 21 * HOUR) / 2),
        (7 * HOUR, HOUR, Schedule(HOUR), Holding.HOLDS, timedelta(), 3 * HOUR),
        (7 * HOUR, HOUR, Schedule(3 * HOUR), Holding.HOLDS, timedelta(), 3 * HOUR),
        (7 * HOUR, HOUR, Schedule(6 * HOUR), Holding.TIGHT, MARGIN, 3 * HOUR),
        (7 * HOUR, HOUR, Schedule(DAY), Holding.GAPS, 18 * HOUR, 3 * HOUR),
        (7 * HOUR, 21 * HOUR, Schedule(HOUR), Holding.NEVER, 7 * HOUR, None),
        (20 * HOUR, 17 * HOUR, Schedule(HOUR), Holding.TIGHT, MARGIN, 0.75 * HOUR),
        (20 * HOUR, 18 * HOUR, Schedule(HOUR), Holding.TIGHT, MARGIN, None),
        (30 * DAY, 21 * HOUR, Schedule(DAY, early=False), Holding.GAPS, 45 * HOUR, (30 * DAY - 21 * HOUR) / 2),
    ],
)
def test_a_schedule_is_judged_in_numbers(
    lifetime: timedelta, cutoff: timedelta, schedule: Schedule, holding: Holding, gap: timedelta, best: timedelta | None
) -> None:
    judgement = judge(lifetime=lifetime, cutoff=cutoff, schedule=schedule)
    assert (judgement.holding, judgement.gap, judgement.every) == (holding, gap, best)
