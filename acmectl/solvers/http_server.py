"""A web server that knows nothing but key authorizations (http-01), for hosts without one, imported when one is published.

It may stand on port 80 of a public host while it runs, so everything that a stranger sends is bounded: a request has 8 KiB and 10 s
as a whole, 64 connections are served at once, and further ones wait in the listen queue. Whatever is no token of ours is
404. Written on sockets, because `http.server` limits each read but no request.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import threading
import time
from collections.abc import Mapping

from acmectl.dns.endpoints import Endpoint
from acmectl.errors import SolverError

_MAX_REQUEST = 8192
_REQUEST_SECONDS = 10.0
_CONNECTIONS = 64
_PREFIX = "/.well-known/acme-challenge/"


class ChallengeServer:
    """Listens from `start` to `stop`; `answers` (token -> key authorization) may be replaced while it runs."""

    def __init__(self, address: Endpoint | None) -> None:
        """`address` None: port 80 of every address of this host, IPv6 and IPv4."""
        self._wanted = address
        self._listener: socket.socket | None = None
        self._slots = threading.BoundedSemaphore(_CONNECTIONS)
        self.answers: Mapping[str, str] = {}

    def start(self) -> None:
        """Listen, and answer in threads that do not keep the process alive; SolverError explains why it cannot."""
        if self._listener is None:
            self._listener = _listen(self._wanted)
            threading.Thread(target=self._accept, args=(self._listener,), name="http-01", daemon=True).start()

    def stop(self) -> None:
        """Free the port; connections that are being answered end by themselves."""
        listener, self._listener = self._listener, None
        if listener:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits in accept
            listener.close()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            self._slots.acquire()
            try:
                connection, _ = listener.accept()
            except OSError as cause:
                self._slots.release()
                if self._listener is not listener:
                    return
                if cause.errno in {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}:
                    time.sleep(0.1)  # out of descriptors for a moment; do not spin
                continue
            threading.Thread(target=self._serve, args=(connection,), name="http-01 request", daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection, contextlib.suppress(OSError, ValueError):
                end = time.monotonic() + _REQUEST_SECONDS
                answer = self._answer(_read_request(connection, end))
                connection.settimeout(max(end - time.monotonic(), 0.001))
                connection.sendall(answer)
                connection.shutdown(socket.SHUT_WR)
        finally:
            self._slots.release()

    def _answer(self, request: bytes) -> bytes:
        words = request.split(b"\r\n", 1)[0].decode("ascii", "replace").split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            return _reply("400 Bad Request", "not a request for a challenge\n")
        method, target, _ = words
        if method not in {"GET", "HEAD"}:
            return _reply("405 Method Not Allowed", "only GET and HEAD\n", extra="Allow: GET, HEAD\r\n")
        token = target.partition("?")[0].removeprefix(_PREFIX)
        found = self.answers.get(token) if target.startswith(_PREFIX) else None
        reply = _reply("404 Not Found", "no such challenge\n") if found is None else _reply("200 OK", found)
        return reply.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if method == "HEAD" else reply


def _read_request(connection: socket.socket, end: float) -> bytes:
    """Everything up to the empty line. Raises ValueError for one that is too long or ends early, TimeoutError."""
    request = b""
    while b"\r\n\r\n" not in request:
        connection.settimeout(max(end - time.monotonic(), 0.001))
        part = connection.recv(_MAX_REQUEST)
        request += part
        if not part or len(request) > _MAX_REQUEST:
            raise ValueError("no complete request")
    return request


def _reply(status: str, body: str, *, extra: str = "") -> bytes:
    content = body.encode("ascii")
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/octet-stream\r\nContent-Length: {len(content)}\r\n"
    return f"{head}{extra}Cache-Control: no-store\r\nConnection: close\r\n\r\n".encode("ascii") + content


def _listen(address: Endpoint | None) -> socket.socket:
    try:
        if address is None or address.host == "::":
            return _listen_everywhere(address.port if address else 80)
        family = socket.AF_INET6 if address.is_ipv6 else socket.AF_INET
        return socket.create_server((address.host, address.port), family=family, backlog=_CONNECTIONS)
    except OSError as cause:
        shown = address or Endpoint("*", 80)
        reason = os.strerror(cause.errno or 0).lower()  # `strerror` of the error has the address once more
        raise SolverError(f"cannot listen on `{shown}` for http-01: {reason}", hint=_hint(cause, shown)) from cause


def _listen_everywhere(port: int) -> socket.socket:
    if socket.has_dualstack_ipv6():
        try:
            return socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=_CONNECTIONS)
        except OSError as cause:
            if cause.errno not in {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL}:  # IPv6 is there, and switched off
                raise
    return socket.create_server(("0.0.0.0", port), backlog=_CONNECTIONS)  # noqa: S104  # every address is what is wanted


def _hint(cause: OSError, address: Endpoint) -> str | None:
    if cause.errno == errno.EADDRINUSE:
        return (
            f"another program has the port: `ss -ltnp 'sport = :{address.port}'` names it; "
            "where that is a web server, use a `webroot` solver"
        )
    if cause.errno in {errno.EACCES, errno.EPERM}:
        return "ports below 1024 need root, or `setcap cap_net_bind_service=+ep` for the Python that runs acmectl"
    if cause.errno == errno.EADDRNOTAVAIL:
        return f"`{address.host}` is no address of this host: correct `listen` of the solver"
    return None
