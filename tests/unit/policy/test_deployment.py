from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from acmectl.model.memory import Deployment, DeployStep
from acmectl.policy import deployment as policy

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
WANTED = Deployment("mail", "files[0]", digest="d", generation=2, fingerprint="f", copies="1@2")
DONE = policy.deployed(WANTED, NOW)


def failure(last: Deployment | None, *, step: DeployStep = DeployStep.RELOAD, now: datetime = NOW) -> Deployment:
    return policy.failed(WANTED, last, step=step, error="no", hint=None, now=now)


def test_three_failures_are_tried_again_by_the_very_next_run_and_then_after_growing_pauses_of_at_most_an_hour() -> None:
    pauses = [int(policy.pause_after(failures) / timedelta(minutes=1)) for failures in range(1, 13)]
    assert pauses == [0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert policy.pause_after(10**6) == policy.LONGEST


def test_a_reload_that_works_and_rewrites_the_files_is_repeated_once_a_day_after_three_of_them() -> None:
    first = failure(None, step=DeployStep.KEEP)
    third = failure(failure(first, step=DeployStep.KEEP), step=DeployStep.KEEP)
    assert (first.retry_at, third.retry_at) == (NOW, NOW + timedelta(days=1))
    for last, hours, expected in ((first, 0, True), (third, 0, False), (third, 23, False), (third, 24, True)):
        now = NOW + timedelta(hours=hours)
        assert policy.may_try(last, digest="d", fingerprint="f", now=now) is expected
    assert policy.may_try(third, digest="d", fingerprint="f", now=NOW - timedelta(hours=1)), "by a clock that was ahead"


def test_failures_are_counted_in_a_row_since_the_first() -> None:
    first = failure(None)
    second = failure(first, step=DeployStep.VERIFY, now=NOW + timedelta(hours=1))
    assert (first.attempts, first.failing_since, first.retry_at, first.deployed_at) == (1, NOW, NOW, None)
    assert (second.attempts, second.failing_since, second.failed_step) == (2, NOW, DeployStep.VERIFY)
    assert failure(DONE).attempts == 1
    assert failure(DONE).deployed_at == NOW, "when it was done the last time"


@pytest.mark.parametrize("change", [{"fingerprint": "other"}, {"digest": "other"}])
def test_another_certificate_or_other_options_begin_anew(change: dict[str, str]) -> None:
    assert failure(replace(failure(None), **change)).attempts == 1  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("last", "is_deployed"),
    [
        (None, False),
        (DONE, True),
        (failure(DONE), False),
        (replace(DONE, digest="other"), False),
        (replace(DONE, fingerprint="other"), False),
        (replace(DONE, copies="other"), False),
        (replace(DONE, verify_digest="other"), False),
    ],
)
def test_deployed_is_what_nobody_changed_since(last: Deployment | None, *, is_deployed: bool) -> None:
    assert policy.is_deployed(last, digest="d", fingerprint="f", stamp="1@2") is is_deployed


def test_a_pause_holds_for_the_same_certificate_and_options_alone() -> None:
    paused = replace(failure(None), retry_at=NOW + timedelta(minutes=1))
    assert not policy.may_try(paused, digest="d", fingerprint="f", now=NOW)
    assert policy.may_try(paused, digest="d", fingerprint="f", now=NOW + timedelta(minutes=1))
    assert policy.may_try(paused, digest="other", fingerprint="f", now=NOW)
    assert policy.may_try(paused, digest="d", fingerprint="other", now=NOW)
    assert policy.may_try(None, digest="d", fingerprint="f", now=NOW)
    assert policy.may_try(DONE, digest="d", fingerprint="f", now=NOW)


def test_what_is_seen_is_deployed_now_unless_all_had_been_done_before() -> None:
    later = NOW + timedelta(hours=1)
    assert policy.seen(WANTED, failure(DONE, step=DeployStep.VERIFY), later).deployed_at == later
    assert policy.seen(WANTED, None, later).deployed_at == later
    assert policy.seen(WANTED, DONE, later).deployed_at == NOW


def test_a_failure_that_nobody_waits_for_leaves_what_was_done() -> None:
    assert policy.without_failure(failure(DONE)) == DONE
    assert policy.without_failure(DONE) == DONE


def test_only_what_was_not_seen_yet_is_looked_at_before_it_is_done_again() -> None:
    unseen = failure(None, step=DeployStep.VERIFY)
    assert policy.needs_only_a_look(unseen, digest="d", fingerprint="f", stamp="1@2")
    assert not policy.needs_only_a_look(unseen, digest="d", fingerprint="f", stamp="touched")
    assert not policy.needs_only_a_look(failure(None), digest="d", fingerprint="f", stamp="1@2")
    assert not policy.needs_only_a_look(None, digest="d", fingerprint="f", stamp="1@2")
    assert not policy.needs_only_a_look(DONE, digest="d", fingerprint="f", stamp="1@2")
    assert policy.needs_only_a_look(DONE, digest="d", fingerprint="f", stamp="1@2", verify="elsewhere")
    assert not policy.needs_only_a_look(failure(None), digest="d", fingerprint="f", stamp="1@2", verify="elsewhere")


def test_a_pause_that_is_longer_than_any_is_that_of_a_clock_that_was_ahead() -> None:
    for pause, may in [(policy.LONGEST, False), (policy.LONGEST + timedelta(seconds=1), True), (timedelta(), True)]:
        paused = replace(failure(None), retry_at=NOW + pause)
        assert policy.may_try(paused, digest="d", fingerprint="f", now=NOW) is may


def test_a_pause_ends_where_the_service_is_to_be_looked_at_elsewhere() -> None:
    paused = replace(failure(None), retry_at=NOW + timedelta(minutes=1))
    assert policy.may_try(paused, digest="d", fingerprint="f", now=NOW, verify="elsewhere")


def test_after_three_reloads_that_did_not_help_there_is_one_a_day() -> None:
    unseen = replace(failure(None, step=DeployStep.VERIFY), reloaded_at=NOW)
    hour, day = timedelta(hours=1), timedelta(days=1)
    assert policy.may_reload(None, now=NOW)
    assert policy.may_reload(replace(unseen, attempts=2), now=NOW)
    assert policy.may_reload(replace(unseen, attempts=3, reloaded_at=None), now=NOW)
    third = replace(unseen, attempts=3)
    assert [policy.may_reload(third, now=NOW + later) for later in (-hour, hour * 0, hour, day)] == [
        True,
        False,
        False,
        True,
    ]


def test_changed_is_what_was_done_and_is_not_as_it_was() -> None:
    assert not policy.was_changed(None, digest="d", fingerprint="f", stamp="1@2")
    assert not policy.was_changed(DONE, digest="d", fingerprint="f", stamp="1@2")
    assert policy.was_changed(DONE, digest="d", fingerprint="f", stamp="other")
    assert not policy.was_changed(DONE, digest="other", fingerprint="f", stamp="other")
    assert not policy.was_changed(failure(None), digest="d", fingerprint="f", stamp="other")


def test_what_somebody_changes_again_and_again_pauses_and_is_counted_anew_after_a_day() -> None:
    last, pauses = DONE, []
    for _ in range(5):
        last = policy.deployed(WANTED, NOW, changed=last)
        pauses.append(last.retry_at and last.retry_at - NOW)
    assert pauses == [None, None, None, timedelta(minutes=1), timedelta(minutes=2)]
    assert policy.deployed(WANTED, NOW + timedelta(days=1), changed=last).changes == 1
