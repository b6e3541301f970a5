"""The CA's time: corrected by its last answer, until our own clock was set."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from acmectl.storage.clock import CAClock
from acmectl.storage.memory import Memory

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
YEAR = timedelta(days=365)


class Host:
    def __init__(self, directory: Path) -> None:
        self.now = NOW
        self.memory = Memory(directory / "state.db")
        self.clock = CAClock(self.memory, lambda: self.now)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    made = Host(tmp_path)
    yield made
    made.memory.close()


def test_a_host_that_never_asked_believes_its_own_clock(host: Host) -> None:
    host.clock.learn(None)
    assert host.clock() == NOW


@pytest.mark.parametrize("offset", [YEAR, -YEAR, timedelta(minutes=2)])
def test_a_difference_is_corrected_from_then_on(host: Host, offset: timedelta) -> None:
    host.clock.learn(offset)
    host.now += timedelta(days=3)
    assert host.clock() == NOW + timedelta(days=3) + offset


def test_a_difference_within_a_minute_is_none(host: Host) -> None:
    host.clock.learn(YEAR)
    host.clock.learn(timedelta(seconds=59))
    assert host.clock() == NOW


def test_a_correction_ends_when_somebody_sets_our_clock_back(host: Host) -> None:
    host.clock.learn(-YEAR)
    host.now -= YEAR
    assert host.clock() == host.now
    host.clock.review()
    host.now += 2 * YEAR
    assert host.clock() == host.now


def in_doubt(host: Host) -> bool:
    return host.clock.jumped_back


def test_a_clock_that_jumps_back_is_in_doubt_until_the_ca_tells_the_time(host: Host) -> None:
    host.clock.review()
    host.now += timedelta(days=8)
    host.clock.review()
    assert not in_doubt(host)
    host.now -= timedelta(days=20)
    for _ in range(2):
        host.clock.review()
        assert in_doubt(host)
    host.clock.learn(None)
    assert in_doubt(host)
    host.clock.learn(timedelta(days=20))
    assert not in_doubt(host)
    assert host.clock() == NOW + timedelta(days=8)


def test_a_clock_that_is_set_back_by_some_seconds_is_not_in_doubt(host: Host) -> None:
    host.clock.review()
    host.now -= timedelta(seconds=59)
    assert not in_doubt(host)


def test_a_correction_that_nothing_disproves_outlives_a_review(host: Host) -> None:
    host.clock.learn(-YEAR)
    host.clock.review()
    assert host.clock() == NOW - YEAR
