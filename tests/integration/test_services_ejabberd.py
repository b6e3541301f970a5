"""ejabberd with what a follower deploys to it; one node for all tests, since a node takes seconds to start."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest

from acmectl.model.certificates import KeyType
from tests.integration.services import ECDSA, RSA, Desk, desk, rights
from tests.servers.daemon import path
from tests.servers.ejabberd import Ejabberd, running_ejabberd
from tests.servers.places import broken, open_place
from tests.servers.xmpp_client import secured_stream

HOST = "xmpp.service.test"
STARTTLS = ("-starttls", "xmpp", "-xmpphost", HOST)
S2S = ("-starttls", "xmpp-server", "-xmpphost", HOST)


@pytest.fixture(scope="module")
def office() -> Iterator[tuple[Desk, Ejabberd]]:
    """A follower and an ejabberd that serves its first certificate."""
    with open_place("ejabberd") as place:
        follower = desk(place, HOST, kinds=[ECDSA])
        first = follower.place_first({"type": "ejabberd", "directory": str(place / "tls")})
        with running_ejabberd(place, f"{place}/tls/*.pem", HOST) as ejabberd:
            follower.deploy(target(ejabberd))
            follower.run()
            assert seen(follower, ejabberd) == [first] * 3
            yield follower, ejabberd


def target(ejabberd: Ejabberd, **changes: Any) -> dict[str, Any]:
    """The preset, with the command and the ports of this ejabberd."""
    endpoints = {"xmpp-client": ejabberd.client, "xmpp-server": ejabberd.server, "tls": ejabberd.direct}
    return {
        "type": "ejabberd",
        "directory": str(ejabberd.directory / "tls"),
        "check": ejabberd.ejabberdctl("reload_config"),
        "reload": ejabberd.ejabberdctl("reload_config"),
        "verify": [{"protocol": protocol, "port": port} for protocol, port in endpoints.items()],
        **changes,
    }


def seen(follower: Desk, ejabberd: Ejabberd) -> list[dict[KeyType, int | None]]:
    """By clients, by other servers, and by clients that begin with TLS."""
    ports = [(ejabberd.client, STARTTLS), (ejabberd.server, S2S), (ejabberd.direct, ())]
    return [follower.seen(port, *options) for port, options in ports]


def test_ejabberd_serves_the_second_certificate_and_keeps_the_streams_of_the_first(
    office: tuple[Desk, Ejabberd],
) -> None:
    follower, ejabberd = office
    with secured_stream(ejabberd.client, HOST, follower.client()) as stream:
        second = follower.issue()
        assert stream.serial != second[ECDSA]
        follower.run()
        assert seen(follower, ejabberd) == [second] * 3
        assert "<mechanisms" in stream.features(), "the old stream lives on"
    assert ejabberd.daemon.process.poll() is None, "reloaded, not restarted"
    assert rights(ejabberd.directory / "tls") == {"site.pem": "root:ejabberd 0640"}


def test_a_broken_configuration_brings_the_old_file_back_and_ejabberd_goes_on_until_it_is_mended(
    office: tuple[Desk, Ejabberd],
) -> None:
    """Its reload is its check: it takes all or nothing."""
    follower, ejabberd = office
    serving = seen(follower, ejabberd)
    file = ejabberd.directory / "tls" / "site.pem"
    before = file.read_bytes()
    second = follower.issue()
    with broken(ejabberd.config, "listen: ["):
        said = follower.run(expect=1).err
        assert "Failed to read YAML file" in said
        assert "Syntax error on line" in said
        assert "mend the configuration of the service" in said
        assert seen(follower, ejabberd) == serving
        assert file.read_bytes() == before, "a restart would find the old one"
        assert rights(file.parent) == {"site.pem": "root:ejabberd 0640"}
    follower.run()
    assert seen(follower, ejabberd) == [second] * 3


def test_a_file_that_ejabberd_may_not_read_is_found_out(office: tuple[Desk, Ejabberd]) -> None:
    """Its reload says that all is well, and logs that it is not."""
    follower, ejabberd = office
    follower.deploy(target(ejabberd, group="root", patience="1s"))
    second = follower.issue()
    said = follower.run(expect=1).err
    assert "Failed to read PEM file" in ejabberd.log()
    for port in (ejabberd.client, ejabberd.server, ejabberd.direct):
        assert f"port {port} on 127.0.0.1" in said
    follower.deploy(target(ejabberd))
    follower.run()
    assert seen(follower, ejabberd) == [second] * 3


def test_a_clock_that_was_set_back_keeps_no_certificate_from_ejabberd(office: tuple[Desk, Ejabberd]) -> None:
    """It reads a file again only where that was changed in a later second than the one it knows."""
    follower, ejabberd = office
    ahead = time.time() + 3600
    follower.issue()
    follower.run()
    os.utime(ejabberd.directory / "tls" / "site.pem", (ahead, ahead))
    subprocess.run(ejabberd.ejabberdctl("reload_config"), check=True, timeout=60, env={"PATH": path()})
    second = follower.issue()
    follower.run()
    assert seen(follower, ejabberd) == [second] * 3


def test_ejabberd_serves_one_of_two_kinds_so_that_two_are_not_looked_for(office: tuple[Desk, Ejabberd]) -> None:
    one, ejabberd = office
    both = desk(ejabberd.directory / "both", HOST, kinds=[ECDSA, RSA])
    both.deploy(target(ejabberd))
    assert "serves one certificate for a name" in both.run("check", expect=2).err
    both.issue()
    both.deploy(target(ejabberd, files={"privkey+fullchain": "both.pem"}, verify=[]))
    try:
        both.run()
        assert both.seen(ejabberd.direct)[RSA] is None
    finally:
        for name in ("both.pem", "both-rsa.pem"):
            (ejabberd.directory / "tls" / name).unlink()
        one.run("cert", "deploy", "site")
