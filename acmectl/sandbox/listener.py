"""The sandbox's HTTP/1.1 over TLS: a thread a connection, kept alive, and no client that can hold up another.

Werkzeug's own server closes every connection and shakes hands in the accepting thread; this one does neither. The TLS handshake
has a time limit and a thread of its own, so that a half-open client only waits for itself.
"""

from __future__ import annotations

import contextlib
import http.server
import io
import socket
import socketserver
import ssl
import threading
from collections.abc import Callable
from typing import Any

from werkzeug.wrappers import Request, Response

_HANDSHAKE_SECONDS = 10.0
_IDLE_SECONDS = 60.0
_JOIN_SECONDS = 5.0
_MAX_BODY = 1024 * 1024
_MAX_DRAINED = 64 * 1024 * 1024  # read and thrown away, so that a client that sends too much sees the answer

Respond = Callable[[Request], Response]


class Listener(socketserver.TCPServer):
    """Listens on one loopback address with TLS.

    `respond` is set before `serve_forever`, once the port, and with it every URL, is known. `on_request` gets one line a request.
    """

    allow_reuse_address = True
    request_queue_size = 256

    def __init__(
        self,
        address: tuple[str, int],
        *,
        context: ssl.SSLContext,
        on_request: Callable[[str], None] | None = None,
    ) -> None:
        self.respond: Respond = _unavailable
        self.on_request = on_request
        self._context = context
        self._connections: dict[threading.Thread, socket.socket] = {}
        self._lock = threading.Lock()
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, _Connection)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Give a new connection its thread."""
        thread = threading.Thread(target=self._serve, args=(request, client_address), daemon=True)
        with self._lock:
            self._connections[thread] = request
        thread.start()

    def close_all(self) -> None:
        """Stop accepting, cut every connection, and wait for the threads."""
        self.shutdown()
        self.server_close()
        with self._lock:
            connections = list(self._connections.items())
        for _, connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread, _ in connections:
            thread.join(_JOIN_SECONDS)

    def _serve(self, request: socket.socket, client_address: Any) -> None:
        thread, connection = threading.current_thread(), request
        try:
            request.settimeout(_HANDSHAKE_SECONDS)
            connection = self._context.wrap_socket(request, server_side=True, do_handshake_on_connect=False)
            with self._lock:
                self._connections[thread] = connection
            connection.do_handshake()
            _Connection(connection, client_address, self)
        except OSError:
            return  # the client went away, speaks no TLS, or was too slow
        finally:
            with self._lock:
                self._connections.pop(thread, None)
            self.shutdown_request(connection)


def _unavailable(_: Request) -> Response:
    return Response("not ready\n", status=503)


class _Connection(http.server.BaseHTTPRequestHandler):
    """One connection. Headers and body leave in one write, or Nagle's algorithm would cost 40 ms an answer."""

    protocol_version = "HTTP/1.1"
    server_version = "acmectl-sandbox"
    sys_version = ""
    timeout = _IDLE_SECONDS
    wbufsize = -1
    disable_nagle_algorithm = True
    server: Listener

    def _answer(self) -> None:
        length = self._body_length()
        if length is None:
            return
        body = self.rfile.read(length)
        if len(body) < length:
            self.close_connection = True
            return
        response = self.server.respond(Request(self._environ(body)))
        self._send(response)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _answer  # noqa: N815 - names of the base class

    def _body_length(self) -> int | None:
        """How much to read; None where the request was refused for it."""
        if self.headers.get("Transfer-Encoding"):
            self._refuse(411, "a request needs a Content-Length")
            return None
        text = self.headers.get("Content-Length", "0").strip()
        if not text.isdecimal() or len(text) > 18:
            self._refuse(400, "Content-Length is no number")
            return None
        if int(text) > _MAX_BODY:
            self._refuse(413, f"a request body has at most {_MAX_BODY} bytes")
            self._drain(int(text))
            return None
        return int(text)

    def _drain(self, length: int) -> None:
        left = min(length, _MAX_DRAINED)
        while left > 0 and (read := len(self.rfile.read(min(left, 65536)))):
            left -= read

    def _refuse(self, status: int, detail: str) -> None:
        self.close_connection = True
        problem = f'{{"type": "urn:ietf:params:acme:error:malformed", "detail": "{detail}", "status": {status}}}\n'
        self._send(Response(problem, status=status, content_type="application/problem+json"))

    def _send(self, response: Response) -> None:
        body = response.get_data()
        self.log_request(response.status_code)
        self.send_response_only(response.status_code)
        for name, value in response.headers.items():
            if name != "Content-Length":
                self.send_header(name, value)
        if response.status_code != 204:
            self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()

    def _environ(self, body: bytes) -> dict[str, Any]:
        path, _, query = self.path.partition("?")
        environ: dict[str, Any] = {
            "REQUEST_METHOD": self.command,
            "SCRIPT_NAME": "",
            "PATH_INFO": _unquoted(path),
            "QUERY_STRING": query,
            "SERVER_NAME": str(self.server.server_address[0]),
            "SERVER_PORT": str(self.server.server_address[1]),
            "SERVER_PROTOCOL": self.request_version,
            "REMOTE_ADDR": str(self.client_address[0]),
            "wsgi.url_scheme": "https",
            "wsgi.input": io.BytesIO(body),
            "CONTENT_LENGTH": str(len(body)),
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
        }
        for name, value in self.headers.items():
            if "_" not in name:
                environ.setdefault("HTTP_" + name.upper().replace("-", "_"), value)
        return environ

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the base's
        """Requests go to `on_request`, control characters made visible."""
        if self.server.on_request:
            line = format % args
            self.server.on_request("".join(c if c.isprintable() else "?" for c in line))


def _unquoted(path: str) -> str:
    """WSGI's form of a path: its bytes as Latin-1 (PEP 3333)."""
    from urllib.parse import unquote_to_bytes

    return unquote_to_bytes(path.encode("latin-1", "replace")).decode("latin-1")
