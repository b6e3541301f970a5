"""What `account` says, whole."""

from __future__ import annotations

from pathlib import Path

from acmectl.sandbox.server import Sandbox
from tests.cli.hosts import Host, follower_of, master_of

SHOWN = """\
  directory:  https://ca.test/directory
  URL:        https://ca.test/acme/account/N
  thumbprint: THUMBPRINT
  profile:    classic
  contact:    admin@acme.test
"""


def test_an_account_is_registered_and_shown(new_master: Host) -> None:
    registered = new_master.acmectl("account", "register", "--agree-tos")
    assert new_master.block(registered) == f"account default: registered\n{SHOWN}-> 0\n"
    shown = new_master.acmectl("account", "show")
    assert new_master.block(shown) == f"account default\n{SHOWN}-> 0\n"
    live = new_master.acmectl("account", "show", "default", "--live")
    assert new_master.block(live) == f"account default\n{SHOWN}  at the CA:  valid\n-> 0\n"


def test_showing_no_account_says_how_to_get_one(new_master: Host) -> None:
    assert (
        new_master.block(new_master.acmectl("account", "show"))
        == """\
! error: no account `default` in `TMP/master/state/accounts`
! hint: `acmectl account register`, or `acmectl account import FILE` with a bundle from the master
-> 1
"""
    )


def test_registering_without_a_profile_that_every_run_will_need(ca: Sandbox, new_master: Host) -> None:
    new_master.configure(master_of(ca).replace("profile: classic\n", ""))
    before = new_master.tree()
    assert (
        new_master.block(new_master.acmectl("account", "register", "--agree-tos"))
        == """\
! error: the CA at `https://ca.test/directory` offers profiles, and the configuration names none
! hint: set `profile:` to one of `classic`, `shortlived`, `tlsserver`, the same on the master and all its followers
-> 1
"""
    )
    assert new_master.tree() == before


def test_a_second_registration_is_refused(master: Host) -> None:
    assert (
        master.block(master.acmectl("account", "register", "--agree-tos"))
        == """\
! error: there is an account `default` on this host already
! hint: see it with `acmectl account show`
-> 2
"""
    )


def test_an_account_goes_to_a_follower_in_the_clear(master: Host, new_follower: Host) -> None:
    assert (
        master.block(master.acmectl("account", "export", "bundle.json"))
        == """\
account default: exported to bundle.json (not encrypted, mode 0600)
  thumbprint: THUMBPRINT
! warning: whoever has `bundle.json` can get certificates for every name that the master keeps authorized
! hint: on the follower: `acmectl account import bundle.json`, then remove it on both hosts
-> 0
"""
    )
    imported = new_follower.acmectl("account", "import", "bundle.json")
    assert new_follower.block(imported) == f"account default: imported\n{SHOWN}-> 0\n"


def test_an_account_goes_to_a_follower_under_a_passphrase(ca: Sandbox, master: Host, tmp_path: Path) -> None:
    word = tmp_path / "word"
    word.touch(0o600)
    word.write_text("correct horse\n")
    exported = master.acmectl("account", "export", "sealed.json", "--passphrase-file", str(word))
    assert (
        master.block(exported)
        == """\
account default: exported to sealed.json (encrypted, mode 0600)
  thumbprint: THUMBPRINT
! warning: whoever has `sealed.json` and its passphrase can get certificates for every name that the master keeps authorized
! hint: on the follower: `acmectl account import sealed.json --passphrase-file FILE`, then remove it on both hosts
-> 0
"""
    )
    other = Host(tmp_path / "follower", follower_of(ca))
    imported = other.acmectl("account", "import", str(master.directory / "sealed.json"), "--passphrase-file", str(word))
    assert other.block(imported) == f"account default: imported\n{SHOWN}-> 0\n"


def test_an_export_never_overwrites(master: Host) -> None:
    (master.directory / "bundle.json").touch()
    before = master.tree()
    assert (
        master.block(master.acmectl("account", "export", "bundle.json"))
        == """\
! error: `bundle.json` exists already
! hint: choose another file, or remove it first
-> 1
"""
    )
    assert master.tree() == before


def test_an_export_goes_to_no_screen_or_pipe(master: Host) -> None:
    before = master.tree()
    assert (
        master.block(master.acmectl("account", "export", "-"))
        == """\
! error: the bundle holds the account's key, and is written to a file only
! hint: give the name of a new file
-> 2
"""
    )
    assert master.tree() == before


def test_an_account_is_named_where_there_are_several(ca: Sandbox, tmp_path: Path) -> None:
    text = master_of(ca, accounts="{mail: {}, web: {}}").replace("solver: web}", "solver: web, account: mail}")
    host = Host(tmp_path / "master", text)
    assert (
        host.block(host.acmectl("account", "register", "--agree-tos"))
        == """\
! error: the configuration has several accounts
! hint: name one of `mail`, `web`
-> 2
"""
    )
    assert (
        host.block(host.acmectl("account", "register", "mial", "--agree-tos"))
        == """\
! error: the configuration has no account `mial`
! hint: did you mean `mail`?
-> 2
"""
    )
    host.good("account", "register", "mail", "--agree-tos")
    host.good("account", "register", "web", "--agree-tos")
    shown = host.block(host.acmectl("account", "show"))
    assert shown == f"account mail\n{SHOWN}account web\n{SHOWN}-> 0\n"
