"""What an authorization says of itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from acmectl.errors import Problem
from acmectl.model.names import Identifier
from acmectl.model.orders import Authorization, AuthorizationStatus, Challenge, ChallengeStatus

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def authorization(*challenges: Challenge) -> Authorization:
    return Authorization("https://ca.test/authz", Identifier("a.test"), AuthorizationStatus.PENDING, None, challenges)


def challenge(status: str, *, at: datetime | None = None, error: Problem | None = None) -> Challenge:
    return Challenge("dns-01", "https://ca.test/chall", "token", ChallengeStatus(status), at, error)


def test_an_authorization_was_validated_when_its_valid_challenge_was() -> None:
    earlier = challenge("pending", at=NOW - timedelta(days=1))
    assert authorization(earlier, challenge("valid", at=NOW)).validated_at == NOW
    assert authorization(earlier, challenge("valid")).validated_at is None


def test_an_authorization_fails_with_the_words_for_its_challenge() -> None:
    problem = Problem("dns", "no TXT record found")
    assert authorization(challenge("pending"), challenge("invalid", error=problem)).error is problem
    assert authorization(challenge("pending")).error is None


def test_an_authorization_is_processing_while_the_ca_looks_at_a_challenge() -> None:
    assert authorization(challenge("pending"), challenge("processing")).is_processing
    assert not authorization(challenge("pending")).is_processing
