"""A gate before PowerDNS's HTTP API that lets requests through, and can keep the answer to a change back."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import requests

from tests.servers.powerdns import PowerDNS

_LONGEST = 120.0  # seconds for which an answer is kept back at most


@dataclass
class Gate:
    """`url` takes the place of the API's. While `is_closed`, changes are done and not answered; `kept` is set once one was."""

    url: str = ""
    is_closed: bool = False
    kept: threading.Event = field(default_factory=threading.Event)
    opened: threading.Event = field(default_factory=threading.Event)
    asked: list[str] = field(default_factory=list)

    def close(self) -> None:
        self.kept.clear()
        self.opened.clear()
        self.is_closed = True

    def open(self) -> None:
        """From now on everything is answered; what was kept back never is."""
        self.is_closed = False
        self.opened.set()


@contextlib.contextmanager
def running_gate(server: PowerDNS) -> Iterator[Gate]:
    """Stand before the API of `server`; gone at the end in any case."""
    gate = Gate()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._pass_on()

        def do_PATCH(self) -> None:
            was_closed = gate.is_closed
            answer = self._ask()
            if was_closed:
                gate.kept.set()
                gate.opened.wait(_LONGEST)
                self.close_connection = True
            else:
                self._answer(answer)

        def _pass_on(self) -> None:
            self._answer(self._ask())

        def _ask(self) -> requests.Response:
            gate.asked.append(self.command)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {"X-API-Key": self.headers["X-API-Key"], "Content-Type": "application/json"}
            return requests.request(self.command, server.api + self.path, data=body, headers=headers, timeout=20)

        def _answer(self, answer: requests.Response) -> None:
            self.send_response(answer.status_code)
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name in the base class
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        http.daemon_threads = True
        http.handle_error = lambda *_: None  # type: ignore[method-assign]  # who asked may be gone, and is often killed
        gate.url = f"http://127.0.0.1:{http.server_port}"
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        try:
            yield gate
        finally:
            gate.open()
            http.shutdown()
            thread.join()
