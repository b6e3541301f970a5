"""A TLS server that completes no handshake but those of tls-alpn-01 (RFC 8737), imported when one is published.

To each name belongs one self-signed certificate with the digest of one key authorization; so a name has room for one response at a
time. Nobody is told anything else: other names get `unrecognized_name`, and after the handshake the connection ends.
"""

from __future__ import annotations

import socket
import ssl
import tempfile
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from acmectl.keys import general_name
from acmectl.solvers.base import Response
from acmectl.solvers.inherited import Listen
from acmectl.solvers.listening import Listening, Service

PROTOCOL = "acme-tls/1"
ACME_IDENTIFIER = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31")  # id-pe-acmeIdentifier, RFC 8737 section 6.1
_DAY = timedelta(days=1)
_SERVICE = Service(
    "tls-alpn-01",
    443,
    "where that is a web server, use http-01 (type `webroot`), or let it pass `acme-tls/1` on (examples/nginx)",
)


class AlpnServer:
    """Listens from `start` to `stop`, and answers for what `answer_for` was told last."""

    def __init__(self, listen: Listen) -> None:
        self._listening = Listening(_SERVICE, listen, self._serve)
        self._key = ec.generate_private_key(ec.SECP256R1())  # good for nothing but a handshake
        self._contexts: dict[Response, ssl.SSLContext] = {}
        self._by_name: Mapping[str, ssl.SSLContext] = {}
        self._context = _context()
        self._context.sni_callback = self._choose

    def start(self) -> None:
        """Listen, and answer; SolverError explains why it cannot."""
        self._listening.start()

    def stop(self) -> None:
        """Free the port; connections that are being answered end by themselves."""
        self._listening.stop()

    def answer_for(self, responses: Iterable[Response]) -> None:
        """Show the certificates of exactly these from now on; one a name."""
        wanted = list(responses)
        self._contexts = {r: self._contexts.get(r) or self._certified(r) for r in wanted}
        self._by_name = {r.identifier.server_name: context for r, context in self._contexts.items()}

    def _certified(self, response: Response) -> ssl.SSLContext:
        context = _context()
        key = self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        with tempfile.TemporaryFile() as file:  # without a name: OpenSSL reads files only, and a killed run leaves none
            file.write(certificate(self._key, response).public_bytes(Encoding.PEM) + key)
            file.flush()
            context.load_cert_chain(f"/dev/fd/{file.fileno()}")
        return context

    def _choose(self, connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> int | None:
        found = self._by_name.get((name or "").lower())
        if found is None:
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        connection.context = found
        return None

    def _serve(self, connection: socket.socket, end: float) -> None:
        connection.settimeout(max(end - time.monotonic(), 0.001))  # for the handshake as a whole, as Python counts it
        self._context.wrap_socket(connection, server_side=True).close()


def certificate(key: ec.EllipticCurvePrivateKey, response: Response) -> x509.Certificate:
    """The certificate that answers a challenge (RFC 8737 section 3): self-signed, one name, the digest, critical."""
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "acmectl tls-alpn-01")])
    now = datetime.now(UTC)
    digest = x509.UnrecognizedExtension(ACME_IDENTIFIER, b"\x04\x20" + response.digest)  # an OCTET STRING of 32 octets
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _DAY)
        .not_valid_after(now + _DAY)
        .add_extension(x509.SubjectAlternativeName([general_name(response.identifier)]), critical=False)
        .add_extension(digest, critical=True)
        .sign(key, hashes.SHA256())
    )


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)  # TLS 1.2 at least, as RFC 8737 section 3 wants
    context.set_alpn_protocols([PROTOCOL])
    context.num_tickets = 0
    return context
