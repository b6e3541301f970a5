"""coturn with what a follower deploys to it."""

from __future__ import annotations

import contextlib
import secrets
import socket
import ssl
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.services import ECDSA, Desk, desk, rights
from tests.servers.coturn import Coturn, serving_coturn
from tests.servers.places import open_place


@pytest.fixture(scope="module")
def office() -> Iterator[tuple[Desk, Coturn]]:
    """A follower and a coturn that serves its first certificate."""
    with open_place("coturn") as place:
        follower = desk(place, kinds=[ECDSA])
        first = follower.place_first({"type": "coturn", "directory": str(place / "tls")})
        with serving_coturn(place, place / "tls" / "site.pem") as coturn:
            follower.deploy(target(coturn))
            follower.run()
            assert follower.seen(coturn.port) == first
            yield follower, coturn


def target(coturn: Coturn, **changes: Any) -> dict[str, Any]:
    """The preset, with the process and the port of this coturn."""
    return {
        "type": "coturn",
        "directory": str(coturn.directory / "tls"),
        "reload": ["kill", "-USR2", str(coturn.pid)],  # as the preset does by systemctl
        "verify": [{"port": coturn.port}],
        **changes,
    }


@contextlib.contextmanager
def connected(follower: Desk, coturn: Coturn) -> Iterator[ssl.SSLSocket]:
    name = follower.names[0]
    with (
        socket.create_connection(("127.0.0.1", coturn.port), timeout=60) as plain,
        follower.client().wrap_socket(plain, server_hostname=name) as tls,
    ):
        yield tls


def is_answered(tls: ssl.SSLSocket) -> bool:
    """Whether a binding request gets a success response (RFC 8489 sections 5 and 6)."""
    transaction = secrets.token_bytes(12)
    tls.sendall(b"\x00\x01\x00\x00\x21\x12\xa4\x42" + transaction)
    answer = tls.recv(1024)
    return answer[:2] == b"\x01\x01" and answer[8:20] == transaction


def test_coturn_serves_the_second_certificate_and_keeps_its_connections(office: tuple[Desk, Coturn]) -> None:
    follower, coturn = office
    with connected(follower, coturn) as tls:
        assert is_answered(tls)
        second = follower.issue()
        follower.run()
        assert follower.serves(coturn.port, second)
        assert is_answered(tls)
    assert coturn.daemon.process.poll() is None, "reloaded, not restarted"
    assert rights(coturn.directory / "tls") == {"site.pem": "root:turnserver 0640"}


def test_a_file_that_coturn_may_not_read_is_found_out(office: tuple[Desk, Coturn]) -> None:
    """It has nothing to check its files with, and goes on with what it has."""
    follower, coturn = office
    seen = follower.seen(coturn.port)
    follower.deploy(target(coturn, group="root", patience="1s"))
    second = follower.issue()
    said = follower.run(expect=1).err
    assert f"{seen[ECDSA]:x}" in said, "what is still served is named"
    assert follower.seen(coturn.port) == seen
    follower.deploy(target(coturn))
    follower.run()
    assert follower.serves(coturn.port, second)
