"""The TLS handshake itself: one version, one kind of key or any, and the chain that the server shows.

Nothing is validated against roots: what counts is whether this is the certificate that we installed, and we know that one, from the
first byte to the last, from whom we had it. A CA of one's own or of a test must do as well, and no root
of this host says anything about the clients of the service. That the server holds the private key, the handshake proves.
"""

from __future__ import annotations

import contextlib
import ssl
from dataclasses import dataclass
from typing import Any

from acmectl.deploy.wire.stream import Stream, WireError, quote

VERSIONS = {"TLS 1.3": ssl.TLSVersion.TLSv1_3, "TLS 1.2": ssl.TLSVersion.TLSv1_2}
_CIPHERS = {"ecdsa": "aECDSA:!eNULL", "rsa": "aRSA:!eNULL"}  # of TLS 1.2; see `forced` for TLS 1.3
_ALERTS = ("tlsv1 alert ", "sslv3 alert ", "tlsv13 alert ")  # how OpenSSL calls what the server sent
_NO_TLS = {
    "wrong version number",
    "record layer failure",
    "http request",
    "packet length too long",
    "unexpected message",
}


class HandshakeRefused(WireError):
    """The server is there, and TLS did not come about: another version or kind of key may work."""


@dataclass(frozen=True, slots=True)
class Served:
    """What a server showed in one handshake: the version, and its certificates in DER form, the leaf first.

    `refusal` is the alert with which it broke off after that. Who wants a certificate of its clients does so, where it says so before
    the handshake is over: in TLS 1.2.
    """

    version: str
    chain: tuple[bytes, ...]
    refusal: str | None = None


def shake_hands(stream: Stream, *, name: str | None, version: str, family: str | None, farewell: bytes = b"") -> Served:
    """Handshake over a connection whose dialog is over, take leave, and close it. Raises WireError, HandshakeRefused.

    Text that came after the go-ahead, before TLS, is refused: it is not authenticated, and who takes it for an
    answer of the service believes whoever sits in between.
    """
    if stream.unread:
        raise WireError(f"sent more in the clear after its go-ahead to TLS: {quote(stream.unread)}")
    stream.heard.clear()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = _context(version, family).wrap_bio(incoming, outgoing, server_hostname=name)
    refusal = _complete(tls, stream, incoming, outgoing)
    served = Served(version, _chain(tls), refusal)
    with contextlib.suppress(OSError):  # of which SSLError is one
        if farewell:
            tls.write(farewell)
        tls.unwrap()
    stream.part(outgoing.read())
    if not served.chain:
        raise WireError("shows no certificate at all")
    return served


def _context(version: str, family: str | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = context.maximum_version = VERSIONS[version]
    if family is not None:
        context.set_ciphers(_CIPHERS[family])
    return context


_WANTS_A_CERTIFICATE = frozenset(
    {
        "handshake failure",
        "bad certificate",
        "certificate required",
        "certificate unknown",
        "unknown ca",
        "access denied",
        "decode error",
    }
)
"""The alerts by which a server says that it has shown its certificate and wants one of its client (RFC 5246 section 7.4.6).

The last is GnuTLS's for an empty list of certificates, which is how TLS 1.2 says that there is none.
"""


def _complete(tls: ssl.SSLObject, stream: Stream, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> str | None:
    """The handshake, flight by flight. Returns the alert that came when the server had shown its certificate, if one came.

    That we answered what came with the certificate says that OpenSSL took it, with the signature that proves the key.
    """
    has_shown = False
    while True:
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            if flight := outgoing.read():
                stream.send(flight)
                has_shown = bool(_chain(tls))
            incoming.write(_next(stream, has_shown=has_shown))
        except ssl.SSLError as cause:
            if has_shown and (alert := _alert(cause)) in _WANTS_A_CERTIFICATE:
                return alert
            stream.part(outgoing.read())
            raise HandshakeRefused(_words(cause, stream)) from cause
        else:
            stream.send(outgoing.read())
            return None


def _next(stream: Stream, *, has_shown: bool) -> bytes:
    """What the server says next. One that ends it without an alert, as slapd does, says nothing of its reason, which is no proof of one."""
    if chunk := stream.receive():
        return chunk
    words = "closed the connection during the TLS handshake"
    if has_shown:
        words += ", after it had shown its certificate: it may want one of its clients (`verify: []` looks at nothing)"
    raise HandshakeRefused(words)


def _words(cause: ssl.SSLError, stream: Stream) -> str:
    if alert := _alert(cause):
        return f"refused the TLS handshake: {alert}"
    if (reason := _reason(cause)) in _NO_TLS:
        return f"speaks no TLS: it said {quote(stream.heard)}"
    return f"failed in the TLS handshake: {reason}"


def _alert(cause: ssl.SSLError) -> str | None:
    """What the server said, if it is the one that broke off."""
    reason = _reason(cause)
    return next((reason.removeprefix(prefix) for prefix in _ALERTS if reason.startswith(prefix)), None)


def _reason(cause: ssl.SSLError) -> str:
    return (cause.reason or "unknown reason").lower().replace("_", " ")


def _chain(tls: ssl.SSLObject) -> tuple[bytes, ...]:
    """The certificates as they came. Public since Python 3.13; 3.11 and 3.12, which change no more, have it one level below."""
    found: Any = tls
    if not hasattr(found, "get_unverified_chain"):
        found = found._sslobj
    return tuple(one if isinstance(one, bytes) else one.public_bytes(2) for one in found.get_unverified_chain() or ())
