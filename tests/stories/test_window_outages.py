"""Something breaks for a while: the master, its way of proving, or the CA's memory."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from tests.stories.world import DAY, HOUR, IN_2027, MINUTE, TODAY, Span, World, occupied

NAMES = ("a.acme.test", "b.acme.test")
BAR = timedelta(minutes=1, seconds=10)


def test_a_master_that_was_down_for_three_days_mends_all_in_its_first_run(tmp_path: Path) -> None:
    with World(tmp_path, start=IN_2027) as world:
        master = world.master(*NAMES)
        down = Span(world.now + 9 * DAY, world.now + 12 * DAY)  # the first refresh would fall into it
        world.play(world.every(HOUR, master.run, away=[down]), until=world.now + 24 * DAY)
        for name in NAMES:
            (gap,) = (gap for gap in world.measure(name).gaps if gap.length > BAR)
            assert down.start < gap.start
            assert gap.end <= down.end + HOUR + BAR


@pytest.mark.parametrize("begin", [9 * DAY + timedelta(hours=1), 8 * DAY + timedelta(hours=23), 10 * DAY])
def test_a_day_without_a_way_to_prove_is_over_one_interval_after_its_end(tmp_path: Path, begin: timedelta) -> None:
    with World(tmp_path, start=IN_2027) as world:
        master = world.master(*NAMES)
        down = Span(world.now + begin, world.now + begin + DAY)
        master.run()
        world.play(world.every(HOUR, master.run, phase=HOUR), until=down.start)
        with occupied(world.port):
            world.play(world.every(HOUR, master.run, phase=HOUR), until=down.end)
        world.play(world.every(HOUR, master.run, phase=HOUR), until=world.start + 21 * DAY)
        for name in NAMES:
            for gap in world.measure(name).gaps:
                assert gap.length <= BAR or (down.start < gap.start and gap.end <= down.end + HOUR + BAR), gap
        assert not master.reports[-1].failed


def test_what_a_forgetful_ca_lost_is_proven_in_the_run_that_looks(tmp_path: Path) -> None:
    with World(tmp_path, start=TODAY) as world:
        master = world.master(*NAMES)
        lost_at = world.now + 5 * DAY + 10 * MINUTE
        world.play(
            world.every(HOUR, master.run),
            world.every(6 * HOUR, lambda: master.run(verify=True), phase=6 * HOUR + MINUTE),
            world.once(lost_at, world.forget),
            until=world.now + 10 * DAY,
        )
        for name in NAMES:
            (gap,) = world.measure(name).gaps
            assert gap.start == lost_at
            assert gap.length <= 6 * HOUR + BAR
        assert world.measure(NAMES[0]).of > 9 * DAY
