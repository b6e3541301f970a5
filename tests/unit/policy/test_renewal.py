"""When a certificate is due."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from acmectl.model.certificates import CertificateSpec, Installed, KeyType
from acmectl.model.names import Identifier
from acmectl.policy.renewal import Due, NotDue, due

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
A, B = Identifier("a.test"), Identifier("b.test")
SPEC = CertificateSpec("mail", frozenset({A}), "default", None)


def installed(age: timedelta, lifetime: timedelta = timedelta(days=90)) -> Installed:
    start = NOW - age
    return Installed("mail", 1, SPEC.names, KeyType.ECDSA_P256, "0a", "ff", "CA", start, start + lifetime)


FRESH = installed(timedelta(days=1))


@pytest.mark.parametrize(
    ("lifetime", "renewed_at"),
    [
        (timedelta(days=90), timedelta(days=60)),
        (timedelta(days=45), timedelta(days=30)),
        (timedelta(days=6), timedelta(days=3)),
    ],
)
def test_a_certificate_is_due_after_two_thirds_of_its_life_or_half_of_a_short_one(
    lifetime: timedelta, renewed_at: timedelta
) -> None:
    start = NOW - timedelta(days=1)
    assert due(SPEC, installed(timedelta(days=1), lifetime), None, now=NOW) == NotDue(start + renewed_at)
    expired = due(SPEC, installed(renewed_at, lifetime), None, now=NOW)
    assert isinstance(expired, Due)
    assert expired.reason.startswith("expires at 20")


@pytest.mark.parametrize(
    ("spec", "have", "damage", "reason"),
    [
        (SPEC, None, None, "no certificate yet"),
        (SPEC, None, "`privkey.pem` is missing", "`privkey.pem` is missing"),
        (SPEC, FRESH, "`privkey.pem` is missing", "`privkey.pem` is missing"),
        (replace(SPEC, names=frozenset({B})), FRESH, None, "names changed: +b.test -a.test"),
        (replace(SPEC, key_type=KeyType.RSA_2048), FRESH, None, "key type changed: ecdsa-p256 -> rsa-2048"),
        (SPEC, replace(FRESH, key_type=None), None, "key type changed: unknown -> ecdsa-p256"),
    ],
)
def test_a_certificate_is_due_when_it_is_not_what_is_wanted(
    spec: CertificateSpec, have: Installed | None, damage: str | None, reason: str
) -> None:
    assert due(spec, have, damage, now=NOW) == Due(reason)


def test_a_certificate_is_due_when_a_person_asks() -> None:
    assert due(SPEC, FRESH, None, now=NOW, forced=True) == Due("asked for")
