"""The table of stories: `python -m tests.stories.table [DAYS]` plays a hundred days of each, and prints what was measured.

Beside the master with early refresh: the same master with `refresh: lapse`, and the master that everybody writes first, which orders
once a day and proves what comes back pending. Early refresh is judged: a gap above the bar of its row is marked, and the exit status is 1.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.stories.naive import NaiveMaster
from tests.stories.name_server import NameServer
from tests.stories.world import DAY, HOUR, IN_2027, IN_2028, MINUTE, TODAY, Event, Host, Measure, Span, World, memory

NAMES = ("a.acme.test", "b.acme.test", "c.acme.test")
ADDED = "new.acme.test"
BAR = timedelta(minutes=1, seconds=10)  # a validation and a minute
_MASTERS = ("early", "lapse", "naive")
_SKEW = {"ahead": HOUR, "behind": -HOUR}


@dataclass(frozen=True, slots=True)
class Row:
    """A story: what the CA's rules are, how often the master runs, what happens, and how long a gap may be with early refresh."""

    title: str
    start: datetime
    every: timedelta
    profile: str = "classic"
    happens: str = ""
    bar: timedelta = BAR


# An outage of a day or three that a refresh falls into: followers can use a name for at least an interval more when it begins.
ROWS = (
    Row("classic today, hourly", TODAY, HOUR),
    Row("classic today, daily", TODAY, DAY),
    Row("classic 2027 (10 d), hourly", IN_2027, HOUR),
    Row("classic 2027 (10 d), daily", IN_2027, DAY),
    Row("classic 2028 (7 h), hourly", IN_2028, HOUR),
    Row("classic 2028 (7 h), daily: cannot hold", IN_2028, DAY, bar=18 * HOUR + BAR),
    Row("tlsserver, hourly", TODAY, HOUR, "tlsserver"),
    Row("30 -> 10 days in mid-life, hourly", datetime(2027, 1, 5, tzinfo=UTC), HOUR),
    Row("master down for 3 days (10 d)", IN_2027, HOUR, happens="down", bar=3 * DAY + HOUR),
    Row("DNS down for a day (10 d)", IN_2027, HOUR, happens="dns", bar=DAY + HOUR),
    Row("CA forgets all, verified daily", TODAY, HOUR, happens="forgets", bar=DAY + BAR),
    Row("two masters, one away a week (10 d)", IN_2027, HOUR, happens="pair"),
    Row("domain used up at a refresh (10 d)", IN_2027, HOUR, happens="used", bar=7 * DAY / 50 + HOUR),
    Row("names added in the middle (10 d)", IN_2027, HOUR, happens="added"),
    Row("clock an hour ahead (10 d)", IN_2027, HOUR, happens="ahead"),
    Row("clock an hour behind (10 d)", IN_2027, HOUR, happens="behind"),
)


def main(days: int) -> int:
    print(f"{days} days, {len(NAMES)} names; orders, validations and requests for each name and day\n")
    print(
        f"{'story':38} {'master':6} {'longest gap':>13} {'gaps':>5} {'usable':>8} {'orders':>7} {'valid.':>7} {'requests':>9}"
    )
    missed = 0
    for row in ROWS:
        for kind in _MASTERS:
            with tempfile.TemporaryDirectory(dir=memory()) as directory:
                story = Story(row, kind, days, Path(directory))
                line, worst = story.play()
            is_missed = kind == "early" and worst.longest > row.bar
            missed += is_missed
            print(f"{row.title:38} {kind:6} {line}{'  ABOVE THE BAR' if is_missed else ''}", flush=True)
    return 1 if missed else 0


