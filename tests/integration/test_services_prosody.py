"""Prosody with what a follower deploys to it, and what its search for certificates finds among that."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from acmectl.model.certificates import KeyType
from tests.integration.services import ECDSA, RSA, Desk, contents, desk, rights
from tests.servers.places import broken, open_place
from tests.servers.prosody import Prosody, indexed, running_prosody
from tests.servers.xmpp_client import secured_stream

HOST = "xmpp.service.test"
STARTTLS = ("-starttls", "xmpp", "-xmpphost", HOST)
S2S = ("-starttls", "xmpp-server", "-xmpphost", HOST)


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    with open_place("prosody") as place:
        yield place


@pytest.fixture
def another_place() -> Iterator[Path]:
    with open_place("prosody") as place:
        yield place


def target(prosody: Prosody, **changes: Any) -> dict[str, Any]:
    """The preset, with the commands and the ports of this Prosody."""
    endpoints = {"xmpp-client": prosody.client, "xmpp-server": prosody.server, "tls": prosody.direct}
    return {
        "type": "prosody",
        "directory": str(prosody.certs),
        "check": list(prosody.prosodyctl("check", "disabled")),
        "reload": list(prosody.prosodyctl("reload")),
        "verify": [{"protocol": protocol, "port": port} for protocol, port in endpoints.items()],
        **changes,
    }


def seen(follower: Desk, prosody: Prosody) -> list[dict[KeyType, int | None]]:
    """By clients, by other servers, and by clients that begin with TLS."""
    ports = [(prosody.client, STARTTLS), (prosody.server, S2S), (prosody.direct, ())]
    return [follower.seen(port, *options) for port, options in ports]


@pytest.fixture(scope="module")
def office(place: Path) -> Iterator[tuple[Desk, Prosody]]:
    """A follower and a Prosody that is told by `certificate` where its first one is."""
    follower = desk(place, HOST, kinds=[ECDSA])
    first = follower.place_first({"type": "prosody", "directory": str(place / "tls")})
    with running_prosody(place, HOST, options=f'certificate = "{place}/tls/site.pem"') as prosody:
        follower.deploy(target(prosody))
        follower.run()
        assert seen(follower, prosody) == [first] * 3
        yield follower, prosody


def test_prosody_serves_the_second_certificate_and_keeps_the_streams_of_the_first(
    office: tuple[Desk, Prosody],
) -> None:
    follower, prosody = office
    with secured_stream(prosody.client, HOST, follower.client()) as stream:
        second = follower.issue()
        assert stream.serial != second[ECDSA]
        follower.run()
        assert seen(follower, prosody) == [second] * 3
        assert "<mechanisms" in stream.features(), "the old stream lives on"
    assert prosody.daemon.process.poll() is None, "reloaded, not restarted"
    assert rights(prosody.certs) == {"site.pem": "root:prosody 0640"}


def test_a_broken_configuration_leaves_files_and_service_as_they_were(office: tuple[Desk, Prosody]) -> None:
    follower, prosody = office
    before, serving = contents(prosody.certs), seen(follower, prosody)
    second = follower.issue()
    with broken(prosody.config, "no_value ="):
        said = follower.run(expect=1).err
    assert "unexpected symbol near <eof>" in said
    assert contents(prosody.certs) == before
    assert seen(follower, prosody) == serving
    follower.run()
    assert seen(follower, prosody) == [second] * 3


def test_a_reload_that_prosody_only_seemed_to_do_is_found_out(office: tuple[Desk, Prosody]) -> None:
    follower, prosody = office
    (first,) = follower.seen(prosody.direct).values()
    assert first
    second = follower.issue()
    prosody.config.chmod(0o600)  # prosodyctl, as root, is happy; Prosody is not root
    reload = ["kill", "-HUP", str(prosody.daemon.process.pid)]
    follower.deploy(target(prosody, check=[], patience="1s", reload=reload))
    said = follower.run(expect=1).err
    assert "Couldn't read the config file when trying to reload" in prosody.log()
    assert said.count(f"{first:x}") == 3, "what is still served is named, for each port"
    prosody.config.chmod(0o644)
    follower.deploy(target(prosody, check=[], reload=reload))  # as patient as it is by itself
    follower.run()
    assert seen(follower, prosody) == [second] * 3


def test_prosody_serves_both_kinds_of_keys_where_it_is_told_to(another_place: Path) -> None:
    place, kinds = another_place, (ECDSA, RSA)
    follower = desk(place, HOST, kinds=kinds)
    pairs = "".join(
        f'{{ certificate = "{place}/tls/{n}", key = "{place}/tls/{n}" }}, ' for n in ("site.pem", "site-rsa.pem")
    )
    first = follower.place_first({"type": "prosody", "directory": str(place / "tls")})
    with running_prosody(place, HOST, options=f"ssl = {{ certificates = {{ {pairs}}} }}") as prosody:
        assert seen(follower, prosody) == [first] * 3
        follower.deploy(target(prosody))
        second = follower.issue()
        follower.run()
        assert seen(follower, prosody) == [second] * 3


def test_a_file_called_like_the_host_is_found_by_prosody_itself(another_place: Path) -> None:
    follower = desk(another_place, HOST, kinds=[ECDSA])
    files = {"privkey+fullchain": f"{HOST}.pem"}
    first = follower.place_first({"type": "prosody", "directory": str(another_place / "tls"), "files": files})
    with running_prosody(another_place, HOST) as prosody:
        assert seen(follower, prosody) == [first] * 3
        second = follower.issue()
        follower.deploy(target(prosody, files=files))
        follower.run()
        assert seen(follower, prosody) == [second] * 3


KILLED = """
import os, signal, sys
from acmectl.cli import main
file, sys.argv = sys.argv[1], sys.argv[2:]

