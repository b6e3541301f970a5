"""Nothing goes wrong: runs by the clock, and no follower ever finds a name unauthorized.

Each story covers at least one refresh here; `make stories` plays a hundred days of each.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.stories.world import DAY, HOUR, IN_2027, IN_2028, TODAY, World

NAMES = ("a.acme.test", "b.acme.test", "c.acme.test")
VALIDATION = timedelta(seconds=10)  # how long one takes here: some polls, one second each
BAR = VALIDATION + timedelta(minutes=1)


@pytest.mark.parametrize(
    ("profile", "start", "every", "days"),
    [
        ("classic", TODAY, HOUR, 32),
        ("classic", TODAY, DAY, 60),
        ("classic", IN_2027, HOUR, 20),
        ("classic", IN_2027, DAY, 30),
        ("classic", IN_2028, HOUR, 2),
        ("tlsserver", TODAY, HOUR, 2),
    ],
    ids=["30d-hourly", "30d-daily", "10d-hourly", "10d-daily", "7h-hourly", "tlsserver-hourly"],
)
def test_the_window_never_closes(tmp_path: Path, profile: str, start: datetime, every: timedelta, days: int) -> None:
    with World(tmp_path, start=start, profile=profile) as world:
        master = world.master(*NAMES, every=every)
        until = start + days * DAY
        master.run()
        world.play(
            world.every(every, master.run, phase=every),
            world.samples(*NAMES, every=max(HOUR, days * DAY / 40)),
            until=until,
        )
        assert max(world.measure(name).longest for name in NAMES) <= BAR