class Story:
    """One row by one kind of master."""

    def __init__(self, row: Row, kind: str, days: int, directory: Path) -> None:
        self._row = row
        self._kind = kind
        self._days = days
        self._until = row.start + days * DAY
        self._every = DAY if kind == "naive" else row.every
        self._trouble = Span(row.start + 9 * DAY, row.start + (12 if row.happens == "down" else 10) * DAY)
        self._dns = NameServer(directory) if row.happens == "dns" and kind != "naive" else None
        self._directory = directory

    def play(self) -> tuple[str, Measure]:
        """The row's figures as text, and the measure of its worst name."""
        row, trusting = self._row, self._kind == "naive"
        resolver = self._dns.resolver if self._dns else None
        with World(
            self._directory, start=row.start, profile=row.profile, is_trusting=trusting, resolver=resolver
        ) as world:
            requests = self._play_in(world)
            names = (*NAMES, ADDED) if row.happens == "added" and not trusting else NAMES
            measures = [world.measure(name) for name in names]
        worst = max(measures, key=lambda measure: measure.longest)
        per = len(NAMES) * self._days
        sums = (requests["newOrder"], requests["challenge"], sum(requests.values()))
        counts = " ".join(f"{count / per:>{width}.3f}" for count, width in zip(sums, (7, 7, 9), strict=True))
        longest = timedelta(seconds=round(worst.longest.total_seconds()))
        return f"{longest!s:>13} {len(worst.gaps):5} {worst.share:8.3%} {counts}", worst

    def _play_in(self, world: World) -> Counter[str]:
        if self._kind == "naive":
            world.host("account", "certificates: {none: {names: [none.test]}}\n")
            naive = NaiveMaster(world, *NAMES)
            self._run(world, [naive.run])
            return naive.requests
        pair = ("one", "two") if self._row.happens == "pair" else ("master",)
        hosts = [self._master(world, name) for name in pair]
        self._run(world, [_verified_daily(h) if self._row.happens == "forgets" else h.run for h in hosts])
        return sum((host.costs.requests for host in hosts), Counter[str]())

    def _master(self, world: World, name: str) -> Host:
        return world.master(
            *NAMES,
            name=name,
            every=self._row.every,
            refresh=self._kind,
            skew=_SKEW.get(self._row.happens, timedelta()),
            solver=self._dns.solver() if self._dns else None,
        )

    def _run(self, world: World, runs: list[Callable[[], object]]) -> None:
        world.clock.advance(MINUTE / 2)  # cron is never quite on time
        if self._dns is not None:
            self._play_without_dns(world, runs[0])
            return
        for run in runs:
            run()
        begin = self._row.start + self._every - world.now
        down, week = [self._trouble], [Span(self._row.start + 12 * DAY, self._row.start + 19 * DAY)]
        away = {"down": down, "pair": week}.get(self._row.happens, [])
        first = world.every(self._every, runs[0], phase=begin, away=away)
        others = [world.every(self._every, run, phase=begin + 20 * MINUTE) for run in runs[1:]]
        world.play(first, *others, self._events(world), until=self._until)

    def _play_without_dns(self, world: World, run: Callable[[], object]) -> None:
        assert self._dns is not None
        for end, is_up in ((self._trouble.start, True), (self._trouble.end, False), (self._until, True)):
            server: AbstractContextManager[object] = self._dns.running() if is_up else nullcontext()
            with server:
                world.play(world.every(self._every, run), until=end)

    def _events(self, world: World) -> Iterable[Event]:
        start = self._row.start
        if self._row.happens == "forgets":
            return [(start + 5 * DAY + HOUR / 2, world.forget)]
        if self._row.happens == "used" and self._kind != "naive":
            return [(start + 9 * DAY - HOUR / 2, lambda: world.use_up_certificates("acme.test"))]
        if self._row.happens == "added" and self._kind != "naive":
            return [(start + 12 * DAY - MINUTE, lambda: _add(world))]
        return []


def _verified_daily(host: Host) -> Callable[[], object]:
    numbers: Iterator[int] = iter(range(1, sys.maxsize))
    return lambda: host.run(verify=next(numbers) % 24 == 0)


def _add(world: World) -> None:
    """A person adds a name to the master's configuration."""
    (host,) = world.hosts
    host.rewrite(lambda text: text.replace(NAMES[0], f'{NAMES[0]}", "{ADDED}'))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100))
