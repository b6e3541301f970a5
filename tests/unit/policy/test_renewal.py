"""When a certificate is due."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from acmectl.model.certificates import CertificateSpec, Installed, Issuance, KeyType
from acmectl.model.names import Identifier
from acmectl.policy import renewal
from acmectl.policy.renewal import Due, NotDue

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
A, B = Identifier("a.test"), Identifier("b.test")
SPEC = CertificateSpec("mail", frozenset({A}), "default", None)


def installed(age: timedelta, lifetime: timedelta = timedelta(days=90)) -> Installed:
    start = NOW - age
    return Installed("mail", 1, SPEC.names, KeyType.ECDSA_P256, "0a", "ff", "CA", start, start + lifetime)


FRESH = installed(timedelta(days=1))
URL = "https://ca.test/directory"
ASKED = Issuance("mail", 1, "ff", URL, None, SPEC.names)


def due(
    spec: CertificateSpec,
    have: Installed | None,
    damage: str | None = None,
    *,
    issuance: Issuance | None = None,
    url: str = URL,
    forced: bool = False,
) -> Due | NotDue:
    return renewal.due(spec, have, damage, now=NOW, directory_url=url, issuance=issuance, forced=forced)


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
    assert due(SPEC, installed(timedelta(days=1), lifetime)) == NotDue(start + renewed_at)
    expired = due(SPEC, installed(renewed_at, lifetime))
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
    assert due(spec, have, damage) == Due(reason)


def test_another_ca_or_profile_than_the_certificate_was_issued_by_makes_it_due() -> None:
    assert isinstance(due(SPEC, FRESH, issuance=ASKED), NotDue)
    other = "https://other.test/directory"
    assert due(SPEC, FRESH, issuance=ASKED, url=other) == Due(f"CA changed: {URL} -> {other}")
    assert due(replace(SPEC, profile="short"), FRESH, issuance=ASKED) == Due("profile changed: none -> short")
    was = replace(ASKED, profile="classic")
    assert due(SPEC, FRESH, issuance=was) == Due("profile changed: classic -> none")


def test_where_it_is_not_known_who_issued_a_certificate_it_is_not_due() -> None:
    """Else a lost state database would have every host issue everything anew."""
    assert isinstance(due(replace(SPEC, profile="short"), FRESH, url="https://other.test/directory"), NotDue)


def test_a_name_that_the_ca_added_is_no_change_and_one_that_was_asked_for_is() -> None:
    more = replace(FRESH, names=frozenset({A, B}))
    assert isinstance(due(SPEC, more, issuance=ASKED), NotDue)
    assert due(SPEC, more, issuance=replace(ASKED, names=frozenset({A, B}))) == Due("names changed: -b.test")
    assert due(replace(SPEC, names=frozenset({A, B})), FRESH, issuance=ASKED) == Due("names changed: +b.test")


def test_a_name_more_is_no_reason_where_it_is_not_known_what_was_asked_for() -> None:
    """The state database was lost: the name may be the CA's own, and a certificate for it too many."""
    assert isinstance(due(SPEC, replace(FRESH, names=frozenset({A, B}))), NotDue)


def test_a_certificate_is_due_when_a_person_asks() -> None:
    assert due(SPEC, FRESH, forced=True) == Due("asked for")
