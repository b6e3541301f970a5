"""What is said in the clear before TLS begins: one function a protocol, each as short as the protocol allows.

A server's answer is only believed as far as the next step needs it; everything ends in the handshake, or in a WireError that
quotes the server.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial

from acmectl.deploy.wire.ldap import start_tls as ldap
from acmectl.deploy.wire.protocols import Protocol
from acmectl.deploy.wire.stream import Stream, WireError, quote
from acmectl.deploy.wire.xmpp import start_tls as xmpp

Dialog = Callable[[Stream, str], None]
"""Brings a connection to where TLS begins; the text is the name that is asked for. Raises WireError."""

_REPLY = re.compile(rb"([1-5][0-9]{2})(?:[ -]|\Z)")
_LITERAL = re.compile(rb"\{([0-9]{1,5})\+?\}\Z")  # RFC 5804 section 4
_SSL_REQUEST = bytes.fromhex("00000008 04d2162f")  # "SSLRequest" of PostgreSQL's protocol, section 55.7


def start_tls(stream: Stream, protocol: Protocol, name: str) -> None:
    """Say what `protocol` wants to hear before TLS. Raises WireError."""
    if dialog := _DIALOGS.get(protocol):
        dialog(stream, name)


def farewell(protocol: Protocol) -> bytes:
    """What a polite client says, under TLS, before it goes: services log those that just vanish."""
    return _FAREWELLS.get(protocol, b"")


def _smtp(stream: Stream, name: str, protocol: Protocol) -> None:
    """RFC 3207. We call ourselves by our address (RFC 5321 section 4.1.3), for no name of ours need exist."""
    del name
    _expect(stream, 220, "greets with", protocol)
    address = stream.local_address.partition("%")[0]
    stream.send(b"EHLO [%s]\r\n" % (f"IPv6:{address}" if ":" in address else address).encode("ascii"))
    offers = _expect(stream, 250, "answers EHLO with", protocol)
    if not any(line[4:].strip().upper() == b"STARTTLS" for line in offers):
        raise WireError("offers no STARTTLS")
    stream.send(b"STARTTLS\r\n")
    _expect(stream, 220, "answers STARTTLS with", protocol)


def _ftp(stream: Stream, name: str) -> None:
    """RFC 4217 section 4."""
    del name
    _expect(stream, 220, "greets with", Protocol.FTP)
    stream.send(b"AUTH TLS\r\n")
    _expect(stream, 234, "answers AUTH TLS with", Protocol.FTP)


def _expect(stream: Stream, code: int, doing: str, protocol: Protocol) -> list[bytes]:
    """The lines of a reply (RFC 5321 section 4.2, RFC 959 section 4.2), which must have this code."""
    lines = [stream.line()]
    first = _REPLY.match(lines[0])
    if not first:
        raise WireError(f"does not speak {protocol}: it said {quote(lines[0])}")
    while not _is_last(lines[-1], first[1]):
        lines.append(stream.line())
    if int(first[1]) != code:
        raise WireError(f"{doing} {quote(b' '.join(lines))}")
    return lines


def _is_last(line: bytes, code: bytes) -> bool:
    return line.startswith(code) and line[3:4] in {b"", b" "}


def _imap(stream: Stream, name: str) -> None:
    """RFC 3501 section 6.2.1, RFC 9051."""
    del name
    greeting = stream.line()
    if not greeting.upper().startswith((b"* OK", b"* PREAUTH")):
        raise WireError(f"greets with {quote(greeting)}")
    stream.send(b"a1 STARTTLS\r\n")
    answer = stream.line()
    while answer.startswith(b"* "):
        answer = stream.line()
    if not answer.upper().startswith(b"A1 OK"):
        raise WireError(f"answers STARTTLS with {quote(answer)}")


def _pop3(stream: Stream, name: str) -> None:
    """RFC 2595 section 4."""
    del name
    for command, doing in ((b"", "greets with"), (b"STLS\r\n", "answers STLS with")):
        if command:
            stream.send(command)
        if not (answer := stream.line()).upper().startswith(b"+OK"):
            raise WireError(f"{doing} {quote(answer)}")


def _sieve(stream: Stream, name: str) -> None:
    """RFC 5804: capabilities come unasked, and end with OK."""
    del name
    for command, doing in ((b"", "greets with"), (b"STARTTLS\r\n", "answers STARTTLS with")):
        if command:
            stream.send(command)
        while (answer := stream.line()).startswith(b'"'):
            if literal := _LITERAL.search(answer):
                stream.exactly(int(literal[1]))
                stream.line()
        if answer.upper().split(b" ")[0] != b"OK":
            raise WireError(f"{doing} {quote(answer)}")


def _postgres(stream: Stream, name: str) -> None:
    """One byte answers: `S` for yes. Older servers, and others, send an error message."""
    del name
    stream.send(_SSL_REQUEST)
    answer = stream.exactly(1)
    if answer != b"S":
        said = "that it has no TLS (`N`)" if answer == b"N" else quote(answer + stream.unread)
        raise WireError(f"answers SSLRequest with {said}")


_DIALOGS: Mapping[Protocol, Dialog] = {
    Protocol.SMTP: partial(_smtp, protocol=Protocol.SMTP),
    Protocol.SUBMISSION: partial(_smtp, protocol=Protocol.SUBMISSION),
    Protocol.IMAP: _imap,
    Protocol.POP3: _pop3,
    Protocol.SIEVE: _sieve,
    Protocol.LDAP: ldap,
    Protocol.XMPP_CLIENT: partial(xmpp, namespace="jabber:client"),
    Protocol.XMPP_SERVER: partial(xmpp, namespace="jabber:server"),
    Protocol.POSTGRES: _postgres,
    Protocol.FTP: _ftp,
}

_FAREWELLS: Mapping[Protocol, bytes] = {
    Protocol.SMTP: b"QUIT\r\n",
    Protocol.SUBMISSION: b"QUIT\r\n",
    Protocol.IMAP: b"a2 LOGOUT\r\n",
    Protocol.POP3: b"QUIT\r\n",
    Protocol.SIEVE: b"LOGOUT\r\n",
    Protocol.LDAP: bytes.fromhex("30050201024200"),  # UnbindRequest, RFC 4511 section 4.3
    Protocol.FTP: b"QUIT\r\n",
}
