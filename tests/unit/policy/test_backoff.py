"""Backoff: 1, 10, 100 minutes, then daily; Retry-After is obeyed, a pause waits for a person."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from acmectl.model.memory import Failure
from acmectl.policy import backoff

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def _after(count: int, **more: timedelta | bool) -> Failure:
    failure: Failure | None = None
    for _ in range(count):
        failure = backoff.failed(failure, kind="name", key="k", reason="no", now=NOW, **more)  # type: ignore[arg-type]
    assert failure is not None
    return failure


def test_pauses_grow_from_a_minute_to_a_day() -> None:
    minutes = [(_after(n).retry_at or NOW) - NOW for n in (1, 2, 3, 4, 9)]
    assert minutes == [timedelta(minutes=1), timedelta(minutes=10), timedelta(minutes=100), *[timedelta(hours=23)] * 2]


@pytest.mark.parametrize("after", [timedelta(seconds=20), timedelta(hours=3)])
def test_a_retry_after_is_obeyed_exactly_however_often_it_comes(after: timedelta) -> None:
    for count in (1, 3, 9):
        failure = _after(count, retry_after=after)
        assert (failure.count, failure.retry_at, failure.asked_until) == (count, NOW + after, NOW + after)


def test_only_failures_that_ask_for_patience_make_the_next_pause_longer() -> None:
    """A name server that was down for a night, a limit that was met four times: then one SERVFAIL costs a minute, not a day."""
    for harmless in ({"local": True}, {"retry_after": timedelta(minutes=10)}, {"standing": True}):
        failure = backoff.failed(_after(17, **harmless), kind="name", key="k", reason="SERVFAIL", now=NOW)
        assert (failure.count, failure.retry_at) == (18, NOW + timedelta(minutes=1))


def test_what_is_still_good_is_tried_again_after_a_hundred_minutes_at_the_latest() -> None:
    failure, at, pauses = None, NOW, []
    for _ in range(10):
        failure = backoff.failed(failure, kind="name", key="k", reason="no", now=at, standing=True)
        assert failure.retry_at is not None
        pauses.append((failure.retry_at - at) // timedelta(minutes=1))
        at = failure.retry_at
    assert pauses == [1, 1, 2, 4, 8, 16, 32, 64, 100, 100]


@pytest.mark.parametrize(("asked", "obeyed"), [(timedelta(0), timedelta(minutes=1)), (timedelta(366), timedelta(7))])
def test_a_retry_after_is_obeyed_for_a_minute_at_least_and_a_week_at_most(asked: timedelta, obeyed: timedelta) -> None:
    blocked = backoff.blocked(None, account="default", reason="no", now=NOW, retry_after=asked, limited=True)
    away = backoff.outage(None, kind="certificate", key="k", reason="down", now=NOW, retry_after=asked)
    assert [f.retry_at for f in (blocked, away, _after(1, retry_after=asked))] == [NOW + obeyed] * 3


def test_the_first_failure_is_remembered_through_later_ones() -> None:
    later = NOW + timedelta(hours=1)
    failure = backoff.failed(_after(1), kind="name", key="k", reason="still no", now=later)
    assert (failure.count, failure.first_at, failure.last_at) == (2, NOW, later)


def test_a_subject_may_be_tried_when_nothing_failed_or_the_pause_is_over() -> None:
    failure = _after(1)
    assert backoff.may_try(None, NOW)
    assert not backoff.may_try(failure, NOW + timedelta(seconds=59))
    assert backoff.may_try(failure, NOW + timedelta(seconds=60))


def test_a_paused_subject_waits_for_a_person() -> None:
    failure = _after(1, paused=True)
    assert failure.retry_at is None
    assert not backoff.may_try(failure, NOW + timedelta(days=365))


def test_a_failure_that_the_ca_had_no_part_in_is_tried_by_the_next_run() -> None:
    failure = _after(5, local=True)
    assert failure.count == 5
    assert backoff.may_try(failure, NOW)


def _outage(previous: Failure | None, after: timedelta, **more: timedelta) -> Failure:
    return backoff.outage(previous, kind="certificate", key="k", reason="down", now=NOW + after, **more)


def test_an_outage_is_one_failure_however_long_and_is_tried_again_within_ten_minutes() -> None:
    failure, after, pauses = None, timedelta(), []
    for _ in range(6):
        failure = _outage(failure, after)
        assert failure.retry_at is not None
        pauses.append((failure.retry_at - NOW - after) // timedelta(minutes=1))
        after = failure.retry_at - NOW
    assert pauses == [1, 1, 2, 4, 8, 10]
    assert failure is not None
    assert (failure.count, failure.first_at) == (1, NOW)
    assert _outage(_after(3), timedelta()).count == 3, "what the CA refused before is not forgotten"


def test_a_retry_after_is_obeyed_in_an_outage_too() -> None:
    assert _outage(None, timedelta(), retry_after=timedelta(hours=2)).retry_at == NOW + timedelta(hours=2)


def test_a_refused_account_is_always_tried_again() -> None:
    first = backoff.blocked(None, account="default", reason="no", now=NOW, retry_after=None)
    assert (first.kind, first.key, first.retry_at) == ("account", "default", NOW + timedelta(minutes=1))
    assert first.asked_until is None
    limited = backoff.blocked(None, account="default", reason="no", now=NOW, retry_after=None, limited=True)
    assert (limited.retry_at, limited.asked_until) == (NOW + timedelta(hours=23), None)


@pytest.mark.parametrize("after", [timedelta(seconds=20), timedelta(days=2)])
def test_a_refused_account_is_tried_again_exactly_when_the_ca_says(after: timedelta) -> None:
    failure = None
    for count in (1, 2, 3, 4):
        failure = backoff.blocked(failure, account="default", reason="no", now=NOW, retry_after=after)
        assert (failure.count, failure.retry_at, failure.asked_until) == (count, NOW + after, NOW + after)
