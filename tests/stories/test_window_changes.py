"""The world changes: lifetimes, names, clocks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.stories.world import DAY, HOUR, IN_2027, TODAY, World

BAR = timedelta(minutes=1, seconds=10)
NAMES = ("a.acme.test", "b.acme.test")


@pytest.mark.parametrize("every", [HOUR, DAY])
def test_the_change_from_thirty_to_ten_days_is_not_noticed(tmp_path: Path, every: timedelta) -> None:
    with World(tmp_path, start=datetime(2027, 1, 12, tzinfo=UTC)) as world:
        master = world.master(*NAMES, every=every)
        world.play(
            world.every(every, master.run),
            world.samples(*NAMES, every=2 * DAY),
            until=datetime(2027, 2, 28, tzinfo=UTC),
        )
        assert max(world.measure(name).longest for name in NAMES) <= BAR


@pytest.mark.parametrize("skew", [HOUR, -HOUR])
def test_a_clock_that_is_an_hour_off_closes_no_window(tmp_path: Path, skew: timedelta) -> None:
    with World(tmp_path, start=IN_2027) as world:
        master = world.master(*NAMES, skew=skew)
        world.play(world.every(HOUR, master.run), until=world.now + 20 * DAY)
        assert max(world.measure(name).longest for name in NAMES) <= BAR
        offset = next(r.clock_offset for r in master.reports if r.clock_offset)
        assert abs(offset + skew) < timedelta(seconds=5)


@pytest.mark.parametrize("skew", [HOUR, -HOUR])
def test_the_short_profiles_bear_a_clock_that_is_an_hour_off(tmp_path: Path, skew: timedelta) -> None:
    with World(tmp_path, start=TODAY, profile="tlsserver") as world:
        master = world.master(NAMES[0], skew=skew)
        world.play(world.every(HOUR, master.run), until=world.now + 2 * DAY)
        assert world.measure(NAMES[0]).longest <= BAR


def test_names_added_in_the_middle_are_usable_after_the_next_run_and_disturb_no_other(tmp_path: Path) -> None:
    with World(tmp_path, start=IN_2027) as world:
        master = world.master(*NAMES)
        added_at = world.now + 12 * DAY
        world.play(
            world.every(HOUR, master.run),
            world.once(
                added_at, lambda: master.rewrite(lambda text: text.replace(NAMES[0], f'{NAMES[0]}", "new.acme.test'))
            ),
            until=world.now + 20 * DAY,
        )
        assert max(world.measure(name).longest for name in NAMES) <= BAR
        new = world.measure("new.acme.test", since=added_at)
        assert new.longest <= HOUR + BAR
        assert len([gap for gap in new.gaps if gap.length > BAR]) <= 1
