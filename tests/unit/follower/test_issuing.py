"""What becomes of an order after finalize: refused, lost to another host, or with an answer that cannot be used."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtensionOID

from acmectl import keys
from acmectl.ca.session import Session
from acmectl.errors import CAError, CARefused
from acmectl.follower.issuing import RACE_PAUSES, Issuer, LostRace
from acmectl.model.certificates import CertificateSpec, KeyType
from acmectl.model.names import Identifier
from acmectl.storage.state import StateDirectory
from tests.servers.faults import FaultyCA, Reply, problem, running_faults

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
SPEC = CertificateSpec("mail", frozenset({Identifier("a.example.com")}), "default", "classic")


@pytest.fixture
def ca() -> Iterator[FaultyCA]:
    with running_faults() as server:
        yield server


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateDirectory]:
    state = StateDirectory(tmp_path / "state")
    state.create()
    yield state
    state.close()


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def issuer(ca: FaultyCA, state: StateDirectory, pauses: list[float]) -> Iterator[Issuer]:
    key = keys.generate(KeyType.ECDSA_P256)
    with Session(
        ca.directory_url, key=key, account_url=f"{ca.base}/account/1", pauses=lambda _: None, now=lambda: NOW
    ) as session:
        yield Issuer(
            SPEC,
            session=session,
            certificates=state.certificates,
            memory=state.memory,
            clock=lambda: NOW,
            pause=pauses.append,
            directory_url=ca.directory_url,
            grace=timedelta(minutes=15),
        )


def invalid(ca: FaultyCA, kind: str, detail: str) -> None:
    """Every order is born ready, and is invalid when it is looked at after finalize: Boulder issues asynchronously."""
    ca.script("POST /new-order", Reply(201, ca.order("ready"), {"Location": f"{ca.base}/order/1"}))
    ca.script("POST /finalize/1", Reply(200, ca.order("processing")))
    error = {"type": f"urn:ietf:params:acme:error:{kind}", "detail": detail, "status": 403}
    ca.script("POST /order/1", Reply(200, ca.order("invalid", error=error)))


def drafts(state: StateDirectory) -> list[str]:
    return [path.name for path in (state.path / "certificates" / "mail").iterdir()]


def test_a_refusal_that_shows_in_the_order_is_told_and_not_tried_again(
    ca: FaultyCA, issuer: Issuer, state: StateDirectory, pauses: list[float]
) -> None:
    invalid(ca, "caa", "CAA record for a.example.com prevents issuance")
    with pytest.raises(CARefused, match=r"the finalization of the order for a\.example\.com") as refused:
        issuer.issue()
    assert "a.example.com. CAA 0 issue" in (refused.value.hint or "")
    assert len(ca.asked("POST /finalize/1")) == 1
    assert (drafts(state), state.memory.follower_order("mail"), pauses) == ([], None, [])


def test_an_order_that_another_host_spoiled_is_made_anew_twice_after_a_pause(
    ca: FaultyCA, issuer: Issuer, state: StateDirectory, pauses: list[float]
) -> None:
    invalid(ca, "serverInternal", "Error finalizing order")
    with pytest.raises(LostRace, match="the order is `invalid` after finalization"):
        issuer.issue()
    assert len(ca.asked("POST /finalize/1")) == 1 + len(RACE_PAUSES)
    assert len(pauses) == len(RACE_PAUSES)
    assert all(least <= pause <= most for pause, (least, most) in zip(pauses, RACE_PAUSES, strict=True))
    assert (drafts(state), state.memory.follower_order("mail")) == ([], None)


def test_each_fresh_order_gets_a_new_key(ca: FaultyCA, issuer: Issuer) -> None:
    invalid(ca, "serverInternal", "Error finalizing order")
    with pytest.raises(LostRace):
        issuer.issue()
    sent = {request.payload["csr"] for request in ca.asked("POST /finalize/1")}
    assert len(sent) == 1 + len(RACE_PAUSES)


def test_an_order_that_is_not_ready_any_more_is_looked_at(ca: FaultyCA, issuer: Issuer) -> None:
    invalid(ca, "serverInternal", "Unable to set order processing")
    ca.script("POST /finalize/1", problem(403, "orderNotReady", "Order's status is not acceptable for finalization"))
    with pytest.raises(LostRace):
        issuer.issue()
    assert len(ca.asked("POST /new-order")) == 1 + len(RACE_PAUSES)


def certificate(extension: x509.ExtensionType) -> bytes:
    """In PEM, for a key that is not ours."""
    builder = x509.CertificateBuilder().subject_name(x509.Name([])).issuer_name(x509.Name([]))
    builder = builder.public_key(ec.generate_private_key(ec.SECP256R1()).public_key()).serial_number(1)
    builder = builder.not_valid_before(NOW).not_valid_after(NOW + timedelta(days=90))
    signed = builder.add_extension(extension, critical=False).sign(ec.generate_private_key(ec.SECP256R1()), SHA256())
    return signed.public_bytes(Encoding.PEM)


def issues(ca: FaultyCA, pem: bytes) -> None:
    """Every order is born ready, and brings this certificate."""
    invalid(ca, "serverInternal", "never seen")
    valid = ca.order("valid", certificate=f"{ca.base}/certificate/1")
    ca.script("POST /finalize/1", Reply(200, valid))
    ca.script("POST /certificate/1", Reply(200, pem, {"Content-Type": "application/pem-certificate-chain"}))


def test_a_ca_that_garbles_its_certificates_is_asked_for_one_in_a_run(
    ca: FaultyCA, issuer: Issuer, state: StateDirectory
) -> None:
    """Each would count against its limits, and a fresh order brings no better one."""
    issues(ca, certificate(x509.UnrecognizedExtension(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, b"garbage")))
    with pytest.raises(CAError, match=r"the CA sent a certificate that cannot be used: .* leaf that cannot be read"):
        issuer.issue()
    assert len(ca.asked("POST /finalize/1")) == 1
    assert (drafts(state), state.memory.follower_order("mail")) == ([], None)


def test_the_certificate_of_another_host_is_a_lost_race_whatever_its_names(ca: FaultyCA, issuer: Issuer) -> None:
    issues(ca, certificate(x509.SubjectAlternativeName([x509.DNSName("other.example.com")])))
    with pytest.raises(LostRace, match="another host's certificate"):
        issuer.issue()
    assert len(ca.asked("POST /finalize/1")) == 1 + len(RACE_PAUSES)
