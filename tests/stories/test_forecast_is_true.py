"""What a forecast says is what the engine then does: the same gaps, and the same numbers of requests."""

from __future__ import annotations

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
    profile: str, start: datetime, schedule: Schedule, length: timedelta, *, is_published: bool = True
) -> forecast.Forecast:
    wanted = [Wanted(Identifier(name), "default", profile, "web") for name in NAMES]
    setting = forecast.Setting(schedule, validation=timedelta(seconds=2))
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
