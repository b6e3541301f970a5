"""Apache with what a follower deploys to it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from acmectl.deploy.presets import PRESETS
from tests.integration.services import Desk, contents, desk, half_a_request, rights
from tests.servers.apache import Apache, serving_apache
from tests.servers.places import broken, open_place


@pytest.fixture(scope="module")
def office() -> Iterator[tuple[Desk, Apache]]:
    """A follower and an Apache that serves its first certificates, in both kinds."""
    with open_place("apache") as place:
        follower = desk(place)
        first = follower.place_first({"type": "apache", "directory": str(place / "tls")})
        with serving_apache(place, site(place / "tls")) as apache:
            follower.deploy(target(apache))
            follower.run()
            assert follower.seen(apache.port) == first
            yield follower, apache


def site(tls: Path) -> str:
    """Without `SSLCertificateKeyFile`: the key is in the same file."""
    return f"SSLEngine on\nSSLCertificateFile {tls}/site.pem\nSSLCertificateFile {tls}/site-rsa.pem"


def target(apache: Apache, **changes: Any) -> dict[str, Any]:
    """The preset, with the commands and the port of this Apache."""
    return {
        "type": "apache",
        "directory": str(apache.directory / "tls"),
        "check": apache.command("-t"),  # what `apachectl configtest` runs
        "reload": apache.command("-k", "graceful"),
        "verify": [{"port": apache.port}],
        **changes,
    }


def test_apache_serves_the_second_certificate_in_both_kinds_and_finishes_what_it_began(
    office: tuple[Desk, Apache],
) -> None:
    follower, apache = office
    with half_a_request(follower, apache.port) as rest:
        second = follower.issue()
        follower.run()
        assert follower.serves(apache.port, second)
        assert rest() == b"HTTP/1.1 200 OK"
    assert apache.daemon.process.poll() is None, "reloaded, not restarted"
    assert rights(apache.directory / "tls") == {"site.pem": "root:root 0600", "site-rsa.pem": "root:root 0600"}


def test_a_broken_configuration_leaves_files_and_service_as_they_were(office: tuple[Desk, Apache]) -> None:
    follower, apache = office
    before, seen = contents(apache.directory / "tls"), follower.seen(apache.port)
    second = follower.issue()
    with broken(apache.config, "NoSuchDirective on"):
        said = follower.run(expect=1).err
    assert "Invalid command 'NoSuchDirective'" in said
    assert contents(apache.directory / "tls") == before
    assert follower.seen(apache.port) == seen
    follower.run()
    assert follower.serves(apache.port, second)


def test_a_file_that_apache_cannot_read_passes_its_check_and_ends_it_at_the_reload() -> None:
    """Why the preset has a note: our files were parsed before, so that only somebody else's can be like that."""
    assert "passes" in PRESETS["apache"].note
    with open_place("apache-spoilt") as place:
        follower = desk(place)
        follower.place_first({"type": "apache", "directory": str(place / "tls")})
        with serving_apache(place, site(place / "tls")) as apache:
            (place / "tls" / "site.pem").write_text("garbage\n")
            checked = subprocess.run(apache.command("-t"), capture_output=True, text=True, check=True, timeout=30)
            assert "Syntax OK" in checked.stderr
            subprocess.run(apache.command("-k", "graceful"), check=False, timeout=30)
            apache.daemon.process.wait(timeout=30)
            assert apache.daemon.process.returncode != 0
