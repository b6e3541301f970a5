from __future__ import annotations

import ssl
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from acmectl.deploy.wire import judging
from acmectl.deploy.wire.expected import Expected, expected
from acmectl.deploy.wire.handshake import Served
from tests.servers.chains import Generation

NOW = datetime.now(UTC)


def test_a_certificate_that_cannot_be_read_is_said(first: Generation) -> None:
    fault = judging.fault_of([Served("TLS 1.3", (b"\x30\x03abc",))], _wanted(first), None, NOW)

    assert fault
    assert fault.words == "serves a certificate that cannot be read"


def test_a_certificate_of_a_version_that_there_is_not_is_said(first: Generation) -> None:
    der = ssl.PEM_cert_to_DER_cert(first.leaf.read_text())
    odd = der.replace(bytes.fromhex("a003020102"), bytes.fromhex("a003020101"), 1)

    fault = judging.fault_of([Served("TLS 1.3", (odd,))], _wanted(first), None, NOW)

    assert fault
    assert fault.words == "serves a certificate that cannot be read"


def test_an_intermediate_that_has_not_begun_is_said(first: Generation) -> None:
    served = Served("TLS 1.3", tuple(ssl.PEM_cert_to_DER_cert(one.read_text()) for one in (first.leaf, first.chain)))
    early = replace(_wanted(first), not_before=NOW - timedelta(days=900))

    fault = judging.fault_of([served], early, None, NOW - timedelta(days=800))

    assert fault
    assert "serves the intermediate `CN=intermediate of tests`, which begins on 20" in fault.words


@pytest.mark.parametrize("beside", ["root", "garbage"])
def test_what_is_no_intermediate_is_not_judged_by_its_dates(first: Generation, beside: str) -> None:
    """Roots of clients are their own; what cannot be read is worth the note that there is more than was installed."""
    root = make_self_signed(ends=NOW - timedelta(days=1)) if beside == "root" else b"\x30\x03abc"
    served = tuple(ssl.PEM_cert_to_DER_cert(one.read_text()) for one in (first.leaf, first.chain))

    assert judging.fault_of([Served("TLS 1.3", (*served, root))], _wanted(first), None, NOW) is None


def test_some_of_several_intermediates_are_not_enough(first: Generation, second: Generation, tmp_path: Path) -> None:
    (tmp_path / "fullchain.pem").write_bytes(first.fullchain.read_bytes() + second.leaf.read_bytes())
    wanted = expected(first.installed, tmp_path)
    served = tuple(ssl.PEM_cert_to_DER_cert(one.read_text()) for one in (first.leaf, first.chain))

    fault = judging.fault_of([Served("TLS 1.3", served)], wanted, None, NOW)

    assert fault
    assert fault.words == "serves the certificate without some of its intermediates"


def test_a_certificate_without_names_is_said_to_have_none(first: Generation) -> None:
    intermediate = ssl.PEM_cert_to_DER_cert(first.chain.read_text())

    said = judging.another(Served("TLS 1.3", (intermediate,)), "a.test", NOW)

    assert " for no name when asked for `a.test`, which ends on " in said


def make_self_signed(*, ends: datetime) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "root of tests")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, ends - timedelta(days=9), ends)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def test_what_a_reload_mends_comes_before_what_it_does_not(first: Generation, second: Generation) -> None:
    """Else a service that serves the old certificate over one version would never be reloaded."""
    unnamed, stale = Served("TLS 1.3", _shown(second)), Served("TLS 1.2", _shown(first))
    for served in ([unnamed, stale], [stale, unnamed]):
        fault = judging.fault_of(served, _wanted(second), "elsewhere.test", NOW)
        assert fault is not None
        assert (fault.as_installed, fault.words.endswith(", over TLS 1.2")) == (False, True)
    alone = judging.fault_of([unnamed], _wanted(second), "elsewhere.test", NOW)
    assert alone is not None
    assert alone.as_installed


def _wanted(generation: Generation) -> Expected:
    return expected(generation.installed, generation.directory, names=generation.names)


def _shown(generation: Generation) -> tuple[bytes, ...]:
    return tuple(ssl.PEM_cert_to_DER_cert(one.read_text()) for one in (generation.leaf, generation.chain))
