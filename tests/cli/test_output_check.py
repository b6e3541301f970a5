"""What `check` says, whole."""

from __future__ import annotations

import json
from pathlib import Path

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
