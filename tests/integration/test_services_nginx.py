"""nginx with what a follower deploys to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.services import Desk, contents, desk, half_a_request, rights
from tests.servers.nginx import Nginx, serving_nginx
from tests.servers.places import broken, open_place


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    with open_place("nginx") as place:
        yield place


def site(tls: Path) -> str:
    pairs = (
        f"ssl_certificate {tls}/{file}; ssl_certificate_key {tls}/{file};" for file in ("site.pem", "site-rsa.pem")
    )
    return f"{' '.join(pairs)} ssl_protocols TLSv1.2 TLSv1.3; location / {{ return 200 here; }}"


def target(nginx: Nginx, **changes: Any) -> dict[str, Any]:
    """The preset, with the commands and the port of this nginx."""
    return {
        "type": "nginx",
        "directory": str(nginx.directory / "tls"),
        "check": nginx.command("-t"),
        "reload": nginx.command("-s", "reload"),
        "verify": [{"port": nginx.port}],
        **changes,
    }


@pytest.fixture(scope="module")
def office(place: Path) -> Iterator[tuple[Desk, Nginx]]:
    """A follower and an nginx that serves its first certificates, in both kinds."""
    follower = desk(place)
    first = follower.place_first({"type": "nginx", "directory": str(place / "tls")})
    with serving_nginx(place, site(place / "tls"), listen="ssl") as nginx:
        follower.deploy(target(nginx))
        follower.run()
        assert follower.seen(nginx.port) == first
        yield follower, nginx


def test_nginx_serves_the_second_certificate_in_both_kinds_and_finishes_what_it_began(
    office: tuple[Desk, Nginx],
) -> None:
    follower, nginx = office
    with half_a_request(follower, nginx.port) as rest:
        second = follower.issue()
        follower.run()
        assert follower.serves(nginx.port, second)
        assert rest() == b"HTTP/1.1 200 OK"
    assert nginx.daemon.process.poll() is None, "reloaded, not restarted"
    assert rights(nginx.directory / "tls") == {"site.pem": "root:root 0600", "site-rsa.pem": "root:root 0600"}


def test_a_broken_configuration_leaves_files_and_service_as_they_were(office: tuple[Desk, Nginx]) -> None:
    follower, nginx = office
    before, seen = contents(nginx.directory / "tls"), follower.seen(nginx.port)
    second = follower.issue()
    with broken(nginx.config, "no_such_directive on;"):
        said = follower.run(expect=1).err
    assert 'unknown directive "no_such_directive"' in said
    assert contents(nginx.directory / "tls") == before
    assert follower.seen(nginx.port) == seen
    follower.run()
    assert follower.serves(nginx.port, second)


def test_a_reload_that_did_nothing_is_found_out(office: tuple[Desk, Nginx]) -> None:
    follower, nginx = office
    first = follower.seen(nginx.port)
    second = follower.issue()
    follower.deploy(target(nginx, reload=["true"], patience="1s"))
    said = follower.run(expect=1).err
    for serial in first.values():
        assert f"{serial:x}" in said, "what is still served is named"
    follower.deploy(target(nginx))
    follower.run()
    assert follower.serves(nginx.port, second)
