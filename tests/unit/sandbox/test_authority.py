"""What the authority does in its own threads."""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime, timedelta

import pytest

from acmectl.errors import Problem
from acmectl.model.orders import AuthorizationStatus
from acmectl.sandbox.authority import Authority
from acmectl.sandbox.clock import Clock
from acmectl.sandbox.issuer import Issuer
from acmectl.sandbox.nonces import Nonces
from acmectl.sandbox.rules import BOULDER
from acmectl.sandbox.validation import Attempt, Trusting
from tests.unit.sandbox.conftest import MakeDesk
from tests.unit.sandbox.desk import Desk


class _Remembering:
    """Notes what it was asked, and believes it."""

    def __init__(self) -> None:
        self.attempts: list[Attempt] = []

    def validate(self, attempt: Attempt) -> Problem | None:
        self.attempts.append(attempt)
        return None


class _Defective:
    def validate(self, attempt: Attempt) -> Problem | None:
        raise ArithmeticError(attempt.type)


def test_an_attempt_carries_the_key_authorization_of_the_accounts_present_key(issuer: Issuer) -> None:
    validator = _Remembering()
    authority = Authority(BOULDER, Clock(), issuer, validator)
    desk = Desk(authority)
    part = desk.parts(desk.order("*.example.com"))["*.example.com"]
    authority.answer(desk.us, part.id, "dns-01")
    authority.close()
    [attempt] = validator.attempts
    assert attempt.key_authorization == f"{part.challenges[0].token}.{desk.us.thumbprint}"
    assert attempt.identifier.challenge_record == "_acme-challenge.example.com"
    assert part.status is AuthorizationStatus.VALID


def test_a_defect_of_a_validator_is_logged_and_not_swallowed(issuer: Issuer, caplog: pytest.LogCaptureFixture) -> None:
    authority = Authority(BOULDER, Clock(), issuer, _Defective())
    desk = Desk(authority)
    with caplog.at_level(logging.ERROR):
        authority.answer(desk.us, desk.order("a.example.com").authorization_ids[0], "dns-01")
        authority.close()
    assert "the sandbox has a defect" in caplog.text
    assert "ArithmeticError" in caplog.text


def test_an_answer_while_the_sandbox_is_being_stopped_starts_nothing(make_desk: MakeDesk) -> None:
    desk = make_desk()
    order = desk.order("a.example.com")
    desk.authority.close()
    part, _ = desk.authority.answer(desk.us, order.authorization_ids[0], "dns-01")
    assert part.status is AuthorizationStatus.PENDING


def test_closing_waits_for_no_delay(issuer: Issuer) -> None:
    from dataclasses import replace

    authority = Authority(replace(BOULDER, validation_delay=timedelta(hours=1)), Clock(), issuer, Trusting())
    desk = Desk(authority)
    part = desk.parts(desk.order("a.example.com"))["a.example.com"]
    authority.answer(desk.us, part.id, "dns-01")
    closing = threading.Thread(target=authority.close)
    closing.start()
    closing.join(10)
    assert not closing.is_alive()
    assert part.status is AuthorizationStatus.PENDING


def test_old_nonces_are_forgotten_first() -> None:
    nonces = Nonces(kept=2)
    first, second, third = nonces.new(), nonces.new(), nonces.new()
    assert [nonces.use(nonce) for nonce in (first, second, third, third)] == [False, True, True, False]


def test_the_clock_can_be_moved_both_ways() -> None:
    start = datetime(2026, 8, 1, tzinfo=UTC)
    clock = Clock(lambda: start)
    assert clock.advance(timedelta(days=1)) == clock.now() == start + timedelta(days=1)
    assert clock.advance(timedelta(days=-2)) == start - timedelta(days=1)
    assert clock.set(start) == clock.now() == start
