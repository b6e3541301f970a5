"""A web server that knows nothing but key authorizations (http-01), for hosts without one, imported when one is published.

It may stand on port 80 of a public host while it runs, so everything that a stranger sends is bounded (see `listening`), a request to
8 KiB. Whatever is no token of ours is 404. Written on sockets, because `http.server` limits each read but no request.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping

from acmectl.solvers.inherited import Listen
from acmectl.solvers.listening import Listening, Service

_MAX_REQUEST = 8192
_PREFIX = "/.well-known/acme-challenge/"
_SERVICE = Service(
    "http-01",
    80,
    "where that is a web server, use a `webroot` solver, or let it pass the challenges on (examples/nginx, examples/apache)",
)


class ChallengeServer:
    """Listens from `start` to `stop`; `answers` (token -> key authorization) may be replaced while it runs."""

    def __init__(self, listen: Listen) -> None:
        self._listening = Listening(_SERVICE, listen, self._serve)
        self.answers: Mapping[str, str] = {}

    def start(self) -> None:
        """Listen, and answer; SolverError explains why it cannot."""
        self._listening.start()

    def stop(self) -> None:
        """Free the port; connections that are being answered end by themselves."""
        self._listening.stop()

    def _serve(self, connection: socket.socket, end: float) -> None:
        answer = self._answer(_read_request(connection, end))
        connection.settimeout(max(end - time.monotonic(), 0.001))
        connection.sendall(answer)
        connection.shutdown(socket.SHUT_WR)

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
