"""The contract of every solver, held by this one, against a web server in this process."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from acmectl_webdav import WebdavOptions, WebdavSolver

from acmectl.solvers.testing import SolverContract, World

AUTHORIZED = "Basic " + base64.b64encode(b"acmectl:open sesame").decode()
PUBLIC, UPLOAD = "/.well-known/acme-challenge/", "/upload/"


class Web(ThreadingHTTPServer):
    """Shows at `PUBLIC` what was put below `UPLOAD`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}

    @property
    def endpoint(self) -> str:
        return f"127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Web

    def do_GET(self) -> None:
        self._answer(200, self.server.files.get(self.path.removeprefix(PUBLIC)))

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self._may_write():
            self.server.files[self.path.removeprefix(UPLOAD)] = body
            self._answer(201, b"")

    def do_DELETE(self) -> None:
        if self._may_write():
            self._answer(204, self.server.files.pop(self.path.removeprefix(UPLOAD), None))

    def _may_write(self) -> bool:
        if self.headers["Authorization"] != AUTHORIZED:
            self._answer(401, b"")
        return self.headers["Authorization"] == AUTHORIZED

    def _answer(self, status: int, body: bytes | None) -> None:
        self.send_response(404 if body is None else status)
        self.end_headers()
        if status != 204:
            self.wfile.write(body or b"")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # as the base class calls it
        """Silent."""


@pytest.fixture
def web() -> Iterator[Web]:
    with Web() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def options(web: Web, directory: Path, password: str = "open sesame\n") -> WebdavOptions:
    secret = directory / "password"
    secret.touch(mode=0o600)
    secret.write_text(password)
    return WebdavOptions.model_validate(
        {
            "url": f"http://{web.endpoint}/upload/",
            "password_file": str(secret),
            "check_address": web.endpoint,
            "check_timeout": "1s",
        }
    )


class TestWebdav(SolverContract):
    @pytest.fixture
    def world(self, web: Web, tmp_path: Path) -> World:
        made = options(web, tmp_path)
        return World(
            make=lambda: WebdavSolver(made),
            type="http-01",
            is_visible=lambda response: web.files.get(response.token) == response.key_authorization.encode(),
            plant=lambda _: web.files.update({"stranger": b"stranger"}),
            is_planted=lambda _: web.files["stranger"] == b"stranger",
        )

    def test_a_wrong_password_is_told_and_is_not_in_the_message(self, web: Web, world: World, tmp_path: Path) -> None:
        failures = WebdavSolver(options(web, tmp_path, "guess")).publish(world.batch())
        assert {error.message for error in failures.values()} == {f"`http://{web.endpoint}/upload` answers 401 to PUT"}
        assert not web.files
