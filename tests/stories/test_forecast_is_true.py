"""What a forecast says is what the engine then does: the same gaps, and the same numbers of requests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from acmectl.model.names import Identifier
from acmectl.policy import forecast
from acmectl.policy.lifetimes import Schedule
from acmectl.policy.refresh import Wanted
from acmectl.policy.terms import published
from tests.stories.world import DAY, HOUR, IN_2027, IN_2028, TODAY, World

NAMES = ("a.acme.test", "b.acme.test", "c.acme.test", "d.other.test")


def foretold(
    profile: str,
    start: datetime,
    schedule: Schedule,
    length: timedelta,
    *,
    is_published: bool = True,
    names: Sequence[str] = NAMES,
    new_orders: int = 300,
) -> forecast.Forecast:
    wanted = [Wanted(Identifier(name), "default", profile, "web") for name in names]
    setting = forecast.Setting(schedule, validation=timedelta(seconds=2), new_orders=new_orders)
    terms = replace(published(profile), published=is_published)
    return forecast.play(wanted, (), {profile: terms}, setting, start=start, until=start + length)


@pytest.mark.parametrize(
    ("profile", "start", "every", "refresh", "days"),
    [
        ("classic", TODAY, DAY, "early", 70),
        ("classic", TODAY, DAY, "lapse", 70),
        ("classic", IN_2027, 5 * HOUR, "early", 30),
        ("classic", IN_2027, HOUR, "early", 20),
        ("classic", IN_2028, DAY, "early", 4),
        ("classic", IN_2028, 4 * HOUR, "early", 2),
        ("classic", IN_2028, HOUR, "early", 2),
        ("classic", IN_2028, 5 * HOUR, "lapse", 2),
        ("tlsserver", TODAY, 5 * HOUR, "early", 2),
    ],
)
def test_a_forecast_counts_what_the_engine_then_asks(
    tmp_path: Path, profile: str, start: datetime, every: timedelta, refresh: str, days: int
) -> None:
    length = days * DAY
    with World(tmp_path, start=start, profile=profile, is_trusting=True) as world:
        master = world.master(*NAMES, every=every, refresh=refresh)
        world.play(world.every(every, master.run), until=start + length)
        real = master.costs.requests
        measures = [world.measure(name) for name in NAMES]
    told = foretold(profile, start, Schedule(every, early=refresh == "early"), length)
    assert told.costs.validations == real["challenge"]
    assert told.costs.orders == real["newOrder"]
    assert told.costs.requests == pytest.approx(real.total(), rel=0.04)
    assert told.longest.total_seconds() == pytest.approx(max(m.longest for m in measures).total_seconds(), abs=60)
    assert told.share == pytest.approx(sum(m.share for m in measures) / len(measures), abs=0.002)


@pytest.mark.parametrize(
    ("every", "new_orders", "holds"),
    [(3 * HOUR, 11, False), (3 * HOUR, 16, True), (HOUR, 5, False), (HOUR, 12, True)],
    ids=["3h-11", "3h-16", "1h-5", "1h-12"],
)
def test_a_forecast_promises_no_window_for_which_the_orders_do_not_suffice(
    tmp_path: Path, every: timedelta, new_orders: int, *, holds: bool
) -> None:
    """Just three hours after a run its orders are still counted: it sent them some moments after it began."""
    names, length = [f"n{number}.acme.test" for number in range(12)], DAY
    with World(tmp_path, start=IN_2028, is_trusting=True) as world:
        master = world.master(*names, every=every, extra=f"new_orders: {new_orders}, ")
        world.play(world.every(every, master.run), until=IN_2028 + length)
        longest = max(world.measure(name).longest for name in names)
    told = foretold("classic", IN_2028, Schedule(every), length, names=names, new_orders=new_orders)
    assert told.holds is holds
    assert told.longest.total_seconds() == pytest.approx(longest.total_seconds(), abs=60)


def test_a_forecast_knows_that_an_order_born_ready_is_handed_out_past_the_cutoff(tmp_path: Path) -> None:
    """A master that takes 24 h for C where the CA has 21 h asks for the names while they are of use; it gets that order until it ends.

    No run falls on the second in which something ends: which way that goes is for nobody to foretell.
    """
    length, every = 40 * DAY, timedelta(minutes=77)
    with World(tmp_path, profile="classic", is_trusting=True, is_lets_encrypt=False) as world:
        master = world.master(*NAMES, every=every, refresh="lapse")
        world.play(world.every(every, master.run), until=TODAY + length)
        real, longest = master.costs.requests, max(world.measure(name).longest for name in NAMES)
    told = foretold("classic", TODAY, Schedule(every, early=False), length, is_published=False)
    assert told.costs.validations == real["challenge"]
    assert told.costs.orders == pytest.approx(real["newOrder"], abs=1)
    assert told.longest.total_seconds() == pytest.approx(longest.total_seconds(), abs=60)
