"""What `status` says of targets that a run would not, or could not, bring to the certificate in use; and that runs call the same a failure."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from acmectl.files import Standing
from acmectl.sandbox.server import Sandbox
from acmectl.storage.previous_files import Remembered, digest_of
from acmectl.storage.state import StateDirectory
from tests.cli.hosts import Host, follower_of

NAMES = "names: [xmpp.acme.test, mail.acme.test]"
TARGET = "{type: files, directory: tls}"
UNFINISHED = """\
a run is under way, or did not finish: its places may hold new files that no check has passed
  {indent}the next run puts back what stood there before, and goes on from there
"""
IN_USE = "  valid until TIME (DAYS left)\n"


def configured(ca: Sandbox, label: str = "xmpp", target: str = TARGET, more: str = "") -> str:
    return follower_of(ca, f"  {label}: {{{NAMES}, deploy: [{target}]{more}}}\n")


@pytest.fixture
def deployed(ca: Sandbox, issued: Host) -> Host:
    """A follower whose certificate is deployed to `tls`."""
    issued.configure(configured(ca))
    issued.good("run")
    return issued


def killed(host: Host) -> Path:
    """What a run leaves that was killed while its check looked at a new key; the file that it replaced."""
    place = host.directory / "tls" / "privkey.pem"
    standing = Standing(place, place.read_bytes(), None, 0o600)
    place.write_text("a new key")
    with closing(StateDirectory(host.state)) as state:
        found = Remembered("xmpp", "files[0]", "d", (standing,), (digest_of(b"a new key"),))
        state.previous_files.remember(found)
    return place


def damaged(host: Host) -> str:
    """A memory of the files of `files[0]` that cannot be read; what runs say of it."""
    folder = host.state / "deployed" / "xmpp" / "files.0"
    folder.mkdir(parents=True)
    (folder / "standing.json").write_text("{")
    why = f"the memory of previous files in `{folder}` is damaged: it does not say what stood where"
    return f"the files from before a run that did not finish could not be put back: {why}"


def waiting(host: Host) -> dict[str, Any]:
    """What the only certificate's targets wait for, for programs."""
    (certificate,) = json.loads(host.acmectl("status", "--json").out)["certificates"]
    found: dict[str, Any] = certificate["targets_waiting"]
    return found


def test_a_target_that_no_run_has_tried_yet_is_left_to_the_next_one(ca: Sandbox, issued: Host) -> None:
    issued.configure(configured(ca))
    shown = issued.acmectl("status")
    assert "  not deployed to files[0]: the next run does that\n-> 1\n" in issued.block(shown)
    assert waiting(issued) == {}
    issued.good("run")
    issued.good("status")


@pytest.mark.parametrize("command", ["status", "follower status"])
def test_new_files_that_no_check_has_passed_are_told(deployed: Host, command: str) -> None:
    place = killed(deployed)
    shown = deployed.block(deployed.acmectl(*command.split()))
    assert f"\n  not deployed to files[0]: {UNFINISHED.format(indent='  ')}-> 1\n" in shown
    (wait,) = waiting(deployed).values()
    assert wait["is_failure"]
    assert "no check has passed" in wait["reason"]
    assert "deploy  files[0]" in deployed.good("follower", "plan").out, "after it was put back"
    assert deployed.good("run").said == ""
    assert "PRIVATE KEY" in place.read_text()
    assert waiting(deployed) == {}
    deployed.good(*command.split())


def test_new_files_of_what_is_configured_no_more_are_told_as_well(ca: Sandbox, deployed: Host) -> None:
    killed(deployed)
    deployed.configure(configured(ca, target="{type: files, directory: other}"))
    shown = deployed.block(deployed.acmectl("status"))
    assert "  not deployed to files[0]: a run is under way" in shown, "a target of that name is what the run was about"
    deployed.configure(configured(ca, "chat", "{type: files, directory: other}"))
    shown = deployed.block(deployed.acmectl("status"))
    assert f"\ncertificate xmpp, files[0]: {UNFINISHED.format(indent='')}" in shown
    (one,) = json.loads(deployed.acmectl("status", "--json").out)["unsettled"]
    assert (one["label"], one["target"], one["is_failure"]) == ("xmpp", "files[0]", True)
    deployed.configure(configured(ca, "chat"))
    shown = deployed.block(deployed.acmectl("status"))
    assert "certificate xmpp, files[0]" not in shown
    assert "  not deployed to files[0]: a run is under way" in shown, "it has the same places"
    assert json.loads(deployed.acmectl("status", "--json").out)["unsettled"] == []


def test_a_memory_of_previous_files_that_cannot_be_read_fails_runs_and_status_in_the_same_words(deployed: Host) -> None:
    words = damaged(deployed)
    folder = deployed.state / "deployed" / "xmpp" / "files.0"
    hint = f"remove it (`rm -r {folder}`): the files of the target are then put in place anew"
    for command in (["run"], ["status"], ["follower", "status"]):
        ran = deployed.acmectl(*command)
        assert (ran.status, words in ran.said, hint in ran.said) == (1, True, True)
    assert waiting(deployed) == {"files[0]": {"reason": words, "hint": hint, "is_failure": True}}
    assert "deploy  files[0]" not in deployed.good("follower", "plan").out
    (folder / "standing.json").unlink()
    folder.rmdir()
    deployed.good("run")
    deployed.good("status")


def test_what_lies_in_the_way_among_the_memories_fails_runs_and_status(deployed: Host) -> None:
    (deployed.state / "deployed").write_text("")
    for command in (["run"], ["status"], ["follower", "status"]):
        ran = deployed.acmectl(*command)
        assert ran.status == 1
        assert f"this host: `{deployed.state}/deployed` is nothing that acmectl keeps there" in ran.said


def test_what_lies_among_the_certificates_and_is_none_is_nobodys_trouble(deployed: Host) -> None:
    certificates = deployed.state / "certificates"
    (certificates / "notes").write_text("")
    for name, target in {"loop": "loop", "nowhere": "/nowhere/at/all", "endless": "x" * 300}.items():
        (certificates / name).symlink_to(target)
    file = deployed.directory / "tls" / "fullchain.pem"
    file.unlink()
    for command in ("run", "status", "check"):
        deployed.good(command)
    assert file.exists()


def test_a_link_that_cannot_be_followed_among_the_memories_fails_runs_in_words_and_stops_no_deployment(
    deployed: Host,
) -> None:
    (deployed.state / "deployed").mkdir()
    stray = deployed.state / "deployed" / "endless"
    stray.symlink_to("x" * 300)
    file = deployed.directory / "tls" / "fullchain.pem"
    file.unlink()
    ran = deployed.acmectl("run")
    assert (ran.status, f"`{stray}` is nothing that acmectl keeps there" in ran.said) == (1, True)
    assert file.exists()


def test_commands_wait_until_every_target_has_the_certificate(ca: Sandbox, issued: Host) -> None:
    (issued.directory / "tls").write_text("in the way")
    issued.configure(configured(ca, more=", onchange: [[touch, told]]"))
    issued.acmectl("run")
    shown = issued.acmectl("status")
    assert "  onchange[0] was not run: it waits until every target has the certificate\n" in shown.out
    assert waiting(issued)["onchange[0]"]["is_failure"] is False
    (issued.directory / "tls").unlink()
    issued.good("run")
    issued.good("status")
