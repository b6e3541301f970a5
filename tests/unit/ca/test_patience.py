from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from acmectl.ca.patience import Clocks, Patience, Polling, retry_after

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


@dataclass
class Ticking:
    pauses: list[float] = field(default_factory=list)

    @property
    def clocks(self) -> Clocks:
        return Clocks(self.pauses.append, lambda: sum(self.pauses), lambda: NOW)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"Retry-After": "120"}, timedelta(seconds=120)),
        ({"Retry-After": " 0 "}, timedelta(0)),
        ({"Retry-After": "Fri, 01 May 2026 12:00:30 GMT"}, timedelta(seconds=30)),
        ({"Retry-After": "Fri, 01 May 2026 14:00:30 +0200"}, timedelta(seconds=30)),
        ({"Retry-After": "Friday, 01-May-26 12:00:30 GMT"}, timedelta(seconds=30)),
        ({"Retry-After": "Fri, 01 May 2026 11:00:00 GMT"}, timedelta(0)),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "1.5"}, None),
        ({"Retry-After": "٣"}, None),
        ({"Retry-After": ""}, None),
        ({"Retry-After": "9" * 30}, timedelta(days=366)),
        ({"Retry-After": "Fri, 01 May 9999 12:00:00 GMT"}, timedelta(days=366)),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(headers: dict[str, str], expected: timedelta | None) -> None:
    assert retry_after(headers, NOW) == expected


def test_a_date_is_compared_with_the_date_of_the_same_answer() -> None:
    headers = {"Retry-After": "Sat, 01 May 2027 12:00:30 GMT", "Date": "Sat, 01 May 2027 12:00:00 GMT"}

    assert retry_after(headers, NOW) == timedelta(seconds=30)


def test_pauses_grow_and_then_patience_is_used_up() -> None:
    ticking = Ticking()
    patience = Patience(ticking.clocks)

    assert [patience.wait() for _ in range(5)] == [True, True, True, True, False]
    assert ticking.pauses == [1, 2, 4, 8]


def test_what_is_asked_for_is_waited_as_long_as_it_fits_into_a_request() -> None:
    ticking = Ticking()
    patience = Patience(ticking.clocks)

    assert patience.wait(timedelta(seconds=40))
    assert not patience.wait(timedelta(seconds=40))
    assert patience.wait(timedelta(seconds=20))
    assert ticking.pauses == [40, 20]


def test_an_hour_is_not_waited_for() -> None:
    ticking = Ticking()

    assert not Patience(ticking.clocks).wait(timedelta(hours=1))
    assert ticking.pauses == []


def test_zero_does_not_make_us_spin() -> None:
    ticking = Ticking()

    assert Patience(ticking.clocks).wait(timedelta(0))
    assert ticking.pauses == [0.25]


def test_polling_slows_down_and_ends_at_its_time_limit() -> None:
    ticking = Ticking()
    polling = Polling(ticking.clocks, timedelta(seconds=20))

    while polling.wait(None):
        pass

    assert sum(ticking.pauses) == pytest.approx(20)
    assert ticking.pauses[:3] == pytest.approx([0.5, 0.75, 1.125])
    assert max(ticking.pauses) == 5


def test_polling_never_looks_earlier_than_it_is_asked_to() -> None:
    ticking = Ticking()
    polling = Polling(ticking.clocks, timedelta(seconds=10))

    assert polling.wait(timedelta(seconds=7))
    assert not polling.wait(timedelta(seconds=7))
    assert ticking.pauses == [7]
