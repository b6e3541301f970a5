"""A client of XMPP for tests: a stream that is secured by STARTTLS and kept open (RFC 6120 sections 4 and 5)."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

_HEADER = (
    "<?xml version='1.0'?><stream:stream to='{to}' version='1.0' xmlns='jabber:client'"
    " xmlns:stream='http://etherx.jabber.org/streams'>"
)
_STARTTLS = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"


@dataclass(frozen=True)
class Stream:
    """A stream inside TLS on which nothing was said yet."""

    tls: ssl.SSLSocket
    to: str

    @property
    def serial(self) -> int:
        """The serial number of the certificate that the server showed."""
        shown = self.tls.getpeercert()
        assert shown
        return int(str(shown["serialNumber"]), 16)

    def features(self) -> str:
        """What the server offers on the new stream."""
        self.tls.sendall(_HEADER.format(to=self.to).encode())
        return _read_until(self.tls, "</stream:features>")


@contextlib.contextmanager
def secured_stream(port: int, to: str, context: ssl.SSLContext) -> Iterator[Stream]:
    """Connect to a port of 127.0.0.1, and get as far as the handshake, which `context` checks."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as plain:
        plain.sendall(_HEADER.format(to=to).encode())
        _read_until(plain, "</stream:features>")
        plain.sendall(_STARTTLS.encode())
        _read_until(plain, "<proceed")
        with context.wrap_socket(plain, server_hostname=to) as tls:
            yield Stream(tls, to)


def _read_until(connection: socket.socket, text: str) -> str:
    said = ""
    while text not in said:
        chunk = connection.recv(4096)
        assert chunk, f"the server has closed the stream after {said!r}"
        said += chunk.decode()
    return said
