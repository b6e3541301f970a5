"""`_acme-challenge` led by CNAME into another zone, on another server, with another key: that zone's solver takes over."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.hosts import await_true
from tests.servers.bind import Bind, running_bind
from tests.servers.knot import Knot, running_knot
from tests.servers.name_server import Key, Zone
from tests.servers.odd_dns import running_odd_dns

COMMAND = [str(Path(sys.executable).with_name("acmectl")), "-v", "--config", "config.yaml"]
OFFICE = Zone(
    "office.test",
    [
        "_acme-challenge.mail IN CNAME mail.acme.test.",
        "_acme-challenge.deep IN CNAME hop",
        "hop IN CNAME deep.sub.acme.test.",
        "_acme-challenge.lost IN CNAME lost.nowhere.test.",
    ],
)
SMALL = (Zone("acme.test"), Zone("sub.acme.test"))


@dataclass(frozen=True)
class Place:
    office: Bind
    small: Knot
    directory: Path

    def configure(self, *names: str, propagation: str = "require: primary, timeout: 2s, interval: 1s") -> None:
        """The second server has its own key; what the first knows of its zones is only who they are."""
        looks = f'resolvers: ["{self.office.endpoint}"], propagation: {{{propagation}}}'
        (self.directory / "config.yaml").write_text(f"""\
authority: {{directory: "https://127.0.0.1:1/directory"}}
contact: [admin@office.test]
state_directory: state
solvers:
  office: {{type: rfc2136, server: 127.0.0.1, port: {self.office.port}, tsig_key_file: "{self.office.key_file("office")}", {looks}}}
  small: {{type: rfc2136, server: 127.0.0.1, port: {self.small.port}, tsig_key_file: "{self.small.key_file("small")}", zone: acme.test, {looks}}}
  sub: {{type: rfc2136, server: 127.0.0.1, port: {self.small.port}, tsig_key_file: "{self.small.key_file("sub")}", zone: sub.acme.test, {looks}}}
master: {{authorize: [{{names: [{", ".join(names)}], solver: office}}]}}
""")

    def tried(self) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, "master", "try"], cwd=self.directory, capture_output=True, text=True, check=False, timeout=60
        )


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    unwritable = [Zone(zone.name, update="") for zone in SMALL]
    with (
        running_bind(tmp_path, zones=[OFFICE, *unwritable], keys=[Key("office")], resolve=True) as office,
        running_knot(tmp_path, zones=SMALL, keys=[Key("small"), Key("sub")]) as small,
    ):
        yield Place(office, small, tmp_path)


def test_the_solver_of_the_zone_that_a_cname_leads_to_publishes_there(place: Place) -> None:
    place.configure("office.test", "mail.office.test", '"*.mail.office.test"', "deep.office.test")
    before = {zone.name: place.small.serial(zone.name) for zone in SMALL}
    done = place.tried()
    assert done.returncode == 0, done.stdout + done.stderr
    assert {zone: place.small.serial(zone) - serial for zone, serial in before.items()} == {
        "acme.test": 2,
        "sub.acme.test": 2,
    }
    assert place.office.log().count("updating zone 'office.test/IN': adding an RR") == 1
    assert not place.small.txt("mail.acme.test") | place.small.txt("deep.sub.acme.test")


def test_a_cname_into_a_zone_without_a_solver_is_told_with_its_chain(place: Place) -> None:
    place.configure("lost.office.test", "mail.office.test")
    done = place.tried()
    assert done.returncode == 1
    assert (
        "there is no zone for `_acme-challenge.lost.office.test -> lost.nowhere.test`: nothing between it and the root"
        in done.stdout + done.stderr
    )
    assert "mail.office.test" in done.stdout + done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_in_the_other_zone_when_a_run_is_ended(place: Place, number: signal.Signals) -> None:
    with running_odd_dns(lambda _, __: None) as silent:
        waiting = f'servers: ["{silent.endpoint}"], timeout: 1m'
        place.configure("mail.office.test", propagation=waiting)
        with subprocess.Popen([*COMMAND, "master", "try"], cwd=place.directory, stderr=subprocess.PIPE) as process:
            await_true(lambda: silent.queries, what="waiting for a server that is silent")
            assert place.small.txt("mail.acme.test")
            process.send_signal(number)
            process.communicate(timeout=60)
    if number == signal.SIGKILL:
        assert place.small.txt("mail.acme.test")
        place.configure("office.test")
        assert place.tried().returncode == 0
    assert not place.small.txt("mail.acme.test")
