"""The table of stories: `python -m tests.stories.table [DAYS]` plays a hundred days of each, and prints what was measured.

Beside the master with early refresh: the same master with `refresh: lapse`, and the master that everybody writes first, which orders
once a day and proves what comes back pending.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.stories.naive import NaiveMaster
from tests.stories.world import DAY, HOUR, IN_2027, IN_2028, MINUTE, TODAY, Event, Host, Span, World, occupied

NAMES = ("a.acme.test", "b.acme.test", "c.acme.test")


@dataclass(frozen=True, slots=True)
class Row:
    """A story: what the CA's rules are, how often the master runs, and what happens."""

    title: str
    start: datetime
    every: timedelta
    profile: str = "classic"
    happens: str = ""


ROWS = (
    Row("classic today, hourly", TODAY, HOUR),
    Row("classic today, daily", TODAY, DAY),
    Row("classic 2027 (10 d), hourly", IN_2027, HOUR),
    Row("classic 2027 (10 d), daily", IN_2027, DAY),
    Row("classic 2028 (7 h), hourly", IN_2028, HOUR),
    Row("classic 2028 (7 h), daily", IN_2028, DAY),
    Row("tlsserver, hourly", TODAY, HOUR, "tlsserver"),
    Row("30 -> 10 days in mid-life, hourly", datetime(2027, 1, 5, tzinfo=UTC), HOUR),
    Row("master down for 3 days (10 d)", IN_2027, HOUR, happens="down"),
    Row("no way to prove for a day (10 d)", IN_2027, HOUR, happens="occupied"),
    Row("CA forgets all, verified daily", TODAY, HOUR, happens="forgets"),
    Row("clock an hour ahead (10 d)", IN_2027, HOUR, happens="ahead"),
    Row("clock an hour behind (10 d)", IN_2027, HOUR, happens="behind"),
)
_SKEW = {"ahead": HOUR, "behind": -HOUR}


def main(days: int) -> None:
    print(f"{days} days, {len(NAMES)} names; orders, validations and requests for each name and day\n")
    print(
        f"{'story':36} {'master':6} {'longest gap':>13} {'gaps':>5} {'usable':>8} {'orders':>7} {'valid.':>7} {'requests':>9}"
    )
    for row in ROWS:
        for refresh in ("early", "lapse", "naive"):
            with tempfile.TemporaryDirectory() as directory:
                print(f"{row.title:36} {refresh:6} {_played(row, refresh, days, Path(directory))}", flush=True)


def _played(row: Row, refresh: str, days: int, directory: Path) -> str:
    trusting = refresh == "naive"
    with World(directory, start=row.start, profile=row.profile, is_trusting=trusting) as world:
        run, requests = _naive(world) if trusting else _engine(world, row, refresh)
        _play(world, row, run, row.start + days * DAY)
        measures = [world.measure(name) for name in NAMES]
        worst = max(measures, key=lambda measure: measure.longest)
        per = len(NAMES) * days
        sums = (requests["newOrder"], requests["challenge"], sum(requests.values()))
        counts = " ".join(f"{count / per:>{width}.3f}" for count, width in zip(sums, (7, 7, 9), strict=True))
        longest = timedelta(seconds=round(worst.longest.total_seconds()))
        return f"{longest!s:>13} {len(worst.gaps):5} {worst.share:8.3%} {counts}"


def _engine(world: World, row: Row, refresh: str) -> tuple[Callable[[], object], Counter[str]]:
    skew = _SKEW.get(row.happens, timedelta())
    host: Host = world.master(*NAMES, every=row.every, refresh=refresh, skew=skew)
    runs = 0

    def run() -> None:
        nonlocal runs
        runs += 1
        host.run(verify=row.happens == "forgets" and runs % 24 == 0)

    return run, host.costs.requests


def _naive(world: World) -> tuple[Callable[[], object], Counter[str]]:
    world.host("account", "certificates: {none: {names: [none.test]}}\n")
    naive = NaiveMaster(world, *NAMES)
    return naive.run, naive.requests


def _play(world: World, row: Row, run: Callable[[], object], until: datetime) -> None:
    every = row.every if not isinstance(getattr(run, "__self__", None), NaiveMaster) else DAY
    world.clock.advance(MINUTE / 2)  # cron is never quite on time
    run()
    trouble = Span(row.start + 9 * DAY, row.start + (12 if row.happens == "down" else 10) * DAY)

    def runs() -> Iterator[Event]:
        return world.every(every, run, phase=row.start + _after(world.now - row.start, every) - world.now, away=away)

    away = [trouble] if row.happens == "down" else []
    if row.happens == "occupied" and every != DAY:
        world.play(runs(), until=trouble.start)
        with occupied(world.port):
            world.play(runs(), until=trouble.end)
    forgets: list[Event] = [(row.start + 5 * DAY + HOUR / 2, world.forget)] if row.happens == "forgets" else []
    world.play(runs(), forgets, until=until)


def _after(passed: timedelta, every: timedelta) -> timedelta:
    """The next multiple of `every`."""
    return (passed // every + 1) * every


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
