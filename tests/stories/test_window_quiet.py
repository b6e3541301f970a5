"""Nothing goes wrong: runs by the clock, and no follower ever finds a name unauthorized.

A hundred days where an authorization lives for days; where it lives for hours some weeks have as many refreshes, and `make stories` plays,
and judges, a hundred days of these as well. Where a schedule cannot do that, the warning says so in numbers, and the numbers are true.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from acmectl.cli import forecast
from acmectl.cli.render.forecast import warnings
from tests.stories.world import DAY, HOUR, IN_2027, IN_2028, TODAY, World

NAMES = ("a.acme.test", "b.acme.test", "c.acme.test")
VALIDATION = timedelta(seconds=10)  # how long one takes here: some polls, one second each
BAR = VALIDATION + timedelta(minutes=1)


@pytest.mark.parametrize(
    ("profile", "start", "every", "names", "days"),
    [
        ("classic", TODAY, HOUR, NAMES, 100),
        ("classic", TODAY, DAY, NAMES, 100),
        ("classic", IN_2027, HOUR, NAMES, 100),
        ("classic", IN_2027, DAY, NAMES, 100),
        ("classic", IN_2028, HOUR, NAMES[:1], 25),
        ("tlsserver", TODAY, HOUR, NAMES[:2], 4),
    ],
    ids=["30d-hourly", "30d-daily", "10d-hourly", "10d-daily", "7h-hourly", "tlsserver-hourly"],
)
def test_the_window_never_closes(
    tmp_path: Path, profile: str, start: datetime, every: timedelta, names: tuple[str, ...], days: int
) -> None:
    with World(tmp_path, start=start, profile=profile) as world:
        master = world.master(*names, every=every)
        master.run()
        world.play(
            world.every(every, master.run, phase=every),
            world.samples(*names, every=days * DAY / 40),
            until=start + days * DAY,
        )
        assert max(world.measure(name).longest for name in names) <= BAR
        host = master.app()
        assert forecast.shortfalls(host) == ()
        host.state.close()


def test_a_daily_run_cannot_hold_seven_hours_and_the_warning_says_so_in_true_numbers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with World(tmp_path, start=IN_2028) as world:
        master = world.master(*NAMES[:1], every=DAY)
        world.play(world.every(DAY, master.run), until=world.start + 10 * DAY)
        host = master.app()
        warnings(forecast.shortfalls(host))
        host.state.close()
        said = capsys.readouterr().err
        assert "runs every 1d leave names unauthorized for 18 hours of every day" in said
        assert "`every: 3h` would hold" in said
        gaps = [gap.length for gap in world.measure(NAMES[0]).gaps]
        assert len(gaps) == 10
        assert all(abs(gap - 18 * HOUR) <= timedelta(minutes=1) for gap in gaps)
