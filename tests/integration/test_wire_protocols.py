"""Protocols that no preset speaks, with real servers; those of the presets are in test_services_*."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from acmectl.deploy.wire.expected import expected
from acmectl.deploy.wire.options import Endpoint
from acmectl.deploy.wire.protocols import Protocol
from acmectl.deploy.wire.verifying import Request, observe, verify_all
from tests.servers.chains import Generation, issue
from tests.servers.managesieve import running_managesieve
from tests.servers.places import open_place
from tests.servers.vsftpd import running_vsftpd

NAME = "files.example.test"


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    with open_place("wire") as directory:
        yield directory


@pytest.fixture(scope="module")
def first(place: Path) -> Generation:
    return issue(place / "1", NAME)


@pytest.fixture(scope="module")
def second(place: Path) -> Generation:
    return issue(place / "2", NAME)


def see(port: int, protocol: Protocol, serves: Generation, other: Generation) -> None:
    """Both versions of TLS are seen, and another certificate is not taken for it."""
    endpoint = Endpoint(port=port, protocol=protocol)
    request = Request((endpoint,), expected(serves.installed, serves.directory), timedelta(0))
    (seen,) = observe([request])[request]
    assert (seen.fault, seen.versions, seen.notes) == (None, ("TLS 1.3", "TLS 1.2"), ())
    stale = Request((endpoint,), expected(other.installed, other.directory), timedelta(0))
    assert f"still serves serial {serves.installed.serial}" in verify_all([stale])[stale].message


def test_managesieve_is_seen_behind_its_capabilities(place: Path, first: Generation, second: Generation) -> None:
    (place / "sieve").mkdir()
    with running_managesieve(place / "sieve", first) as port:
        see(port, Protocol.SIEVE, first, second)


def test_ftp_is_seen_behind_auth_tls(place: Path, first: Generation, second: Generation) -> None:
    (place / "ftp").mkdir()
    with running_vsftpd(place / "ftp", first) as port:
        see(port, Protocol.FTP, first, second)
