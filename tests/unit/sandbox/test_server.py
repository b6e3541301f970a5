"""The server under clients that are slow, gone, rude or many."""

from __future__ import annotations

import http.client
import socket
import ssl
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from acmectl.errors import AcmectlError, UsageError
from acmectl.sandbox.server import Sandbox, Settings
from tests.servers.sandbox import running_sandbox
from tests.servers.sandbox_client import Client


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    with running_sandbox(tmp_path, trust=True, limits=None) as running:
        yield running


def _address(sandbox: Sandbox) -> tuple[str, int]:
    where = urlsplit(sandbox.directory_url)
    assert where.port
    return "127.0.0.1", where.port


def _tls(sandbox: Sandbox) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=sandbox.ca_bundle)
    return context.wrap_socket(socket.create_connection(_address(sandbox), timeout=10), server_hostname="localhost")


def _raw(sandbox: Sandbox, request: bytes) -> bytes:
    """What the server answers to bytes, until it closes the connection."""
    with _tls(sandbox) as connection:
        connection.sendall(request)
        received = b""
        while data := connection.recv(65536):
            received += data
        return received


def _is_up(sandbox: Sandbox) -> bool:
    with Client(sandbox.directory_url, sandbox.ca_bundle) as client:
        return client.register().status == 201


def test_a_client_that_never_finishes_its_handshake_holds_up_nobody(sandbox: Sandbox) -> None:
    silent = [socket.create_connection(_address(sandbox)) for _ in range(20)]
    silent[0].sendall(b"\x16\x03\x01")
    assert _is_up(sandbox)
    for each in silent:
        each.close()


def test_a_client_that_never_finishes_its_request_holds_up_nobody(sandbox: Sandbox) -> None:
    with _tls(sandbox) as slow:
        slow.sendall(b"POST /acme/new-order HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{")
        assert _is_up(sandbox)


def test_stopping_cuts_open_connections_and_leaves_no_thread(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    with running_sandbox(tmp_path) as sandbox:
        half_open = socket.create_connection(_address(sandbox))
        idle = _tls(sandbox)
        assert _is_up(sandbox)
    assert set(threading.enumerate()) <= before
    with idle, half_open:
        assert idle.recv(10) == b""


def test_one_connection_carries_many_requests(sandbox: Sandbox) -> None:
    context = ssl.create_default_context(cafile=sandbox.ca_bundle)
    connection = http.client.HTTPSConnection(*_address(sandbox), context=context)
    connection.connect()
    first = connection.sock
    for _ in range(5):
        connection.request("GET", "/directory")
        assert connection.getresponse().read().startswith(b"{")
        assert connection.sock is first
    connection.close()


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"POST /acme/new-order HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n", b"413"),
        (b"POST /acme/new-order HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n", b"400"),
        (b"POST /acme/new-order HTTP/1.1\r\nHost: localhost\r\nContent-Length: many\r\n\r\n", b"400"),
        (b"POST /acme/new-order HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"411"),
    ],
    ids=["huge", "negative", "no number", "chunked"],
)
def test_a_body_of_no_sane_length_is_refused_with_a_problem(sandbox: Sandbox, request_: bytes, status: bytes) -> None:
    with _tls(sandbox) as connection:
        connection.sendall(request_)
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert b"application/problem+json" in answer
    assert b"Connection: close" in answer


