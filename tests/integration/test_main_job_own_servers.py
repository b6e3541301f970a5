"""The main job by our own servers, tls-alpn-01 and http-01, for names and IP addresses: a CA connects for real."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from acmectl.sandbox.server import Sandbox
from tests.integration.hosts import certificate, shakes_hands
from tests.integration.office import authorize, hosts
from tests.servers.nginx import running_nginx
from tests.servers.pebble import Pebble, free_ports, running_challenge_dns, running_pebble
from tests.servers.sandbox import running_sandbox

NAMES = ("one.office.test", "two.office.test")
ADDRESSES = ("127.0.0.1", "::1")


@pytest.fixture
def ports() -> tuple[int, int]:
    http, tls = free_ports(2)
    return http, tls


@pytest.fixture
def pebble(tmp_path: Path, ports: tuple[int, int]) -> Iterator[Pebble]:
    """Without a resolver that names have addresses from, only addresses could be validated."""
    with (
        running_challenge_dns(tmp_path) as dns,
        running_pebble(tmp_path, http_port=ports[0], tls_port=ports[1], resolver=dns.resolver) as server,
    ):
        yield server


@pytest.fixture
def sandbox(tmp_path: Path, ports: tuple[int, int]) -> Iterator[Sandbox]:
    with running_sandbox(tmp_path / "ca", http_port=ports[0], https_port=ports[1]) as server:
        yield server


@pytest.fixture(params=["pebble", "sandbox"])
def ca(request: pytest.FixtureRequest) -> Pebble | Sandbox:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Pebble | Sandbox)
    return found


def root(ca: Pebble | Sandbox) -> bytes:
    return ca.root() if isinstance(ca, Pebble) else ca.ca_bundle.read_bytes()


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


@pytest.mark.parametrize("solver", ["tls-alpn", "standalone"])
def test_names_and_addresses_are_proven_by_a_server_of_ours_and_certified_for_a_follower(
    tmp_path: Path, ca: Pebble | Sandbox, ports: tuple[int, int], solver: str
) -> None:
    port = ports[solver == "tls-alpn"]
    here = f"127.0.0.1:{port}"
    own: dict[str, Any] = {"type": solver, "listen": [here, f"[::1]:{port}"], "check_address": here}
    follower = {"certificates": {"all": certificate(*NAMES, *ADDRESSES)}}
    entry = authorize("own", *NAMES, *ADDRESSES)
    with hosts(tmp_path / "hosts", ca, {"own": own}, [entry], follower, profile="shortlived") as made:
        made.master.run("master", "run")
        assert is_free(port)
        assert made.master.names("authorized") == sorted([*NAMES, *ADDRESSES])
        made.followers[0].run("follower", "run")
        tls = made.followers[0].directory / "tls"
        assert [shakes_hands(tls, name, root(ca)) for name in (*NAMES, *ADDRESSES)] == [True] * 4
        assert not shakes_hands(tls, "127.0.0.2", root(ca))


@pytest.mark.parametrize("way", ["files", "passed on"])
def test_nginx_answers_the_ca_with_our_files_or_by_asking_us(tmp_path: Path, way: str) -> None:
    root, (port,) = tmp_path / "www", free_ports(1)
    root.mkdir()
    site = (
        f"root {root};"
        if way == "files"
        else f"location /.well-known/acme-challenge/ {{ proxy_pass http://127.0.0.1:{port}; }}"
    )
    with (
        running_nginx(tmp_path, site) as endpoint,
        running_challenge_dns(tmp_path) as dns,
        running_pebble(tmp_path, http_port=int(endpoint.partition(":")[2]), resolver=dns.resolver) as ca,
    ):
        files: dict[str, Any] = {"type": "webroot", "path": str(root), "check_address": endpoint}
        passed: dict[str, Any] = {"type": "standalone", "listen": f"127.0.0.1:{port}", "check_address": endpoint}
        names = [*NAMES, "127.0.0.1"]
        solvers = {"web": files if way == "files" else passed}
        with hosts(tmp_path / "hosts", ca, solvers, [authorize("web", *names)]) as made:
            made.master.run("master", "run")
            assert made.master.names("authorized") == sorted(names)
    assert not list(root.iterdir())


def test_a_port_in_use_is_explained_and_nothing_is_asked_of_the_ca(
    tmp_path: Path, sandbox: Sandbox, ports: tuple[int, int]
) -> None:
    own = {"type": "tls-alpn", "listen": f"127.0.0.1:{ports[1]}"}
    with (
        socket.create_server(("127.0.0.1", ports[1])),
        hosts(tmp_path / "hosts", sandbox, {"own": own}, [authorize("own", *NAMES)]) as made,
    ):
        done = made.master.run("master", "run", expect=1)
    assert f"cannot listen on `127.0.0.1:{ports[1]}` for tls-alpn-01: address already in use" in done.err
    assert "let it pass `acme-tls/1` on" in done.err
    assert sandbox.counts["challenge"] == 0
