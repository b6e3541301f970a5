"""Why all this: what plain daily newOrders and lapsing leave open, by the same measure as the other stories."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from acmectl.sandbox.rules import Lifetimes
from tests.stories.naive import NaiveMaster
from tests.stories.world import DAY, HOUR, IN_2027, IN_2028, TODAY, World

NAMES = ("a.acme.test", "b.acme.test")


@pytest.mark.parametrize(
    ("start", "days", "gap"),
    [(TODAY, 70, 45 * HOUR), (IN_2027, 30, 45 * HOUR), (IN_2028, 8, 18 * HOUR)],
    ids=["30d", "10d", "7h"],
)
def test_a_plain_daily_new_order_leaves_the_gap_that_theory_says(
    tmp_path: Path, start: datetime, days: int, gap: timedelta
) -> None:
    with World(tmp_path, start=start, is_trusting=True) as world:
        world.host("account", "certificates: {none: {names: [none.test]}}\n")
        master = NaiveMaster(world, *NAMES)
        world.clock.advance(timedelta(seconds=30))  # cron is never quite on time
        master.run()
        world.play(world.every(DAY, master.run, phase=DAY - timedelta(seconds=30)), until=world.start + days * DAY)
        longest = max(world.measure(name).longest for name in NAMES)
        assert gap - 3 * HOUR - timedelta(minutes=5) <= longest <= gap + timedelta(minutes=5)


def test_lapsing_leaves_a_gap_of_an_interval_in_every_period(tmp_path: Path) -> None:
    with World(tmp_path, start=IN_2027) as world:
        master = world.master(*NAMES, refresh="lapse", every=6 * HOUR)
        world.play(world.every(6 * HOUR, master.run), until=world.now + 25 * DAY)
        for name in NAMES:
            gaps = world.measure(name).gaps
            assert len(gaps) == 2
            assert all(HOUR <= gap.length <= 6 * HOUR + timedelta(minutes=1) for gap in gaps)
        assert master.costs.requests["deactivate"] == 0


def test_lapsing_leaves_the_cutoff_too_where_the_old_order_is_still_open(tmp_path: Path) -> None:
    """Boulder hands a ready order out again, with no cutoff, until the authorization in it ends (order reuse)."""
    overrides = {"classic": Lifetimes(reuse=3 * DAY)}  # shorter than the seven days of an order
    with World(tmp_path, overrides=overrides) as world:
        master = world.master(*NAMES, refresh="lapse")
        world.play(world.every(HOUR, master.run), until=world.now + 7 * DAY)
        second = timedelta(seconds=1)  # to which a CA rounds its moments
        assert 21 * HOUR - second <= world.measure(NAMES[0]).longest <= 22 * HOUR + timedelta(minutes=1)
