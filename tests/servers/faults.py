"""An ACME server that misbehaves exactly as a test scripts it, over HTTP or HTTPS on loopback.

    with running_faults() as ca:
        ca.script("POST /new-order", problem(503, "serverInternal", headers={"Retry-After": "3"}), created_order(ca))

Directory and nonces answer as they should until scripted. The replies of a script come in their order, and the last one stays.
What was asked is in `ca.requests`, with the JWS taken apart.
"""

from __future__ import annotations

import base64
import binascii
import json
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any, Literal

from tests.servers.tls import ServerTLS

_DRIP_SECONDS = 0.05
_STOP_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer, and how it goes wrong.

    `drip` sends the head, or the body, byte by byte; `cut` closes the connection before any answer, or in the middle of
    the body; `filler` adds that many bytes to the body. `nonce` is sent as Replay-Nonce, a fresh one where it is None, none
    where it is empty.
    """

    status: int = 200
    body: object = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    nonce: str | None = None
    drip: Literal["head", "body"] | None = None
    cut: Literal["head", "body"] | None = None
    filler: int = 0

    @property
    def content(self) -> bytes:
        """The bytes of the body; what is not bytes yet becomes JSON."""
        body = self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()
        return body + b" " * self.filler


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked. `protected` and `payload` are those of the JWS; `payload` is None for a POST-as-GET."""

    method: str
    path: str
    headers: Mapping[str, str]
    protected: Mapping[str, Any]
    payload: Any


def problem(
    status: int, kind: str, detail: str = "", *, headers: Mapping[str, str] | None = None, **members: object
) -> Reply:
    """A problem document of an ACME type."""
    body = {"type": f"urn:ietf:params:acme:error:{kind}", "detail": detail, **members}
    return Reply(status, body, {"Content-Type": "application/problem+json", **(headers or {})})


class FaultyCA:
    """The script, what was asked, and where: all that a test needs to see."""

    def __init__(self) -> None:
        self.base = ""
        self.requests: list[Request] = []
        self.stopping = threading.Event()
        self._scripts: dict[str, list[Reply]] = {}
        self._lock = threading.Lock()
        self._nonces = count(1)

    @property
    def directory_url(self) -> str:
        """Where the directory is."""
        return f"{self.base}/directory"

    @property
    def directory(self) -> dict[str, object]:
        """A directory without faults, for a test to spoil."""
        names = {"newNonce": "new-nonce", "newAccount": "new-account", "newOrder": "new-order"}
        return {name: f"{self.base}/{path}" for name, path in names.items()} | {
            "meta": {
                "termsOfService": f"{self.base}/terms",
                "profiles": {"classic": "the usual", "shortlived": "six days"},
            }
        }

    def order(self, status: str = "pending", **members: object) -> dict[str, object]:
        """An order without faults."""
        return {
            "status": status,
            "expires": "2030-01-01T00:00:00Z",
            "identifiers": [{"type": "dns", "value": "a.example.com"}],
            "authorizations": [f"{self.base}/authorization/1"],
            "finalize": f"{self.base}/finalize/1",
        } | members

    def script(self, path: str, *replies: Reply) -> None:
        """Let `METHOD /path` answer so."""
        self._scripts[path] = list(replies)

    def asked(self, path: str) -> list[Request]:
        """The requests for `METHOD /path`, in their order."""
        with self._lock:
            return [r for r in self.requests if f"{r.method} {r.path}" == path]

    def fresh_nonce(self) -> str:
        """A nonce that was not given out yet."""
        return base64.urlsafe_b64encode(f"nonce-{next(self._nonces):06}".encode()).rstrip(b"=").decode()

    def reply_to(self, request: Request) -> Reply:
        """What the script says now."""
        with self._lock:
            self.requests.append(request)
            replies = self._scripts.get(f"{request.method} {request.path}")
            if replies:
                return replies.pop(0) if len(replies) > 1 else replies[0]
        if request.path == "/directory":
            return Reply(body=self.directory, nonce="")
        if request.path == "/new-nonce":
            return Reply()
        return problem(404, "malformed", f"nothing is scripted for {request.method} {request.path}")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    ca: FaultyCA

    def do_GET(self) -> None:
        self._answer(b"")

    def do_HEAD(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the signature is http.server's
        """Keep the test's output clean; `requests` has it all."""

    def _answer(self, body: bytes) -> None:
        protected, payload = _taken_apart(body)
        reply = self.ca.reply_to(Request(self.command, self.path, dict(self.headers), protected, payload))
        if reply.cut == "head":
            self.close_connection = True
            return
        with suppress(ConnectionError, ssl.SSLError):
            self._send(reply)

    def _send(self, reply: Reply) -> None:
        content = b"" if self.command == "HEAD" else reply.content
        nonce = self.ca.fresh_nonce() if reply.nonce is None else reply.nonce
        headers = {"Content-Type": "application/json", "Content-Length": str(len(content))}
        headers |= {"Replay-Nonce": nonce} if nonce else {}
        headers |= dict(reply.headers)
        if "Date" not in headers:
            headers["Date"] = self.date_time_string()
        lines = [f"HTTP/1.1 {reply.status} scripted", *(f"{name}: {value}" for name, value in headers.items() if value)]
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        if reply.cut == "body":
            content, self.close_connection = content[: len(content) // 2], True
        if reply.drip is None:
            self.wfile.write(head + content)  # in one packet: two would wait 40 ms for each other
        elif reply.drip == "head":
            self._drip(head)
        else:
            self.wfile.write(head)
            self._drip(content)

    def _drip(self, content: bytes) -> None:
        for byte in content:
            self.wfile.write(bytes([byte]))
            if self.ca.stopping.wait(_DRIP_SECONDS):
                self.close_connection = True
                return


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, tls: ServerTLS | None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.context: ssl.SSLContext | None = None
        if tls:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(tls.certificate, tls.key)

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Shake hands in the connection's own thread: a client that refuses our certificate stops nobody else."""
        with suppress(ConnectionError, ssl.SSLError):
            secured = self.context.wrap_socket(request, server_side=True) if self.context else request
            try:
                super().finish_request(secured, client_address)
            finally:
                secured.close()


@contextmanager
def running_faults(tls: ServerTLS | None = None) -> Iterator[FaultyCA]:
    """A CA without faults of its own, until the end of the block."""
    ca = FaultyCA()
    handler = type("Handler", (_Handler,), {"ca": ca})
    server = _Server(tls)
    server.RequestHandlerClass = handler
    ca.base = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield ca
    finally:
        ca.stopping.set()
        server.shutdown()
        server.server_close()
        thread.join(_STOP_SECONDS)


def _taken_apart(body: bytes) -> tuple[Mapping[str, Any], Any]:
    try:
        signed = json.loads(body)
        protected = json.loads(_decoded(signed["protected"]))
        payload = _decoded(signed["payload"])
        return protected, json.loads(payload) if payload else None
    except (ValueError, KeyError, TypeError, binascii.Error):
        return {}, None


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
