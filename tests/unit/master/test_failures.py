"""What a refusal of the CA means for the next runs."""

from __future__ import annotations

from datetime import timedelta

from acmectl.errors import CAError, CARefused, Problem, RateLimited
from acmectl.storage.memory import Memory
from tests.unit.master.book_keeping import NOW, WANTED, books, valid

PAUSED = RateLimited(Problem("rateLimited", "paused: see https://ca.test/unpause", 429), doing="the new order")
LIMITED = RateLimited(
    Problem("rateLimited", "too many new orders (300) from this account", 429),
    doing="the new order",
    retry_after=timedelta(minutes=36),
)


def test_a_paused_name_waits_for_a_person_if_one_can_ask_for_it(memory: Memory) -> None:
    assert books(memory).failures.failed({WANTED: PAUSED}, NOW)[WANTED].retry_at is None


def test_a_paused_name_that_nobody_can_ask_for_is_tried_daily(memory: Memory) -> None:
    failure = books(memory, may_wait=False).failures.failed({WANTED: PAUSED}, NOW)[WANTED]
    assert failure.retry_at == NOW + timedelta(hours=23)


def test_an_exact_set_without_a_retry_after_is_tried_daily_and_no_pause_for_a_person(memory: Memory) -> None:
    detail = "too many certificates (5) already issued for this exact set of identifiers in the last 168h0m0s"
    refusal = RateLimited(Problem("rateLimited", detail, 429), doing="the new order")
    assert books(memory).failures.failed({WANTED: refusal}, NOW)[WANTED].retry_at == NOW + timedelta(hours=23)


def test_a_refused_account_is_never_left_alone_for_ever(memory: Memory) -> None:
    run = books(memory)
    assert run.failures.block("default", PAUSED, NOW).retry_at == NOW + timedelta(hours=23)
    deactivated = CARefused(Problem("unauthorized", "deactivated", 403), doing="the new order")
    assert run.failures.block("mail", deactivated, NOW).retry_at == NOW + timedelta(minutes=1)
    assert set(memory.failures("account")) == {"default", "mail"}


def test_an_account_that_is_refused_often_in_one_run_has_failed_once(memory: Memory) -> None:
    for count in (1, 2):
        run = books(memory)
        for _ in range(4):
            run.failures.block("default", LIMITED, NOW)
        failure = memory.failures("account")["default"]
        assert (failure.count, failure.retry_at) == (count, NOW + timedelta(minutes=36))


def test_what_a_run_still_proved_does_not_lift_the_limit_that_it_ran_into(memory: Memory) -> None:
    run = books(memory)
    run.failures.block("default", LIMITED, NOW)
    run.valid([valid()])
    assert "default" in memory.failures("account")
    books(memory).valid([valid()])
    assert memory.failures("account") == {}


def test_a_name_that_fails_often_in_one_run_has_failed_once(memory: Memory) -> None:
    for count in (1, 2):
        run = books(memory)
        for _ in range(3):
            run.failures.failed({WANTED: CAError("no")}, NOW)
        assert memory.failures("name")[WANTED.failure_key].count == count
    run.valid([valid()])
    assert memory.failures("name") == {}
    assert run.failures.failed({WANTED: CAError("no")}, NOW)[WANTED].count == 1, "it had succeeded in between"
