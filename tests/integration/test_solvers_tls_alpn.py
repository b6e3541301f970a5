"""tls-alpn-01 by our own TLS server, asked as strangers on the Internet may ask it; and sockets that systemd hands over."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from acmectl.model.names import Identifier
from acmectl.sandbox.tls_alpn import validate
from acmectl.sandbox.validation import Attempt
from acmectl.solvers.base import Response, Solver
from tests.servers.bind import free_port
from tests.servers.chains import issue
from tests.servers.own_network import run_in_own_network
from tests.servers.solvers import listening, only
from tests.servers.wire import context, serving

CHECKOUT = Path(__file__).parents[2]


def make(listen: str | None, type_: str = "tls-alpn", **changes: Any) -> Solver:
    return listening(type_, listen, **changes)


def response(name: str = "www.example.com", token: str = "T0ken_-x") -> Response:
    return Response(Identifier.parse(name), "tls-alpn-01", token, f"{token}.thumbprint")


def fault(one: Response, port: int, address: str = "127.0.0.1") -> str:
    """Why the CA would not take it; nothing where it does."""
    problem = validate(Attempt(one.type, one.identifier, one.token, one.key_authorization), address, port, seconds=5)
    return problem.detail if problem else ""


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def running(port: int) -> Iterator[Solver]:
    solver = make(f"127.0.0.1:{port}")
    assert solver.publish([response()]) == {}
    yield solver
    assert solver.remove([response()]) == {}


def handshake(port: int, name: str | None, protocols: list[str]) -> tuple[str | None, bytes]:
    """The protocol agreed on, and what the server says of itself afterwards."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(protocols)
    with (
        socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname=name, suppress_ragged_eofs=True) as stream,
    ):
        return stream.selected_alpn_protocol(), stream.recv(100)


@pytest.mark.usefixtures("running")
def test_a_ca_gets_the_certificate_of_the_name_in_any_case(port: int) -> None:
    assert fault(response(), port) == ""
    assert handshake(port, "WWW.Example.COM", ["acme-tls/1"]) == ("acme-tls/1", b"")


@pytest.mark.parametrize("name", ["other.example.com", None])
@pytest.mark.usefixtures("running")
def test_other_names_and_none_are_refused(port: int, name: str | None) -> None:
    with pytest.raises(ssl.SSLError, match="UNRECOGNIZED_NAME"):
        handshake(port, name, ["acme-tls/1"])


@pytest.mark.usefixtures("running")
def test_a_browser_is_told_nothing(port: int) -> None:
    assert handshake(port, "www.example.com", ["h2", "http/1.1"]) == (None, b"")


@pytest.mark.usefixtures("running")
def test_silent_connections_and_other_protocols_do_not_keep_a_ca_from_an_answer(port: int) -> None:
    silent = [socket.create_connection(("127.0.0.1", port), timeout=5) for _ in range(50)]
    silent[0].sendall(b"GET / HTTP/1.1\r\n\r\n")
    assert fault(response(), port) == ""
    for stream in silent:
        stream.close()


@pytest.mark.usefixtures("running")
def test_a_handshake_that_drips_is_cut_off_as_a_whole(port: int) -> None:
    begin, ended = time.monotonic(), threading.Event()
    with socket.create_connection(("127.0.0.1", port), timeout=5) as stream:
        try:
            stream.sendall(b"\x16\x03\x01\x3f\xff\x01\x00\x3f\xfb\x03\x03")  # a hello of 16 KiB, of which little comes
            while time.monotonic() - begin < 20:
                stream.sendall(b"x")
                ended.wait(0.2)
        except OSError:
            pass
    assert 8 < time.monotonic() - begin < 16


def test_the_port_is_free_again_and_can_be_had_again(port: int) -> None:
    solver = make(f"127.0.0.1:{port}")
    for _ in range(2):
        assert solver.publish([response()]) == {}
        assert solver.seen([response()]) == {}
        assert solver.remove([response()]) == {}
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0
    assert "cannot be asked: connection refused" in only(solver.seen([response()])).message


def test_what_another_server_answers_in_front_of_us_is_explained(port: int, running: Solver) -> None:
    ours, elsewhere = response(), make(f"127.0.0.1:{free_port()}", check_address=f"127.0.0.1:{port}")
    other = response(token="other")
    assert running.seen([ours]) == {}
    assert elsewhere.publish([other]) == {}
    error = only(elsewhere.seen([other]))
    assert error.message == (
        f"tls-alpn-01 for `www.example.com` at `127.0.0.1:{port}` is answered by the certificate of another challenge"
    )
    assert error.hint
    assert elsewhere.remove([other]) == {}


def test_a_certificate_of_a_version_that_there_is_not_is_explained(port: int, tmp_path: Path) -> None:
    made = issue(tmp_path / "1", "www.example.com")
    der = ssl.PEM_cert_to_DER_cert(made.leaf.read_text())
    odd = der.replace(bytes.fromhex("a003020102"), bytes.fromhex("a003020101"), 1)
    made.leaf.write_text(ssl.DER_cert_to_PEM_cert(odd))
    front = context(made, leaf_only=True)
    front.set_alpn_protocols(["acme-tls/1"])
    with serving(front) as server:
        solver = make(f"127.0.0.1:{port}", check_address=f"127.0.0.1:{server.port}")
        assert solver.publish([response()]) == {}
        assert only(solver.seen([response()])).message.endswith("is answered by a certificate for no challenge")
        assert solver.remove([response()]) == {}


