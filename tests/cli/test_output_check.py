"""What `check` says, whole."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from acmectl.sandbox.server import Sandbox
from tests.cli.hosts import Host, follower_of


def test_a_good_master_is_summed_up(new_master: Host) -> None:
    assert (
        new_master.block(new_master.acmectl("check"))
        == """\
config.yaml: no problems
CA: https://ca.test/directory, profile classic
state: TMP/master/state
master: keeps 2 names authorized, every 1d
-> 0
"""
    )


def test_a_good_follower_is_summed_up(ca: Sandbox, tmp_path: Path) -> None:
    certificates = """\
  mail: {names: [mail.acme.test], deploy: [{type: files, directory: tls}, {type: files, directory: copy}]}
  xmpp: {names: [acme.test, "*.acme.test"]}
"""
    host = Host(tmp_path / "follower", follower_of(ca, certificates))
    assert (
        host.block(host.acmectl("check"))
        == """\
config.yaml: no problems
CA: https://ca.test/directory, profile classic
state: TMP/follower/state
certificate mail: mail.acme.test (2 targets)
certificate xmpp: *.acme.test, acme.test (0 targets)
-> 0
"""
    )
    assert not host.state.exists()


def test_all_problems_come_at_once_with_their_lines(tmp_path: Path) -> None:
    host = Host(tmp_path / "host", "authority: letsencript\nmaster:\n  evry: 1d\n  authorize: []\ncertificats: {}\n")
    assert (
        host.block(host.acmectl("check"))
        == """\
! config.yaml:1: `authority`: no authority is known by that name (did you mean `letsencrypt`?)
! config.yaml:3: `master.evry`: unknown key `evry` (did you mean `every`?)
! config.yaml:4: `master.authorize`: must not be empty
! config.yaml:5: `certificats`: unknown key `certificats` (did you mean `certificates`?)
! error: 4 problems in the configuration
-> 2
"""
    )


def test_problems_as_json(tmp_path: Path) -> None:
    host = Host(tmp_path / "host", "authority: letsencrypt\nprofil: classic\ncertificates: {a: {names: [a.test]}}\n")
    ran = host.acmectl("check", "--json")
    assert (ran.status, ran.err) == (2, "")
    assert json.loads(ran.out) == {
        "schema_version": 1,
        "ok": False,
        "problems": [
            {
                "file": "config.yaml",
                "line": 2,
                "path": "profil",
                "message": "unknown key `profil`",
                "hint": "did you mean `profile`?",
            }
        ],
        "warnings": [],
    }


def test_no_problems_as_json(new_master: Host) -> None:
    ran = new_master.acmectl("check", "--json")
    assert (ran.status, json.loads(ran.out), ran.err) == (
        0,
        {"schema_version": 1, "ok": True, "problems": [], "warnings": []},
        "",
    )


def test_an_account_that_opens_more_than_this_host_needs_is_told(ca: Sandbox, master: Host, tmp_path: Path) -> None:
    master.good("account", "export", "bundle.json")
    bundle = str(master.directory / "bundle.json")
    whole = Host(tmp_path / "whole", follower_of(ca))
    whole.good("account", "import", bundle)
    assert whole.good("check").err == ""
    part = Host(tmp_path / "part", follower_of(ca, "  xmpp: {names: [xmpp.acme.test]}\n"))
    part.good("account", "import", bundle)
    assert part.normal(part.good("check").err) == (
        "warning: whoever steals the key of the account `default` from this host can get certificates for names that none "
        "of its certificates needs: mail.acme.test (as of the export)\n"
        "hint: give this host an account of its own: on the master one more under `accounts`, with only this host's names "
        "under `master.authorize`; register and export it there, and import it here with `--replace`\n"
    )
    (warning,) = json.loads(part.good("check", "--json").out)["warnings"]
    assert (warning["account"], warning["names"]) == ("default", ["mail.acme.test"])
    part.good("account", "export", "again.json")
    third = Host(tmp_path / "third", follower_of(ca, "  mail: {names: [mail.acme.test]}\n"))
    third.good("account", "import", str(part.directory / "again.json"))
    assert "needs: xmpp.acme.test (as of" in third.good("check").err
    assert master.good("check").err == "", "a master needs the key for all of its names"


def test_programs_users_and_groups_that_are_not_on_this_host_are_told_where_they_are_asked_for(
    ca: Sandbox, tmp_path: Path
) -> None:
    certificates = """\
  mail:
    names: [mail.acme.test]
    onchange:
      - [sh, -c, "true"]
      - [./tell]
    deploy:
      - {type: haproxy, check: [no-such-check], reload: [no-such-check, again], group: no-such-group}
      - type: files
        directory: tls
        files:
          privkey: {name: key.pem, owner: nobody-of-us}
          fullchain: {name: chain.pem, owner: "4711"}
      - type: command
        run: [no-such-hook]
