"""Renewal information: names of certificates, and answers as odd as CAs can give them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from acmectl.ca import renewal_info
from acmectl.ca.session import Session
from acmectl.errors import CAError, CAProtocolError, CARefused, CAUnreachable, KeyMaterialError
from tests.servers.faults import FaultyCA, Reply, problem

NAME = "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"
AUTHORITY = bytes.fromhex("69885B6B87464041E1B37B847BA0AE2CDE01C8D4")
PATH = f"GET /renewal-info/{NAME}"
WINDOW = {"start": "2026-05-02T00:00:00Z", "end": "2026-05-03T00:00:00Z"}


def leaf(key: ec.EllipticCurvePrivateKey, serial: int, authority: bytes | None) -> bytes:
    name = x509.Name([])
    start = datetime(2026, 5, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(serial).not_valid_before(start).not_valid_after(start + timedelta(days=90))
    if authority is not None:
        identifier = x509.AuthorityKeyIdentifier(authority or None, None, None)
        builder = builder.add_extension(identifier, critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


def offer(ca: FaultyCA, *replies: Reply) -> None:
    ca.script("GET /directory", Reply(body=ca.directory | {"renewalInfo": f"{ca.base}/renewal-info/"}))
    ca.script(PATH, *replies)


@pytest.mark.parametrize(
    ("serial", "name"), [(0x87654321, NAME), (0x7F, "aYhba4dGQEHhs3uEe6CuLN4ByNQ.fw"), (0x80, f"{NAME[:28]}AIA")]
)
def test_a_certificate_has_the_name_of_rfc_9773(key: ec.EllipticCurvePrivateKey, serial: int, name: str) -> None:
    """The example of section 4.1, whose serial needs a leading zero, and the smallest that need none and one."""
    assert renewal_info.certificate_id(leaf(key, serial, AUTHORITY)) == name


@pytest.mark.parametrize("pem", [b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_what_is_no_certificate_has_no_name(pem: bytes) -> None:
    with pytest.raises(KeyMaterialError):
        renewal_info.certificate_id(pem)


def test_a_certificate_that_names_no_authority_has_no_name(key: ec.EllipticCurvePrivateKey) -> None:
    with pytest.raises(KeyMaterialError, match="no authority key identifier"):
        renewal_info.certificate_id(leaf(key, 1, None))


def test_the_window_is_asked_for_without_a_signature(ca: FaultyCA, session: Session) -> None:
    page = "https://ca.test/why"
    offer(ca, Reply(body={"suggestedWindow": WINDOW, "explanationURL": page}, headers={"Retry-After": "21600"}))
    assert renewal_info.is_offered(session)
    found = renewal_info.fetch(session, NAME)
    assert found == renewal_info.Suggestion(
        datetime(2026, 5, 2, tzinfo=UTC), datetime(2026, 5, 3, tzinfo=UTC), page, timedelta(hours=6)
    )
    assert dict(session.requests) == {"directory": 1, "renewalInfo": 1}


def test_a_ca_that_does_not_offer_it_is_not_asked(session: Session) -> None:
    assert not renewal_info.is_offered(session)


def test_an_explanation_that_is_no_url_is_shown_to_nobody(ca: FaultyCA, session: Session) -> None:
    offer(ca, Reply(body={"suggestedWindow": WINDOW, "explanationURL": "javascript:alert(1)"}))
    assert renewal_info.fetch(session, NAME).explanation_url is None


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        {},
        {"suggestedWindow": None},
        {"suggestedWindow": "soon"},
        {"suggestedWindow": {"start": WINDOW["start"]}},
        {"suggestedWindow": {"start": "today", "end": "tomorrow"}},
        {"suggestedWindow": {"start": WINDOW["end"], "end": WINDOW["start"]}},
        {"suggestedWindow": {"start": WINDOW["start"], "end": WINDOW["start"]}},
    ],
)
def test_a_window_that_is_none_is_an_error_of_the_ca(ca: FaultyCA, session: Session, body: Any) -> None:
    offer(ca, Reply(body=body))
    with pytest.raises(CAProtocolError):
        renewal_info.fetch(session, NAME)


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (problem(404, "malformed"), CARefused),
        (problem(503, "serverInternal", headers={"Retry-After": "1"}), CAUnreachable),
        (Reply(cut="body", body={"suggestedWindow": WINDOW}), CAUnreachable),
    ],
)
def test_nothing_is_waited_for(ca: FaultyCA, session: Session, reply: Reply, error: type[CAError]) -> None:
    """A later run asks again; this one has better things to do."""
    offer(ca, reply, Reply(body={"suggestedWindow": WINDOW}))
    with pytest.raises(error):
        renewal_info.fetch(session, NAME)
    assert session.requests["renewalInfo"] == 1
