"""http-01 by our own web server, asked as strangers on the Internet may ask it."""

from __future__ import annotations

import contextlib
import http.client
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from acmectl.model.names import Identifier
from acmectl.solvers.base import Response, Solver
from tests.servers.bind import free_port
from tests.servers.own_network import run_in_own_network
from tests.servers.solvers import listening, only


def make(listen: str | None, **changes: Any) -> Solver:
    return listening("standalone", listen, **changes)


def response(name: str = "www.example.com", token: str = "T0ken_-x") -> Response:
    return Response(Identifier.parse(name), "http-01", token, f"{token}.thumbprint")


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def running(port: int) -> Iterator[Solver]:
    solver = make(f"127.0.0.1:{port}")
    assert solver.publish([response()]) == {}
    yield solver
    assert solver.remove([response()]) == {}


def ask(port: int, method: str = "GET", target: str = response().url_path) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request(method, target)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_the_server_listens_from_the_first_response_to_the_last(port: int) -> None:
    solver, one, two = make(f"127.0.0.1:{port}"), response(), response("mail.example.com", "other")
    assert not is_listening(port)
    assert solver.publish([one]) == {}
    assert solver.publish([one, two]) == {}
    assert solver.seen([one, two]) == {}
    assert solver.remove([one]) == {}
    assert ask(port)[0] == 404
    assert ask(port, target=two.url_path) == (200, b"other.thumbprint")
    assert solver.remove([one, two]) == {}
    assert not is_listening(port)
    assert solver.remove([one, two]) == {}


def test_it_can_be_used_again_on_the_same_port(port: int) -> None:
    solver = make(f"127.0.0.1:{port}")
    for _ in range(3):
        assert solver.publish([response()]) == {}
        assert solver.seen([response()]) == {}
        assert solver.remove([response()]) == {}