def test_a_client_that_sends_too_much_sees_the_answer(sandbox: Sandbox) -> None:
    size = 3 * 1024 * 1024
    head = f"POST /acme/new-order HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n\r\n".encode()
    assert _raw(sandbox, head + b"x" * size).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize(
    "junk",
    [b"\0\0\0\0\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"BREW /pot HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 200 + b"\r\n"],
    ids=["zeros", "no path", "odd version", "odd method", "many headers"],
)  # fmt: skip
def test_junk_is_answered_or_cut_and_the_server_goes_on(
    sandbox: Sandbox, junk: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    answer = _raw(sandbox, junk)
    assert answer == b"" or b"Error response" in answer
    assert _is_up(sandbox)
    assert capfd.readouterr().err == ""


def test_plain_http_and_lost_peers_leave_no_trace(sandbox: Sandbox, capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_connection(_address(sandbox)) as plain:
        plain.sendall(b"GET /directory HTTP/1.1\r\n\r\n")
    lost = _tls(sandbox)
    lost.sendall(b"POST /acme/new-order HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n{")
    lost.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close by RST
    lost.close()
    assert _is_up(sandbox)
    assert capfd.readouterr().err == ""


def test_a_head_request_gets_headers_only_and_the_connection_goes_on(sandbox: Sandbox) -> None:
    head = b"HEAD /acme/nothing HTTP/1.1\r\nHost: localhost\r\n\r\n"
    get = b"GET /directory HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    answers = _raw(sandbox, head + get)
    assert answers.count(b"HTTP/1.1 ") == 2
    assert b'{"type"' not in answers.replace(b"\n  ", b"")
    assert b'"newNonce"' in answers


def test_many_clients_at_once_are_all_served(sandbox: Sandbox) -> None:
    def issue(number: int) -> str:
        with Client(sandbox.directory_url, sandbox.ca_bundle) as client:
            client.register()
            return str(client.finalize(client.proven(f"n{number}.example.com")).json["status"])

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(issue, range(16))) == ["valid"] * 16


def test_a_wrong_bundle_is_refused_by_the_client(sandbox: Sandbox, tmp_path: Path) -> None:
    with (
        running_sandbox(tmp_path / "other") as other,
        pytest.raises(ssl.SSLCertVerificationError, match="certificate verify failed"),
    ):
        Client(sandbox.directory_url, other.ca_bundle)


def test_a_port_in_use_is_an_error_that_names_it(sandbox: Sandbox, tmp_path: Path) -> None:
    port = _address(sandbox)[1]
    with (
        pytest.raises(AcmectlError, match=f"cannot listen on `127.0.0.1:{port}`: Address already in use") as caught,
        running_sandbox(tmp_path / "other", port=port),
    ):
        pytest.fail("it listened")
    assert caught.value.hint
    assert not (tmp_path / "other").exists(), "a refused start leaves nothing behind"


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "localhost", "example.com"])  # noqa: S104 - refused
def test_only_loopback_addresses_are_listened_on(tmp_path: Path, host: str) -> None:
    with pytest.raises(UsageError, match="loopback"), Sandbox(Settings(output=tmp_path / "out", host=host)):
        pytest.fail("it listened")
    assert not (tmp_path / "out").exists()


def test_ipv6_loopback_is_as_good(tmp_path: Path) -> None:
    with Sandbox(Settings(output=tmp_path, host="::1")) as sandbox:
        assert sandbox.directory_url.startswith("https://[::1]:")
        assert _is_up(sandbox)


def test_stopping_twice_or_before_the_start_is_no_harm(tmp_path: Path) -> None:
    sandbox = Sandbox(Settings(output=tmp_path))
    with pytest.raises(AcmectlError, match="not running"):
        _ = sandbox.directory_url
    sandbox.stop()
    sandbox.stop()


def test_no_private_key_is_ever_written_where_it_stays(sandbox: Sandbox) -> None:
    written = sorted(path.name for path in sandbox.ca_bundle.parent.iterdir())
    assert written == ["alternate-root.pem", "root.pem"]
    for path in sandbox.ca_bundle.parent.iterdir():
        assert b"PRIVATE" not in path.read_bytes()


def test_external_account_keys_are_not_in_the_settings_repr(tmp_path: Path) -> None:
    settings = replace(Settings(output=tmp_path), external_accounts={"kid": b"very secret"})
    assert "very secret" not in repr(settings)


def test_verbose_requests_are_one_line_each(tmp_path: Path) -> None:
    lines: list[str] = []
    with (
        running_sandbox(tmp_path, on_request=lines.append) as sandbox,
        Client(sandbox.directory_url, sandbox.ca_bundle) as client,
    ):
        client.send("GET", "https://localhost/%0aforged")
    assert lines == ['"GET /directory HTTP/1.1" 200 -', '"GET /%0aforged HTTP/1.1" 404 -']


def test_without_werkzeug_the_error_names_the_extra() -> None:
    program = (
        "import sys; sys.modules['werkzeug'] = None\n"
        "from pathlib import Path\n"
        "from acmectl.errors import AcmectlError\n"
        "from acmectl.sandbox.server import Sandbox, Settings\n"
        "try:\n    Sandbox(Settings(output=Path('/nonexistent')))\n"
        "except AcmectlError as error:\n    print(error.message, '|', error.hint)\n"
    )
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert output.stdout == "the sandbox needs `werkzeug` | `pip install 'acmectl[sandbox]'`\n"
