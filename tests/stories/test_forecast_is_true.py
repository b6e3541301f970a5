"""What a forecast says is what the engine then does: the same gaps, and the same numbers of requests."""

from __future__ import annotations

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


NEARLY_HOURLY = timedelta(
    minutes=59
)  # on the hour some seconds would decide whether names are urgent, or wait for a canary


def foretold(profile: str, start: datetime, schedule: Schedule, length: timedelta) -> forecast.Forecast:
    wanted = [Wanted(Identifier(name), "default", profile, "web") for name in NAMES]
    setting = forecast.Setting(schedule, validation=timedelta(seconds=2))
    return forecast.play(wanted, (), {profile: published(profile)}, setting, start=start, until=start + length)


SECONDS_DECIDE = 0.35
"""With L, C and the interval in whole hours a name can close to the second one interval later: then it is urgent, or waits for a canary,
as the seconds of its validation will have it, and the refresh takes one order more or less."""


@pytest.mark.parametrize(
    ("profile", "start", "every", "refresh", "days", "slack"),
    [
        ("classic", TODAY, DAY, "early", 70, 0.0),
        ("classic", TODAY, DAY, "lapse", 70, 0.0),
        ("classic", IN_2027, 5 * HOUR, "early", 30, 0.0),
        ("classic", IN_2027, HOUR, "early", 20, SECONDS_DECIDE),
        ("classic", IN_2028, DAY, "early", 4, 0.0),
        ("classic", IN_2028, 4 * HOUR, "early", 2, 0.0),
        ("classic", IN_2028, HOUR, "early", 2, SECONDS_DECIDE),
        ("classic", IN_2028, 5 * HOUR, "lapse", 2, 0.0),
        ("tlsserver", TODAY, 5 * HOUR, "early", 2, 0.0),
    ],
)
def test_a_forecast_counts_what_the_engine_then_asks(
    tmp_path: Path, profile: str, start: datetime, every: timedelta, refresh: str, days: int, slack: float
) -> None:
    length = days * DAY
    with World(tmp_path, start=start, profile=profile, is_trusting=True) as world:
        master = world.master(*NAMES, every=every, refresh=refresh)
        world.play(world.every(every, master.run), until=start + length)
        real = master.costs.requests
        measures = [world.measure(name) for name in NAMES]
    told = foretold(profile, start, Schedule(every, early=refresh == "early"), length)
    assert told.costs.validations == real["challenge"]
    assert told.costs.orders == pytest.approx(real["newOrder"], rel=slack)
    assert told.costs.requests == pytest.approx(real.total(), rel=max(0.04, slack / 3))
    assert told.longest.total_seconds() == pytest.approx(max(m.longest for m in measures).total_seconds(), abs=60)
    assert told.share == pytest.approx(sum(m.share for m in measures) / len(measures), abs=0.002)
