"""Two masters of one account that run at the very same moment, each with its own state, over one name server and one CA.

Cron starts both at the full hour. They are handed the same orders and the same challenges, publish the same values, and each
takes away what it published: neither may cost the other a name, or itself.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from acmectl.master import MasterReport
from tests.stories.name_server import NameServer
from tests.stories.world import DAY, HOUR, IN_2027, TODAY, Host, Span, World

NAMES = ("a.acme.test", "*.acme.test", "b.other.test")
BAR = timedelta(minutes=2)  # their pauses add up on the world's one clock


class Pair:
    """Two hosts whose runs begin together, and whose newOrders are answered together."""

    def __init__(self, one: Host, two: Host) -> None:
        self.hosts = (one, two)
        self.failed: list[MasterReport] = []

    def run(self) -> None:
        with ThreadPoolExecutor(2) as threads:
            reports = list(threads.map(lambda host: host.run(), self.hosts))
        self.failed += [report for report in reports if report.failed]

    @property
    def validations(self) -> int:
        return sum(host.costs.requests["challenge"] for host in self.hosts)

    @property
    def orders(self) -> int:
        return sum(host.costs.requests["newOrder"] for host in self.hosts)


class Meeting:
    """Holds the first of two requests whose line has `at` in it, until the second one comes or a moment has passed."""

    def __init__(self, at: str) -> None:
        self._at = at
        self._lock = threading.Lock()
        self._waiting: threading.Event | None = None
        self.met = 0

    def see(self, line: str) -> None:
        if self._at not in line:
            return
        with self._lock:
            partner, self._waiting = self._waiting, None if self._waiting else threading.Event()
            mine = self._waiting
        if mine is None:
            assert partner is not None
            partner.set()
            self.met += 1
        elif not mine.wait(0.3):
            with self._lock:
                self._waiting = None


@pytest.fixture
def dns(tmp_path: Path) -> Iterator[NameServer]:
    server = NameServer(tmp_path)
    with server.running():
        yield server


@pytest.mark.parametrize(
    ("at", "profile", "away", "every", "days"),
    [
        ("/acme/new-order", "classic", Span(IN_2027 + 12 * DAY, IN_2027 + 19 * DAY), 6 * HOUR, 30),
        ("/acme/challenge/", "classic", Span(IN_2027 + 12 * DAY, IN_2027 + 19 * DAY), 6 * HOUR, 30),
        ("/acme/challenge/", "tlsserver", Span(TODAY + 7 * HOUR, TODAY + 14 * HOUR), HOUR, 1),
    ],
    ids=["10d-at-new-order", "10d-at-the-challenge", "7h-at-the-challenge"],
)
def test_two_masters_that_run_at_the_same_moment_do_not_fight_and_leave_no_gap(
    tmp_path: Path, dns: NameServer, at: str, profile: str, away: Span, every: timedelta, days: int
) -> None:
    start, meeting = (IN_2027 if profile == "classic" else TODAY), Meeting(at)
    with World(tmp_path, start=start, profile=profile, resolver=dns.resolver) as world:
        pair = Pair(*(world.master(*NAMES, name=n, every=every, solver=dns.solver()) for n in ("one", "two")))
        world.on_request = meeting.see
        world.play(world.every(every, pair.run), until=away.start)
        world.on_request = lambda _: None
        world.play(world.every(every, pair.hosts[0].run), until=away.end)
        world.on_request = meeting.see
        world.play(world.every(every, pair.run), until=start + days * DAY)
        assert meeting.met
        assert pair.failed == []
        assert max(world.measure(name).longest for name in NAMES) <= BAR
        periods = 5  # four refreshes at most in that time, and the beginning
        assert pair.validations <= 2 * len(NAMES) * periods
        assert pair.orders <= 2 * 6 * periods