def test_a_name_has_room_for_one_challenge(port: int, running: Solver) -> None:
    second = response(token="second")
    assert only(running.publish([response(), second])).message == (
        "`www.example.com` is being proven by another challenge, and tls-alpn-01 has room for one"
    )
    assert fault(response(), port) == ""
    assert running.remove([second]) == {}
    assert fault(response(), port) == ""


PORT_443 = """
import socket
from tests.integration.test_solvers_tls_alpn import fault, make, only, response
solver, ours = make(None), [response("127.0.0.1"), response("192.0.2.1"), response("::1")]
print(solver.publish(ours))
for one, error in solver.seen(ours).items():
    print(error.message, "|", error.hint)
print([fault(one, 443, host) for one in ours for host in ("127.0.0.1", "::1")])
print(solver.remove(ours))
with socket.create_server(("127.0.0.1", 443)):
    print(only(solver.publish(ours)))
"""


def test_without_an_address_it_listens_on_port_443_of_every_address_and_is_asked_where_the_ca_will_look() -> None:
    assert run_in_own_network(PORT_443) == [
        "{}",
        (
            "tls-alpn-01 for `192.0.2.1` at `192.0.2.1:443` cannot be asked: network is unreachable"
            " | where this host cannot reach its own public address, set `check_address` of the solver"
        ),
        "['', '', '', '', '', '']",
        "{}",
        "cannot listen on `*:443` for tls-alpn-01: address already in use",
    ]


HANDED_OVER = """
from tests.integration.test_solvers_tls_alpn import fault, make, only, response
import os, socket
def at(descriptor):
    with socket.socket(fileno=os.dup(descriptor)) as one:
        return "%s:%d" % one.getsockname()
web, tls = make("systemd:web", "standalone", check_address=at(3)), make("systemd:tls", check_address=at(4))
none = make("systemd:other")
one = response()
for _ in range(2):
    print(web.publish([one]), tls.publish([one]), web.seen([one]), tls.seen([one]))
    print(web.remove([one]), tls.remove([one]))
error = only(none.publish([one]))
print(error.message, "|", error.hint)
with socket.socket(fileno=3) as still:
    print(still.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
"""


def hand_over(code: str, *sockets: socket.socket, names: str, pid: str = "$$") -> list[str]:
    """What `code` prints in a process that gets the sockets as systemd hands them over (`sd_listen_fds(3)`)."""
    shell = f'LISTEN_PID={pid} LISTEN_FDS={len(sockets)} LISTEN_FDNAMES={names} exec "$0" -W error -c "$1"'

    def descriptors_from_three() -> None:
        copies = [os.dup(one.fileno()) for one in sockets]
        high = [os.dup2(copy, 100 + number) for number, copy in enumerate(copies)]
        for number, copy in enumerate(high):
            os.dup2(copy, 3 + number)

    done = subprocess.run(
        ["sh", "-c", shell, sys.executable, code],
        capture_output=True,
        text=True,
        check=False,
        cwd=CHECKOUT,
        timeout=60,
        close_fds=False,
        preexec_fn=descriptors_from_three,  # what systemd does; no thread of ours holds a lock it needs
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_sockets_of_systemd_are_used_by_name_and_left_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as web, socket.create_server(("127.0.0.1", 0)) as tls:
        said = hand_over(HANDED_OVER, web, tls, names="web:tls")
    assert said == [
        *["{} {} {} {}", "{} {}"] * 2,
        (
            "systemd has handed over no socket called `other` | "
            "correct `listen`, or `FileDescriptorName=` of the socket unit; there are `web`, `tls`"
        ),
        "1",
    ]


REFUSED = """
from tests.integration.test_solvers_tls_alpn import make, only, response
print(only(make("systemd").publish([response()])))
"""


def test_sockets_that_are_missing_or_meant_for_another_process_are_explained() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert hand_over(REFUSED, listener, names="x", pid="1") == ["systemd has handed over no socket"]
    assert hand_over(REFUSED, names="") == ["systemd has handed over no socket"]


def test_a_socket_that_does_not_listen_is_explained(tmp_path: Path) -> None:
    with (
        socket.socket() as plain,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
        socket.socket(socket.AF_UNIX) as local,
    ):
        local.bind(str(tmp_path / "s"))
        local.listen()
        for wrong in (plain, datagrams, local):
            assert hand_over(REFUSED, wrong, names="x") == [
                "the socket that systemd has handed over as descriptor 3 does not listen on a TCP port"
            ]
    with Path(os.devnull).open("rb") as null:
        shell = "LISTEN_PID=$$ LISTEN_FDS=1 exec 3</dev/null && " + 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" -c "$1"'
        done = subprocess.run(
            ["sh", "-c", shell, sys.executable, REFUSED],
            stdin=null,
            capture_output=True,
            text=True,
            check=True,
            cwd=CHECKOUT,
        )
    assert done.stdout == "what systemd has handed over as descriptor 3 is no socket\n"
