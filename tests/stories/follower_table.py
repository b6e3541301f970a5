"""The table of followers' stories: `python -m tests.stories.follower_table` plays each, and prints what it cost and when it ended."""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from time import monotonic

from tests.stories import follower_stories as stories
from tests.stories.follower_stories import Figures
from tests.stories.world import DAY, HOUR, memory


@dataclass(frozen=True, slots=True)
class Row:
    """A story, and how many certificates it must end with."""

    title: str
    play: Callable[[Path], Figures]
    wanted: int = 1


def _early(*, same: bool, down: timedelta, interval: timedelta) -> Callable[[Path], Figures]:
    return lambda directory: stories.early(directory, same=same, down=down, interval=interval)


ROWS = (
    Row("5 valid names", lambda directory: stories.names_are_valid(directory, 5)),
    Row("100 valid names", lambda directory: stories.names_are_valid(directory, 100)),
    Row("early, the master's set, hourly", _early(same=True, down=timedelta(), interval=HOUR)),
    Row("early, another set, hourly", _early(same=False, down=timedelta(), interval=HOUR)),
    Row("master down 8 days, its set, hourly", _early(same=True, down=8 * DAY, interval=HOUR)),
    Row("master down 8 days, another set, hourly", _early(same=False, down=8 * DAY, interval=HOUR)),
    Row("master down 8 days, its set, daily", _early(same=True, down=8 * DAY, interval=DAY)),
    Row("master down 8 days, another set, daily", _early(same=False, down=8 * DAY, interval=DAY)),
    Row("another profile for 2 days, hourly", stories.under_another_profile),
    Row("a name refused for 2 days, hourly", stories.a_name_is_refused),
    Row("CAA forbids for 2 days, hourly", stories.caa_forbids),
    Row("account deactivated, 4 days, hourly", stories.the_account_is_deactivated, wanted=0),
    Row("account key rolled over, 4 days, hourly", stories.the_key_is_rolled_over, wanted=0),
)


def main() -> int:
    print("requests of the followers alone; late: from names authorized, or the cause mended, to the certificate\n")
    print(f"{'story':40} {'runs':>5} {'requests':>8} {'orders':>6} {'given up':>8} {'issued':>6} {'late':>16} {'s':>6}")
    missed = 0
    for row in ROWS:
        began = monotonic()
        with tempfile.TemporaryDirectory(dir=memory()) as directory:
            played = row.play(Path(directory))
        print(_line(row.title, played, monotonic() - began), flush=True)
        missed += played.certificates != row.wanted
    missed += _races()
    return 1 if missed else 0


def _line(title: str, played: Figures, seconds: float) -> str:
    asked = played.requests
    late = "" if played.late is None else str(timedelta(seconds=round(played.late.total_seconds())))
    return (
        f"{title:40} {played.runs:5} {asked.total():8} {asked['newOrder']:6} {asked['deactivate']:8} "
        f"{played.certificates:6} {late:>16} {seconds:6.2f}"
    )


def _races() -> bool:
    """Whether a host was left without its own certificate, or more was ordered than needed."""
    began = monotonic()
    with tempfile.TemporaryDirectory(dir=memory()) as directory:
        played = stories.races(Path(directory))
    asked = sum((requests for race in played for requests in race.requests), Counter[str]())
    figures = Figures(2 * len(played), asked, sum(race.certificates for race in played))
    print(_line(f"{len(played)} races of two hosts, one set", figures, monotonic() - began))
    print(f"{sum(race.lost for race in played)} orders of the races were spoiled by the CA, as Boulder does")
    return any(race.kept != 2 or race.lonely for race in played)


if __name__ == "__main__":
    sys.exit(main())