"""
    host = Host(tmp_path / "follower", follower_of(ca, certificates, onchange="[[no-such-end]]"))
    (host.directory / "tell").write_text("#!/bin/sh\n")
    ran = host.good("check")
    lines = host.config.read_text().splitlines()
    line = {word: number for number, text in enumerate(lines, 1) for word in re.findall(r"[a-z/.-]+", text)}
    deploy, advice = "`certificates.mail.deploy", "install it before a certificate is due, or correct the command"
    assert host.normal(ran.err) == "".join(
        f"warning: config.yaml:{line[word]}: {what}\nhint: {hint}\n"
        for word, what, hint in [
            ("no-such-check", f"{deploy}[0].check`: there is no program `no-such-check` on this host", advice),
            (
                "no-such-group",
                f"{deploy}[0].group`: there is no group `no-such-group` on this host",
                "install the service, or correct the `group` of the target",
            ),
            (
                "nobody-of-us",
                f"{deploy}[1].files.privkey.owner`: there is no user `nobody-of-us` on this host",
                "install the service, or correct the `owner` of the target",
            ),
            ("no-such-hook", f"{deploy}[2].run`: there is no program `no-such-hook` on this host", advice),
            ("./tell", "`certificates.mail.onchange[1]`: `./tell` is not executable", advice),
            ("no-such-end", "`onchange[0]`: there is no program `no-such-end` on this host", advice),
        ]
    )
    warnings = json.loads(host.good("check", "--json").out)["warnings"]
    assert [(one["line"], one["path"]) for one in warnings][-1] == (line["no-such-end"], "onchange[0]")


IN_THE_PLACE_OF_A_FILE: dict[str, tuple[Callable[[Path], object], str | None]] = {
    "file": (Path.touch, None),
    "link to a directory": (lambda path: path.symlink_to("folder"), None),
    "link to a file": (lambda path: path.symlink_to("folder/file"), None),
    "dangling link": (lambda path: path.symlink_to("nowhere"), None),
    "link to itself": (lambda path: path.symlink_to(path.name), None),
    "directory": (Path.mkdir, "a directory"),
    "pipe": (os.mkfifo, "no regular file"),
}


@pytest.mark.parametrize(("put", "called"), IN_THE_PLACE_OF_A_FILE.values(), ids=IN_THE_PLACE_OF_A_FILE)
def test_what_check_says_of_the_place_of_a_file_is_what_a_run_does(
    ca: Sandbox, issued: Host, put: Callable[[Path], object], called: str | None
) -> None:
    deploy = "[{type: files, directory: tls, files: {fullchain: place}}]"
    issued.configure(follower_of(ca, f"  xmpp: {{names: [xmpp.acme.test, mail.acme.test], deploy: {deploy}}}\n"))
    folder, place = issued.directory / "tls/folder", issued.directory / "tls/place"
    folder.mkdir(parents=True)
    (folder / "file").write_text("somebody's")
    put(place)
    warned = issued.good("check").err
    ran = issued.acmectl("run")

    assert (f"`{place}` is {called}, and a file is to go there" in warned, bool(warned)) == (called is not None,) * 2
    assert (ran.status == 1, place.is_file() and not place.is_symlink()) == (called is not None, called is None), ran
    assert [path.name for path in folder.iterdir()] == ["file"]
    assert (folder / "file").read_text() == "somebody's"


def test_what_is_in_the_way_of_files_is_told_before_a_certificate_is_due(ca: Sandbox, tmp_path: Path) -> None:
    certificates = """\
  mail:
    names: [mail.acme.test]
    deploy:
      - type: files
        directory: "taken/{label}"
      - {type: files, directory: free, files: {fullchain: folder}}
      - {type: files, directory: new/and/deep}
"""
    host = Host(tmp_path / "follower", follower_of(ca, certificates))
    (host.directory / "taken").touch()
    (host.directory / "free" / "folder").mkdir(parents=True)
    told = [line for line in host.normal(host.good("check").err).splitlines() if "deploy" in line or "hint" in line]
    (first,) = [number for number, line in enumerate(host.config.read_text().splitlines(), 1) if "taken" in line]
    assert told == [
        (
            f"warning: config.yaml:{first}: `certificates.mail.deploy[0].directory`:"
            " `TMP/follower/taken` is no directory, and files are to go there"
        ),
        "hint: move it away, or name another `directory`",
        (
            f"warning: config.yaml:{first + 1}: `certificates.mail.deploy[1].files`:"
            " `TMP/follower/free/folder` is a directory, and a file is to go there"
        ),
        "hint: move it away, or name the file otherwise in `files`",
    ]
