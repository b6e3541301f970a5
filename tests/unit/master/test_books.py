"""What a refusal of the CA means for the next runs, and what is learned of which CA."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from acmectl.errors import CAError, CARefused, Problem, RateLimited
from acmectl.master.books import Books, remembered
from acmectl.master.reuse import Reuse
from acmectl.model.memory import RememberedAuthorization
from acmectl.model.names import Identifier
from acmectl.policy.refresh import Wanted
from acmectl.storage.memory import Memory

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
URL = "https://ca.test/directory"
WANTED = Wanted(Identifier("a.test"), "default", None, "dns")
PAUSED = RateLimited(Problem("rateLimited", "paused: see https://ca.test/unpause", 429), doing="the new order")
LIMITED = RateLimited(
    Problem("rateLimited", "too many new orders (300) from this account", 429),
    doing="the new order",
    retry_after=timedelta(minutes=36),
)


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Memory]:
    memory = Memory(tmp_path / "state.db")
    yield memory
    memory.close()


def books(memory: Memory, *, url: str = URL, may_wait: bool = True) -> Books:
    return Books(memory, directory_url=url, new_orders=1, may_wait=may_wait)


def valid(lifetime: timedelta | None = timedelta(days=30)) -> RememberedAuthorization:
    return remembered(
        WANTED,
        "https://ca.test/authz/1",
        expires_at=NOW + timedelta(days=30),
        validated_at=NOW if lifetime else None,
        lifetime=lifetime,
        challenge_type="dns-01",
        now=NOW,
    )


def test_a_paused_name_waits_for_a_person_if_one_can_ask_for_it(memory: Memory) -> None:
    assert books(memory).failed({WANTED: PAUSED}, NOW)[WANTED].retry_at is None


def test_a_paused_name_that_nobody_can_ask_for_is_tried_daily(memory: Memory) -> None:
    failure = books(memory, may_wait=False).failed({WANTED: PAUSED}, NOW)[WANTED]
    assert failure.retry_at == NOW + timedelta(hours=23)


def test_an_exact_set_without_a_retry_after_is_tried_daily_and_no_pause_for_a_person(memory: Memory) -> None:
    detail = "too many certificates (5) already issued for this exact set of identifiers in the last 168h0m0s"
    refusal = RateLimited(Problem("rateLimited", detail, 429), doing="the new order")
    assert books(memory).failed({WANTED: refusal}, NOW)[WANTED].retry_at == NOW + timedelta(hours=23)


def test_a_refused_account_is_never_left_alone_for_ever(memory: Memory) -> None:
    run = books(memory)
    assert run.block("default", PAUSED, NOW).retry_at == NOW + timedelta(hours=23)
    deactivated = CARefused(Problem("unauthorized", "deactivated", 403), doing="the new order")
    assert run.block("mail", deactivated, NOW).retry_at == NOW + timedelta(minutes=1)
    assert set(memory.failures("account")) == {"default", "mail"}


def test_an_account_that_is_refused_often_in_one_run_has_failed_once(memory: Memory) -> None:
    for count in (1, 2):
        run = books(memory)
        for _ in range(4):
            run.block("default", LIMITED, NOW)
        failure = memory.failures("account")["default"]
        assert (failure.count, failure.retry_at) == (count, NOW + timedelta(minutes=36))


def test_what_a_run_still_proved_does_not_lift_the_limit_that_it_ran_into(memory: Memory) -> None:
    run = books(memory)
    run.block("default", LIMITED, NOW)
    run.valid([valid()])
    assert "default" in memory.failures("account")
    books(memory).valid([valid()])
    assert memory.failures("account") == {}


def test_a_name_that_fails_often_in_one_run_has_failed_once(memory: Memory) -> None:
    for count in (1, 2):
        run = books(memory)
        for _ in range(3):
            run.failed({WANTED: CAError("no")}, NOW)
        assert memory.failures("name")[WANTED.failure_key].count == count
    run.valid([valid()])
    assert memory.failures("name") == {}
    assert run.failed({WANTED: CAError("no")}, NOW)[WANTED].count == 1, "it had succeeded in between"


def test_what_was_learned_of_one_ca_is_not_believed_of_another(memory: Memory) -> None:
    old = books(memory)
    old.lore.learn_limit(None, 25, NOW)
    old.lore.learn_span("classic", None, timedelta(days=7))
    old.lore.new_authz_refused(CAError("404"), NOW)
    Reuse(memory, directory_url=URL).learn(None, [WANTED.identifier], reused=True)
    for run, limit, span, works, proven in (
        (old, 25, timedelta(days=7), False, True),
        (books(memory, url="https://other.test/directory"), 100, None, True, False),
    ):
        assert (run.lore.learned_limit(None, NOW), run.lore.knowledge("classic", None).span) == (limit, span)
        assert run.lore.new_authz_works is works
        url = URL if proven else "https://other.test/directory"
        assert Reuse(memory, directory_url=url).is_proven(None) is proven


def test_a_limit_of_names_is_asked_for_again_after_ninety_days(memory: Memory) -> None:
    run = books(memory)
    run.lore.learn_limit(None, 1, NOW)
    assert run.lore.learned_limit(None, NOW + timedelta(days=90)) == 1
    assert run.lore.learned_limit(None, NOW + timedelta(days=91)) == 100
    run.lore.learn_limit(None, 25, NOW + timedelta(days=91))
    assert run.lore.learned_limit(None, NOW + timedelta(days=92)) == 25


def test_what_is_not_wanted_any_more_can_be_given_up_as_long_as_it_is_valid(memory: Memory) -> None:
    run, soon = books(memory), NOW + timedelta(days=29)
    run.valid([valid()])
    run.let_go([valid()], NOW)
    assert memory.authorizations() == ()
    assert [a.url for a in run.gone(soon)] == [valid().url]
    assert run.gone(NOW + timedelta(days=31)) == ()
    run.valid([valid()])
    assert run.gone(soon) == (), "it is wanted again"
    run.let_go([valid()], NOW)
    run.forget(run.gone(NOW), NOW)
    assert run.gone(NOW) == ()


def test_a_lifetime_that_the_ca_shows_no_more_is_remembered(memory: Memory) -> None:
    run = books(memory)
    run.valid([valid()])
    assert run.with_lifetime(valid(None)) == valid()
    other = replace(valid(None), url="https://ca.test/authz/2")
    assert run.with_lifetime(other) == other
