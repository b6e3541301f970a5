"""What the sandbox takes for tls-alpn-01, and with which words it refuses the rest: certificates made here, by no code of ours."""

from __future__ import annotations

import hashlib
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from acmectl.errors import Problem
from acmectl.model.names import Identifier
from acmectl.sandbox.tls_alpn import validate
from acmectl.sandbox.validation import Attempt

EXTENSION = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31")
KEY_AUTHORIZATION = "token.thumbprint"
DIGEST = b"\x04\x20" + hashlib.sha256(KEY_AUTHORIZATION.encode()).digest()
NAME = [x509.DNSName("a.example.com")]


def proof(
    directory: Path,
    names: Sequence[x509.GeneralName],
    digest: bytes | None,
    *,
    critical: bool = True,
    foreign: bool = False,
    spoil: tuple[bytes, bytes] = (b"", b""),
) -> ssl.SSLContext:
    """What a server has that proves control; of `spoil` the first bytes are replaced by the second, in the certificate's DER form."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "proof")])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
    )
    if digest is not None:
        builder = builder.add_extension(x509.UnrecognizedExtension(EXTENSION, digest), critical=critical)
    certificate = builder.sign(ec.generate_private_key(ec.SECP256R1()) if foreign else key, hashes.SHA256())
    file = directory / "proof.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    der = certificate.public_bytes(Encoding.DER).replace(*spoil, 1)
    file.write_bytes(ssl.DER_cert_to_PEM_cert(der).encode() + private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    context.set_alpn_protocols(["acme-tls/1"])
    return context


@contextmanager
def answering(context: ssl.SSLContext, asked: list[str | None] | None = None) -> Iterator[int]:
    """A port at which one connection is answered with the context."""
    if asked is not None:
        context.sni_callback = lambda _, name, __: asked.append(name)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)

        def once() -> None:
            plain, _ = listener.accept()
            with plain, suppress(OSError), context.wrap_socket(plain, server_side=True) as stream:
                stream.recv(1)

        thread = threading.Thread(target=once)
        thread.start()
        try:
            yield int(listener.getsockname()[1])
        finally:
            thread.join()


def judged(port: int, name: str = "a.example.com") -> Problem | None:
    attempt = Attempt("tls-alpn-01", Identifier(name), "token", KEY_AUTHORIZATION)
    return validate(attempt, "127.0.0.1", port, seconds=5)


def test_a_proof_as_the_rfc_wants_it_is_taken(tmp_path: Path) -> None:
    asked: list[str | None] = []
    with answering(proof(tmp_path, NAME, DIGEST), asked) as port:
        assert judged(port) is None
    assert asked == ["a.example.com"]


@pytest.mark.parametrize(
    ("address", "reverse"),
    [("192.0.2.1", "1.2.0.192.in-addr.arpa"), ("2001:db8::1", f"1{'.0' * 23}.8.b.d.0.1.0.0.2.ip6.arpa")],
)
def test_an_address_is_asked_for_by_its_name_in_the_reverse_tree(tmp_path: Path, address: str, reverse: str) -> None:
    asked: list[str | None] = []
    with answering(proof(tmp_path, [x509.IPAddress(ipaddress.ip_address(address))], DIGEST), asked) as port:
        assert judged(port, address) is None
    assert asked == [reverse]


@pytest.mark.parametrize(
    ("names", "digest", "critical", "foreign", "fault"),
    [
        (NAME, None, True, False, "Missing acmeIdentifier extension."),
        (NAME, DIGEST, False, False, "acmeIdentifier extension that is not critical."),
        (NAME, DIGEST[:-1] + b"x", True, False, "acmeIdentifier that does not match the key authorization."),
        (NAME, DIGEST[2:], True, False, "acmeIdentifier that does not match the key authorization."),
        (NAME, DIGEST, True, True, "which is not self-signed."),
        ([*NAME, x509.DNSName("b.example.com")], DIGEST, True, False, "(a.example.com, b.example.com)."),
        ([x509.DNSName("b.example.com")], DIGEST, True, False, "unexpected identifiers (b.example.com)."),
    ],
)
def test_whatever_is_less_is_refused_with_the_reason(
    tmp_path: Path, names: list[x509.GeneralName], digest: bytes | None, *, critical: bool, foreign: bool, fault: str
) -> None:
    with answering(proof(tmp_path, names, digest, critical=critical, foreign=foreign)) as port:
        problem = judged(port)
    assert problem
    assert (problem.type, problem.status) == ("unauthorized", 403)
    assert problem.detail.startswith(
        "Incorrect validation certificate for tls-alpn-01 challenge. Requested a.example.com"
    )
    assert problem.detail.endswith(fault)


VERSION_3, VERSION_6 = (bytes([0xA0, 3, 2, 1, number]) for number in (2, 5))
DNS_NAME, X400_ADDRESS = (bytes([tag, 13]) + b"a.example.com" for tag in (0x82, 0xA3))


@pytest.mark.parametrize("spoil", [(VERSION_3, VERSION_6), (DNS_NAME, X400_ADDRESS)])
def test_a_certificate_that_cannot_be_read_is_refused(tmp_path: Path, spoil: tuple[bytes, bytes]) -> None:
    with answering(proof(tmp_path, NAME, DIGEST, spoil=spoil)) as port:
        problem = judged(port)
    assert problem
    assert (problem.type, problem.status) == ("unauthorized", 403)
    assert "Received certificate that cannot be read: " in problem.detail


def test_an_address_that_stands_there_as_a_name_is_no_proof(tmp_path: Path) -> None:
    with answering(proof(tmp_path, [x509.DNSName("192.0.2.1")], DIGEST)) as port:
        problem = judged(port, "192.0.2.1")
    assert problem
    assert problem.detail.endswith("unexpected identifiers (192.0.2.1).")


def test_a_server_of_another_protocol_proves_nothing(tmp_path: Path) -> None:
    context = proof(tmp_path, NAME, DIGEST)
    context.set_alpn_protocols(["http/1.1"])
    with answering(context) as port:
        problem = judged(port)
    assert problem
    assert problem.detail == '127.0.0.1: Cannot negotiate ALPN protocol "acme-tls/1" for tls-alpn-01 challenge'


def test_what_does_not_speak_tls_is_told_from_what_does_not_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def once() -> None:
            plain, _ = listener.accept()
            with plain:
                plain.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                plain.recv(1000)

        thread = threading.Thread(target=once)
        thread.start()
        problem = judged(listener.getsockname()[1])
        thread.join()
    assert problem
    assert problem.type == "tls"
