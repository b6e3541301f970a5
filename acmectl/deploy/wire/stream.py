"""One TCP connection to a service that is not trusted: bounded in time and bytes as a whole, with the server's words in every error.

The limit of a socket operation is no limit: a server that drips a byte a second keeps every one of them. So all waits of a
connection share one moment at which it is over.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import time
from datetime import timedelta
from typing import Self

from acmectl.deploy.wire.deadline import SLICE_SECONDS, Deadline
from acmectl.errors import DeployError

_MAX_BYTES = 256 * 1024  # a chain has some 6 KB, a greeting less
_MAX_LINE = 8192
_QUOTED = 200  # characters of what a server said
_PARTING_SECONDS = 0.3  # for the other side to close as well
_TLS_ALERT = b"\x15\x03"


class WireError(DeployError):
    """A look that showed no certificate. The message lacks its subject, the place that was looked at."""


def quote(raw: bytes | bytearray) -> str:
    """What a server said, for a message: short, on one line, and without anything that a terminal could obey."""
    text = " ".join(raw[: 4 * _QUOTED].decode("utf-8", "backslashreplace").split())
    shown = "".join(c if c.isprintable() and c != "`" else "?" for c in text)
    return f"`{shown[:_QUOTED]}{'...' if len(shown) > _QUOTED else ''}`"


class Stream:
    """A connection; `heard` is the beginning of what came since the last `send`."""

    def __init__(self, connected: socket.socket, deadline: Deadline) -> None:
        """`deadline` is when it must be over."""
        self._socket = connected
        self._deadline = deadline
        self._unread = bytearray()
        self._received = 0
        self._spoke = False
        self.heard = bytearray()

    @classmethod
    def connect(cls, address: str, port: int, *, timeout: timedelta) -> Self:
        """Connect to an IP address (with its zone, such as `fe80::1%eth0`, if need be). Raises WireError, Interrupted."""
        deadline = Deadline(timeout)
        try:
            connected = _connected(address, port, deadline)
        except OSError as cause:
            raise WireError(f"cannot be connected to: {_reason(cause)}") from cause
        return cls(connected, deadline)

    @property
    def local_address(self) -> str:
        """Our own address on this connection."""
        return str(self._socket.getsockname()[0])

    @property
    def unread(self) -> bytes:
        """What came and was not read yet."""
        return bytes(self._unread)

    def send(self, text: bytes) -> None:
        """Send all of it, and forget what was heard. Raises WireError."""
        self.heard.clear()
        self._spoke = True
        try:
            self._socket.settimeout(self._left())
            self._socket.sendall(text)
        except OSError as cause:
            raise WireError(self._lost(cause)) from cause

    def line(self) -> bytes:
        """The next line, without its end. Raises WireError."""
        return self.until(b"\n").rstrip(b"\r\n")

    def until(self, end: bytes) -> bytes:
        """Everything up to and including `end`. Raises WireError."""
        while (found := self._unread.find(end)) < 0:
            if len(self._unread) > _MAX_LINE:
                raise WireError(f"sends without end: {quote(self._unread)}")
            self._fill()
        return self._take(found + len(end))

    def exactly(self, count: int) -> bytes:
        """The next `count` bytes. Raises WireError."""
        while len(self._unread) < count:
            self._fill()
        return self._take(count)

    def receive(self) -> bytes:
        """What comes next, at least one byte, or nothing where the other side has closed. Raises WireError."""
        while True:
            try:
                self._socket.settimeout(min(self._left(), SLICE_SECONDS))
                chunk = self._socket.recv(8192)
            except TimeoutError:
                continue  # `_left` ends it
            except OSError as cause:
                raise WireError(self._lost(cause)) from cause
            self._count(chunk)
            return chunk

    def part(self, farewell: bytes = b"") -> None:
        """Take leave, and close; what fails here does not matter any more.

        The other side gets a moment to close as well: unread data would turn our closing into a reset, which services log.
        """
        with contextlib.suppress(OSError):
            self._socket.settimeout(_PARTING_SECONDS)
            self._socket.sendall(farewell)
            self._socket.shutdown(socket.SHUT_WR)
            by = time.monotonic() + _PARTING_SECONDS
            while self._socket.recv(8192) and time.monotonic() < by:
                pass
        self.close()

    def close(self) -> None:
        """Close without a word."""
        self._socket.close()

    def _take(self, count: int) -> bytes:
        taken = bytes(self._unread[:count])
        del self._unread[:count]
        return taken

    def _fill(self) -> None:
        chunk = self.receive()
        if not chunk:
            raise WireError(f"closed the connection {self._after()}")
        self._unread += chunk

    def _count(self, chunk: bytes) -> None:
        self._received += len(chunk)
        self.heard += chunk[: max(0, 1024 - len(self.heard))]
        if self._received > _MAX_BYTES:
            raise WireError(f"sends without end: {quote(self.heard)}")

    def _left(self) -> float:
        if left := self._deadline.left():
            return left
        raise WireError(f"did not finish within {self._deadline}: {self._said()}")

    def _said(self) -> str:
        if self.heard:
            return f"it said {quote(self.heard)}"
        return "it said nothing" if self._spoke else "it said nothing: it may wait for TLS from the first byte"

    def _after(self) -> str:
        if self.heard.startswith(_TLS_ALERT):
            return "with an alert of TLS: it may speak TLS from the first byte"
        return f"after {quote(self.heard)}" if self.heard else "without a word"

    def _lost(self, cause: OSError) -> str:
        return f"lost the connection {self._after()}: {_reason(cause)}"


def _connected(address: str, port: int, deadline: Deadline) -> socket.socket:
    """A filtered port says nothing at all, so this is waited for in slices, too. Raises OSError, WireError, Interrupted."""
    family, kind, protocol, _, place = socket.getaddrinfo(
        address, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
    )[0]
    with contextlib.ExitStack() as undo:
        connecting = undo.enter_context(socket.socket(family, kind, protocol))
        connecting.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            connecting.connect(place)
        waiting = select.poll()
        waiting.register(connecting, select.POLLOUT)
        while not waiting.poll(1000 * deadline.slice()):
            if not deadline.left():
                raise WireError(f"did not answer within {deadline}")
        if code := connecting.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise OSError(code, os.strerror(code))
        undo.pop_all()
        return connecting


def _reason(cause: OSError) -> str:
    text = cause.strerror or str(cause)
    return f"{text[:1].lower()}{text[1:]}"
