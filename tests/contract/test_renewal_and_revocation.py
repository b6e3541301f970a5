"""Renewal information (RFC 9773) and revocation (RFC 8555 section 7.6) at real CAs: Pebble, the sandbox, acme2certifier."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from acmectl.ca import issuing, renewal_info, revocation
from acmectl.ca.session import Session
from acmectl.errors import CARefused
from acmectl.model.names import Identifier
from acmectl.model.renewals import Reason
from tests.contract.conftest import Server
from tests.contract.test_ca import issue

OFFER_ARI = {"sandbox", "acme2certifier"}  # Debian's Pebble 2.4.0 has none
Names = tuple[Identifier, ...]


@pytest.fixture
def own_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@pytest.fixture
def leaf(session: Session, names: Names, own_key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    """A certificate of the session's account."""
    chain = issuing.download(session, issue(session, names, own_key))
    return x509.load_pem_x509_certificates(chain.pem)[0]


def der(leaf: x509.Certificate) -> bytes:
    return leaf.public_bytes(Encoding.DER)


def test_a_ca_that_offers_renewal_information_has_a_window_in_the_life_of_a_certificate(
    server: Server, session: Session, leaf: x509.Certificate
) -> None:
    assert renewal_info.is_offered(session) == (server.name in OFFER_ARI)
    if server.name in OFFER_ARI:
        found = renewal_info.fetch(session, renewal_info.certificate_id(leaf.public_bytes(Encoding.PEM)))
        assert leaf.not_valid_before_utc < found.start_at < found.end_at <= leaf.not_valid_after_utc
        assert found.retry_after is None or found.retry_after > timedelta(0)


def test_renewal_information_about_a_strange_certificate_is_refused(server: Server, session: Session) -> None:
    if server.name in OFFER_ARI:
        with pytest.raises(CARefused) as refusal:
            renewal_info.fetch(session, "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE")  # the example of RFC 9773
        assert refusal.value.problem.status in {400, 404}


def test_the_account_that_ordered_a_certificate_revokes_it_once(session: Session, leaf: x509.Certificate) -> None:
    assert revocation.revoke(session, der(leaf), Reason.SUPERSEDED)
    assert not revocation.revoke(session, der(leaf), Reason.SUPERSEDED), "revoked already"


def test_the_certificates_own_key_revokes_it_without_an_account(
    server: Server, leaf: x509.Certificate, own_key: ec.EllipticCurvePrivateKey
) -> None:
    if server.name == "acme2certifier":
        return  # it wants an account for every request
    with server.session(own_key) as session:
        assert revocation.revoke(session, der(leaf), Reason.KEY_COMPROMISE, by_own_key=True)


def test_a_stranger_revokes_nothing(server: Server, leaf: x509.Certificate) -> None:
    with server.session() as stranger, pytest.raises(CARefused):
        revocation.revoke(stranger, der(leaf), Reason.UNSPECIFIED)