def see(event, arguments):
    if event == "os.rename" and str(arguments[1]) == file:
        os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(see)
main()
"""


def killed_at(follower: Desk, file: Path) -> None:
    """A run that is killed in the moment before `file` gets its new content."""
    prefix: list[str | Path] = [sys.executable, "-c", KILLED, file]
    done = follower.host.run("follower", "run", prefix=prefix, expect=None)
    assert done.status == -signal.SIGKILL, done.said


@pytest.mark.parametrize("moment", ["privkey.pem", "fullchain.pem"])
def test_the_search_takes_no_temporary_file_of_an_installation(another_place: Path, moment: str) -> None:
    certs = another_place / "tls"
    directory = certs / "as" / "deep"  # as it looks
    pair = {"privkey": "privkey.pem", "fullchain": "fullchain.pem"}
    follower = desk(another_place, HOST, kinds=[ECDSA])
    deploy = {"type": "prosody", "directory": str(directory), "files": pair, "check": [], "reload": [], "verify": []}
    follower.deploy(deploy)
    first = follower.issue()
    follower.run()
    assert indexed(certs) == {str(directory / "fullchain.pem")}
    with running_prosody(another_place, HOST) as prosody:
        assert seen(follower, prosody) == [first] * 3
        second = follower.issue()
        killed_at(follower, directory / moment)
        left = [name for name in contents(directory) if name not in pair.values()]
        assert any("fullchain" in name for name in left), "it was killed too early, or too late"
        assert indexed(certs) == {str(directory / "fullchain.pem")}
        follower.deploy(target(prosody, **{key: deploy[key] for key in ("directory", "files")}))
        follower.run()
        assert set(contents(directory)) == set(pair.values())
        assert seen(follower, prosody) == [second] * 3


def test_the_search_finds_nothing_of_the_preset_even_when_a_run_is_killed(office: tuple[Desk, Prosody]) -> None:
    follower, prosody = office
    serving = seen(follower, prosody)
    second = follower.issue()
    killed_at(follower, prosody.certs / "site.pem")
    assert len(contents(prosody.certs)) == 2, "it was killed too early, or too late"
    assert indexed(prosody.certs) == set()
    subprocess.run(prosody.prosodyctl("reload"), check=True, capture_output=True)
    assert seen(follower, prosody) == serving
    follower.run()
    assert set(contents(prosody.certs)) == {"site.pem"}
    assert seen(follower, prosody) == [second] * 3


def test_the_search_does_look_at_hidden_files(another_place: Path) -> None:
    """What keeps ours from it is that no two have the same random part, and that none ends in `.crt`."""
    follower = desk(another_place, HOST, kinds=[ECDSA])
    hidden = {"privkey": ".privkey.pem.00000000.tmp", "fullchain": ".fullchain.pem.00000000.tmp"}
    follower.place_first({"type": "prosody", "directory": str(another_place / "tls"), "files": hidden})
    assert indexed(another_place / "tls") == {str(another_place / "tls" / hidden["fullchain"])}
