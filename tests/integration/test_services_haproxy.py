"""HAProxy with what a follower deploys to it: a bundle of two kinds of keys, or one file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.integration.services import ECDSA, RSA, Desk, contents, desk, half_a_request, rights
from tests.servers.haproxy import Haproxy, serving_haproxy
from tests.servers.places import broken, open_place


@pytest.fixture(scope="module")
def office() -> Iterator[tuple[Desk, Haproxy]]:
    """A follower and a HAProxy that serves its first certificates, in both kinds."""
    with open_place("haproxy") as place:
        follower = desk(place)
        first = follower.place_first({"type": "haproxy", "directory": str(place / "tls")})
        with serving_haproxy(place, f"ssl crt {place}/tls/site.pem") as haproxy:
            follower.deploy(target(haproxy))
            follower.run()
            assert follower.seen(haproxy.port) == first
            yield follower, haproxy


def target(haproxy: Haproxy, **changes: Any) -> dict[str, Any]:
    """The preset, with the commands and the port of this HAProxy."""
    return {
        "type": "haproxy",
        "directory": str(haproxy.directory / "tls"),
        "check": haproxy.command("-c"),
        "reload": ["kill", "-USR2", str(haproxy.pid)],  # what its unit does
        "verify": [{"port": haproxy.port}],
        **changes,
    }


def test_haproxy_serves_the_second_bundle_and_finishes_what_it_began(office: tuple[Desk, Haproxy]) -> None:
    follower, haproxy = office
    with half_a_request(follower, haproxy.port) as rest:
        second = follower.issue()
        follower.run()
        assert follower.serves(haproxy.port, second)
        assert rest() == b"HTTP/1.1 200 OK"
    assert haproxy.daemon.process.poll() is None, "reloaded, not restarted"
    names = ("site.pem.ecdsa", "site.pem.rsa")
    assert rights(haproxy.directory / "tls") == dict.fromkeys(names, "root:root 0600")


def test_a_broken_configuration_leaves_files_and_service_as_they_were(office: tuple[Desk, Haproxy]) -> None:
    follower, haproxy = office
    before, seen = contents(haproxy.directory / "tls"), follower.seen(haproxy.port)
    second = follower.issue()
    with broken(haproxy.config, "no_such_keyword"):
        said = follower.run(expect=1).err
    assert "unknown keyword 'no_such_keyword' in 'frontend' section" in said
    assert contents(haproxy.directory / "tls") == before
    assert follower.seen(haproxy.port) == seen
    follower.run()
    assert follower.serves(haproxy.port, second)


def test_one_kind_of_key_is_one_file() -> None:
    with open_place("haproxy") as place:
        follower = desk(place, kinds=[ECDSA])
        follower.place_first({"type": "haproxy", "directory": str(place / "tls")})
        with serving_haproxy(place, f"ssl crt {place}/tls/") as haproxy:  # a whole directory, as many do
            follower.deploy(target(haproxy))
            (place / "tls" / ".other.pem.0123abcd.tmp").write_text("as a run that is killed can leave it")
            second = follower.issue()
            follower.run()
            assert follower.serves(haproxy.port, second)
            assert set(contents(place / "tls")) == {"site.pem", ".other.pem.0123abcd.tmp"}


def test_the_file_of_one_kind_that_lies_in_the_way_of_two_is_found_out() -> None:
    """HAProxy takes `site.pem` before the bundle, and acmectl removes nothing that it is not told of."""
    with open_place("haproxy") as place:
        follower = desk(place, kinds=[ECDSA])
        (first,) = follower.place_first({"type": "haproxy", "directory": str(place / "tls")}).values()
        with serving_haproxy(place, f"ssl crt {place}/tls/site.pem") as haproxy:
            both = replace(follower, kinds=(ECDSA, RSA))
            both.deploy(target(haproxy, patience="1s"))
            second = both.issue()
            said = both.run(expect=1).err
            assert f"still serves serial {first:x}" in said
            assert "serves no certificate with a key of the kind rsa" in said
            (place / "tls" / "site.pem").unlink()
            both.deploy(target(haproxy))  # as patient as it is by itself, however slow the machine is
            both.run()
            assert both.serves(haproxy.port, second)
