"""A web server on a free port of loopback: it serves a document root, or whatever a test's function answers."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass(frozen=True)
class Answer:
    """One HTTP answer."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


Answering = Callable[[str, str], Answer]
"""(value of Host, path with query) -> answer."""


@dataclass(frozen=True)
class Web:
    """A running server and the requests that it saw, as (Host, path)."""

    port: int
    requests: list[tuple[str, str]]

    @property
    def endpoint(self) -> str:
        return f"127.0.0.1:{self.port}"


def files_below(root: Path) -> Answering:
    """Serve the regular files below `root`, 404 else."""

    def answer(_: str, path: str) -> Answer:
        file = root / path.lstrip("/")
        return Answer(200, file.read_bytes()) if file.is_file() else Answer(404)

    return answer


@contextlib.contextmanager
def running_web(answering: Answering) -> Iterator[Web]:
    """Serve until the end of the block."""
    requests: list[tuple[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            host = self.headers.get("Host", "")
            requests.append((host, self.path))
            answer = answering(host, self.path)
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            with contextlib.suppress(ConnectionError):
                self.wfile.write(answer.body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield Web(server.server_address[1], requests)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
