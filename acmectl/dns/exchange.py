"""One question to one name server: over UDP, and over TCP where the answer does not fit; bounded as a whole.

Sockets are connected, so that a closed port is known at once (ICMP) and not after the time limit, and an answer of another address is
never taken. Each question has a socket of its own, hence an unpredictable port, and an unpredictable id (RFC 5452).
"""

from __future__ import annotations

import errno
import socket
import struct
import time

import dns.exception
import dns.message
import dns.query
from dns.message import Message

from acmectl.dns.endpoints import Endpoint
from acmectl.errors import DNSError

_NO_ROUTE = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}


class NoRoute(DNSError):
    """This host has no way to the address at all, such as to IPv6 from a host that has only IPv4."""


class NotConnected(DNSError):
    """No connection came about, so that nothing at all was sent."""


def ask(question: Message, server: Endpoint, *, seconds: float) -> Message:
    """The server's answer, whatever its rcode. Raises DNSError (NoRoute) when there is none."""
    try:
        with _connected(server, socket.SOCK_DGRAM) as stream:
            stream.setblocking(False)
            return _ask_udp(question, server, stream, seconds)
    except (OSError, EOFError, dns.exception.DNSException, ValueError) as cause:
        raise explain(cause, server, seconds) from cause


def _ask_udp(question: Message, server: Endpoint, stream: socket.socket, seconds: float) -> Message:
    end = time.monotonic() + seconds
    try:
        return dns.query.udp(
            question,
            server.host,
            timeout=seconds,
            port=server.port,
            raise_on_truncation=True,
            ignore_errors=True,
            ignore_unexpected=True,
            sock=stream,
        )
    except dns.message.Truncated:
        rest = max(end - time.monotonic(), 0.5)
        return dns.query.tcp(question, server.host, timeout=rest, port=server.port)


def send_tcp(wire: bytes, server: Endpoint, *, seconds: float) -> bytes:
    """The answer to a message, as it came; for updates, whose rcode is wanted although its signature is missing.

    Raises DNSError when there is no answer, NotConnected when the message was not even sent.
    """
    end = time.monotonic() + seconds
    try:
        connection = _connected(server, socket.SOCK_STREAM, seconds)
    except OSError as cause:
        error = explain(cause, server, seconds)
        raise NotConnected(error.message, hint=error.hint) from cause
    try:
        with connection as stream:
            stream.sendall(struct.pack("!H", len(wire)) + wire)
            (size,) = struct.unpack("!H", _receive(stream, 2, end))
            return _receive(stream, size, end)
    except (OSError, EOFError) as cause:
        raise explain(cause, server, seconds) from cause


def _connected(server: Endpoint, kind: socket.SocketKind, seconds: float | None = None) -> socket.socket:
    stream = socket.socket(socket.AF_INET6 if server.is_ipv6 else socket.AF_INET, kind)
    try:
        stream.settimeout(seconds)
        stream.connect((server.host, server.port))
    except BaseException:
        stream.close()
        raise
    return stream


def _receive(stream: socket.socket, size: int, end: float) -> bytes:
    received = b""
    while len(received) < size:
        stream.settimeout(max(end - time.monotonic(), 0.001))
        part = stream.recv(size - len(received))
        if not part:
            raise EOFError
        received += part
    return received


def explain(cause: Exception, server: Endpoint, seconds: float) -> DNSError:
    """The error of ours for what went wrong while `server` was asked."""
    if isinstance(cause, TimeoutError | dns.exception.Timeout):
        return DNSError(f"name server `{server}` does not answer within {seconds:.3g} s", hint=_FIREWALL)
    if isinstance(cause, ConnectionRefusedError):
        return DNSError(f"no name server listens at `{server}`", hint="is it running, and is this its port?")
    if isinstance(cause, EOFError | ConnectionError):
        return DNSError(f"name server `{server}` closed the connection without an answer")
    if isinstance(cause, OSError):
        kind = NoRoute if cause.errno in _NO_ROUTE else DNSError
        return kind(f"name server `{server}` cannot be reached: {(cause.strerror or str(cause)).lower()}")
    return DNSError(f"name server `{server}` sent an answer that is no DNS message ({type(cause).__name__})")


_FIREWALL = "does a firewall drop port 53, UDP or TCP, between here and there?"