@pytest.mark.parametrize(
    ("method", "target", "answer"),
    [
        ("GET", "/.well-known/acme-challenge/T0ken_-x", (200, b"T0ken_-x.thumbprint")),
        ("GET", "/.well-known/acme-challenge/T0ken_-x?x=1", (200, b"T0ken_-x.thumbprint")),
        ("HEAD", "/.well-known/acme-challenge/T0ken_-x", (200, b"")),
        ("GET", "/.well-known/acme-challenge/other", (404, b"no such challenge\n")),
        ("GET", "/.well-known/acme-challenge/", (404, b"no such challenge\n")),
        ("GET", "/T0ken_-x", (404, b"no such challenge\n")),
        ("GET", "T0ken_-x", (404, b"no such challenge\n")),
        ("GET", "/", (404, b"no such challenge\n")),
        ("POST", "/.well-known/acme-challenge/T0ken_-x", (405, b"only GET and HEAD\n")),
    ],
)
@pytest.mark.usefixtures("running")
def test_only_its_tokens_are_answered(port: int, method: str, target: str, answer: tuple[int, bytes]) -> None:
    assert ask(port, method, target) == answer


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (b"nonsense\r\n\r\n", b"HTTP/1.1 400 Bad Request\r\n"),
        (b"\x16\x03\x01\x00\r\n\r\n", b"HTTP/1.1 400 Bad Request\r\n"),
        (b"GET / HTTP/2.0\r\n\r\n", b"HTTP/1.1 400 Bad Request\r\n"),
        (b"GET / HTTP/1.1\r\nHost: x", b""),
        (b"GET / HTTP/1.1\r\n" + b"X: " + b"x" * 20_000 + b"\r\n\r\n", b""),
    ],
)
@pytest.mark.usefixtures("running")
def test_what_is_no_request_gets_no_more_than_a_refusal(port: int, sent: bytes, answer: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as stream:
        received = b""
        with contextlib.suppress(OSError):  # a server that has read enough may be gone before we have said all
            stream.sendall(sent)
            stream.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            received = stream.recv(65536)
    assert received[: len(answer)] == answer
    assert bool(received) == bool(answer)
    assert ask(port)[0] == 200


@pytest.mark.usefixtures("running")
def test_silent_connections_do_not_keep_others_from_an_answer(port: int) -> None:
    silent = [socket.create_connection(("127.0.0.1", port), timeout=5) for _ in range(50)]
    assert ask(port)[0] == 200
    for stream in silent:
        stream.close()


def test_a_port_in_use_is_explained_and_remove_is_no_failure(port: int) -> None:
    with socket.create_server(("127.0.0.1", port)):
        solver, ours = make(f"127.0.0.1:{port}"), [response(), response("mail.example.com")]
        failures = solver.publish(ours)
        assert failures.keys() == set(ours)
        error = only(failures)
        assert error.message == f"cannot listen on `127.0.0.1:{port}` for http-01: address already in use"
        assert error.hint
        assert f"`ss -ltnp 'sport = :{port}'` names it" in error.hint
        assert solver.remove(ours) == {}


def test_an_address_of_another_host_is_explained(port: int) -> None:
    error = only(make(f"192.0.2.1:{port}").publish([response()]))
    assert error.hint == "`192.0.2.1` is no address of this host: correct `listen` of the solver"


def test_seen_fails_where_the_configured_address_leads_elsewhere(port: int) -> None:
    solver = make(f"127.0.0.1:{port}", check_address=f"127.0.0.1:{free_port()}")
    assert solver.publish([response()]) == {}
    assert "connection refused" in only(solver.seen([response()])).message
    assert solver.remove([response()]) == {}


def test_the_process_ends_although_the_server_runs(port: int) -> None:
    code = (
        "from tests.integration.test_solvers_standalone import make, response\n"
        f"print(make('127.0.0.1:{port}').publish([response()]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[2], capture_output=True, check=False, timeout=20
    )
    assert (done.returncode, done.stdout) == (0, b"{}\n"), done.stderr
    assert not is_listening(port)


def test_a_request_that_drips_is_cut_off_as_a_whole(port: int, running: Solver) -> None:
    assert running.seen([response()]) == {}
    begin = time.monotonic()
    ended = threading.Event()
    with socket.create_connection(("127.0.0.1", port), timeout=5) as stream:
        try:
            while time.monotonic() - begin < 20:
                stream.sendall(b"x")
                ended.wait(0.2)
        except OSError:
            pass
    assert 8 < time.monotonic() - begin < 14


PORT_80 = """
import socket
from tests.integration.test_solvers_standalone import make, only, response
solver = make(None)
ours = [response("127.0.0.1"), response("::1"), response("192.0.2.1")]
print(solver.publish(ours))
for one, error in solver.seen(ours).items():
    print(error.message, "|", error.hint)
for host in ("127.0.0.1", "::1"):
    with socket.create_connection((host, 80)) as stream:
        stream.sendall(b"GET " + response().url_path.encode() + b" HTTP/1.0\\r\\n\\r\\n")
        print(stream.makefile("rb").read().splitlines()[-1].decode())
print(solver.remove(ours))
with socket.create_server(("127.0.0.1", 80)):
    print(only(solver.publish([response()])))
"""


def test_without_an_address_it_listens_on_port_80_of_every_address_and_is_asked_where_the_ca_will_look() -> None:
    assert run_in_own_network(PORT_80) == [
        "{}",
        (
            "`http://192.0.2.1/.well-known/acme-challenge/T0ken_-x` cannot be asked: network is unreachable"
            " | where this host cannot reach its own public address, set `check_address` of the solver"
        ),
        "T0ken_-x.thumbprint",
        "T0ken_-x.thumbprint",
        "{}",
        "cannot listen on `*:80` for http-01: address already in use",
    ]


HTTPS = """
import ssl, sys, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from tests.integration.test_solvers_webroot import make, response

class Redirecting(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(301)
        self.send_header("Location", f"https://{self.headers['Host']}{self.path}")
        self.end_headers()
    def log_message(self, *_): pass

class Answering(Redirecting):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"T0ken_-x.thumbprint".encode())
        print(self.headers["Host"], self.path, flush=True)

plain, secure = ThreadingHTTPServer(("127.0.0.1", 80), Redirecting), ThreadingHTTPServer(("127.0.0.1", 443), Answering)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
context.sni_callback = lambda _, name, __: print("sni", name, flush=True)
secure.socket = context.wrap_socket(secure.socket, server_side=True)
for server in (plain, secure):
    threading.Thread(target=server.serve_forever, daemon=True).start()
from pathlib import Path
print(make(Path("/"), check_address="127.0.0.1").seen([response()]))
"""


def test_a_redirect_to_https_is_followed_whatever_the_certificate_says(tmp_path: Path) -> None:
    files = str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")
    request = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subprocess.run(
        [*request, "-subj", "/CN=wrong.example", "-days", "1", "-out", files[0], "-keyout", files[1]],
        check=True,
        capture_output=True,
    )
    assert run_in_own_network(HTTPS, *files) == [
        "sni www.example.com",
        "www.example.com /.well-known/acme-challenge/T0ken_-x",
        "{}",
    ]
