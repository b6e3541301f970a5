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


def test_a_later_retry_after_is_obeyed_and_an_earlier_one_is_not_a_shortcut() -> None:
    assert _after(1, retry_after=timedelta(hours=3)).retry_at == NOW + timedelta(hours=3)
    assert _after(3, retry_after=timedelta(seconds=1)).retry_at == NOW + timedelta(minutes=100)


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
