"""Bad input: each gets one clear message and the right exit status, and leaves everything as it was."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from acmectl.sandbox.server import Sandbox
from tests.cli.hosts import AS_NOBODY, Host, follower_of, master_of

XMPP = "  xmpp: {names: [xmpp.acme.test, mail.acme.test]}\n"
BIG = "contact:\n" + "".join(f"  - admin{number:06}@acme.test\n" for number in range(200_000))
FILES: list[tuple[str, bytes, str]] = [
    ("empty", b"", "! config.yaml: the file is empty"),
    ("only comments", b"# nothing yet\n", "! config.yaml: the file is empty"),
    ("a list", b"- authority\n", "! config.yaml:1: expected a mapping of keys such as `authority:`, found a list"),
    ("tabs", b"authority: letsencrypt\nmaster:\n\tevery: 1d\n", "! config.yaml:3: "),
    ("binary", bytes(range(256)), "! config.yaml"),
    ("UTF-16", "authority: letsencrypt\n".encode("utf-16"), "! config.yaml"),
    ("five megabytes", BIG.encode(), "! config.yaml: larger than 1 MB"),
    ("unknown keys", b"authority: letsencrypt\nprofil: classic\n", "unknown key `profil` (did you mean `profile`?)"),
    ("not closed", b"authority: {directory: 'https://ca.test\n", "! config.yaml:"),
]


@pytest.mark.parametrize(("content", "message"), [case[1:] for case in FILES], ids=[case[0] for case in FILES])
def test_a_configuration_that_is_none(tmp_path: Path, content: bytes, message: str) -> None:
    host = Host(tmp_path / "host")
    host.config.write_bytes(content)
    before = host.tree()
    for command in (("check",), ("run",)):
        ran = host.acmectl(*command)
        assert message in host.block(ran)
        assert (ran.status, ran.out) == (2, "")
        assert "in the configuration\n" in ran.err
        assert "Traceback" not in ran.err
        assert len(ran.err.splitlines()) <= 4
    assert host.tree() == before


def missing(host: Host) -> None:
    host.config.unlink()


def directory(host: Host) -> None:
    host.config.unlink()
    host.config.mkdir()


def dangling(host: Host) -> None:
    host.config.unlink()
    host.config.symlink_to("nowhere")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (missing, "config.yaml: there is no such file"),
        (directory, "config.yaml: a directory, where a file is expected"),
        (dangling, "config.yaml: there is no such file"),
    ],
)
def test_a_configuration_file_that_is_none(new_master: Host, spoil: Callable[[Host], None], message: str) -> None:
    spoil(new_master)
    before = new_master.tree()
    ran = new_master.acmectl("run")
    assert ran.status == 2
    assert message in ran.err
    assert new_master.tree() == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody who may not read")
def test_a_configuration_that_may_not_be_read(open_path: Path) -> None:
    host = Host(open_path, "authority: letsencrypt\n")
    host.config.chmod(0o600)
    assert (
        host.block(host.acmectl("check", prefix=AS_NOBODY))
        == """\
! config.yaml: cannot be read: permission denied (run as the user who owns it (mostly root), or choose another directory)
! error: 1 problem in the configuration
-> 2
"""
    )


def test_a_name_that_is_not_configured(master: Host) -> None:
    before = master.tree()
    for command in (("master", "run"), ("master", "plan")):
        assert (
            master.block(master.acmectl(*command, "xmp.acme.test"))
            == """\
! error: `xmp.acme.test` is not among the names of `master`
! hint: did you mean `xmpp.acme.test`?
-> 2
"""
        )
    assert (
        master.block(master.acmectl("master", "run", "bad name"))
        == """\
! error: `bad name` has only one label
! hint: write the full name, such as `mail.example.com`
-> 2
"""
    )
    assert master.tree() == before


def test_a_host_that_is_no_master(follower: Host) -> None:
    for command in ("run", "plan", "status"):
        assert (
            follower.block(follower.acmectl("master", command))
            == """\
! error: this host is no master
! hint: its configuration has no `master:`
-> 2
"""
        )


def test_secrets_that_others_may_read(ca: Sandbox, master: Host) -> None:
    key = master.directory / "tsig.key"
    key.write_text('key "acme" { algorithm hmac-sha256; secret "c2VjcmV0c2VjcmV0"; };\n')
    key.chmod(0o644)
    text = master_of(ca).replace(
        "web: {type: webroot, path: www, check: no}", "web: {type: rfc2136, server: 127.0.0.1, tsig_key_file: tsig.key}"
    )
    master.configure(text)
    before = master.tree()
    assert (
        master.block(master.acmectl("master", "run"))
        == """\
! config.yaml:6: `solvers.web.tsig_key_file`: the secret file `TMP/master/tsig.key` can be read or written by others (mode 0644) (`chmod 600 TMP/master/tsig.key`, and consider it known to others)
! error: 1 problem in the configuration
-> 2
"""
    )
    assert master.tree() == before


@pytest.mark.parametrize("part", ["key.pem", "account.json"])
def test_an_account_that_is_damaged(ca: Sandbox, issued: Host, part: str) -> None:
    file = issued.state / "accounts" / "default" / part
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    issued.configure(follower_of(ca, "  xmpp: {names: [xmpp.acme.test]}\n"))
    for command in (("follower", "run"), ("account", "show", "--live"), ("account", "export", "out.json")):
        ran = issued.acmectl(*command)
        assert ran.status == 1
        assert f"/accounts/default/{part}` is damaged: " in ran.err
        assert (
            "hint: restore it from a backup, or import the account again: `acmectl account import FILE --replace`"
            in ran.err
        )
        assert "Traceback" not in ran.err
    assert not (issued.directory / "out.json").exists()
    file.write_bytes(whole)
    assert issued.acmectl("follower", "run").status == 0


def test_an_account_key_that_others_may_read(issued: Host) -> None:
    key = issued.state / "accounts" / "default" / "key.pem"
    key.chmod(0o644)
    assert (
        issued.block(issued.acmectl("follower", "run", "--force"))
        == """\
! error: certificate `xmpp` was not issued: the account key `TMP/follower/state/accounts/default/key.pem` can be read or written by others (mode 0644)
! hint: `chmod 600 TMP/follower/state/accounts/default/key.pem`, and consider it known to others
-> 1
"""
    )


def test_an_account_of_another_ca_is_an_error_of_runs_and_lets_people_look(ca: Sandbox, issued: Host) -> None:
    issued.configure(follower_of(ca).replace(ca.directory_url, "https://127.0.0.1:1/directory"))
    told = """\
the account `default` belongs to another CA: https://ca.test/directory
! hint: the configuration says https://ca.test/directory: set `authority`, or register or import an account there under another name
"""
    for command in (("follower", "run"), ("run",)):
        assert issued.block(issued.acmectl(*command)) == f"! error: certificate `xmpp` was not issued: {told}-> 1\n"
    checked = issued.block(issued.acmectl("check"))
    assert checked.startswith("! config.yaml:6: `certificates.xmpp`: the account `default` belongs to another CA: ")
    assert checked.endswith("-> 2\n")
    for reading in (("follower", "plan"), ("cert", "list"), ("cert", "show", "xmpp")):
        assert "xmpp" in issued.good(*reading).out
    assert "xmpp" in issued.acmectl("status").out


def test_a_damaged_database_is_moved_away_without_losing_certificates(ca: Sandbox, issued: Host) -> None:
    database = issued.state / "state.db"
    database.write_bytes(os.urandom(20_000))
    damage = """\
`TMP/follower/state/state.db` is damaged: file is not a database
! hint: move it away: `mv TMP/follower/state/state.db TMP/follower/state/state.db.damaged` (it holds neither keys nor certificates)
-> 1
"""
    issued.configure(follower_of(ca, f"{XMPP}  mail: {{names: [mail.acme.test]}}\n"))
    for command in (("status",), ("follower", "plan"), ("run",)):
        assert issued.block(issued.acmectl(*command)) == f"! error: {damage}"
    issued.configure(follower_of(ca, XMPP))
    database.rename(f"{database}.damaged")
    assert (
        issued.block(issued.acmectl("-v", "follower", "run"))
        == """\
xmpp: valid until TIME (DAYS left); due TIME
2 requests to the CA: 1 directory, 1 renewalInfo
-> 0
"""
    )


def test_a_missing_key_is_replaced_with_its_certificate(issued: Host) -> None:
    key = issued.state / "certificates" / "xmpp" / "1" / "privkey.pem"
    key.unlink()
    status = issued.block(issued.acmectl("status"))
    assert "  `TMP/follower/state/certificates/xmpp/1/privkey.pem` is missing\n" in status
    assert status.endswith("-> 1\n")
    assert (
        issued.block(issued.acmectl("-v", "follower", "run"))
        == """\
xmpp: issued (`TMP/follower/state/certificates/xmpp/1/privkey.pem` is missing), generation 2, serial SERIAL
  valid until TIME (DAYS left)
5 requests to the CA: 1 directory, 1 newNonce, 1 newOrder, 1 finalize, 1 certificate
-> 0
"""
    )
    assert (issued.state / "certificates" / "xmpp" / "current" / "privkey.pem").exists()
    assert issued.acmectl("status").status == 0


def test_a_file_of_records_that_two_entries_name_is_refused_at_its_line(ca: Sandbox, new_master: Host) -> None:
    host = new_master
    key = host.directory / "tsig.key"
    key.write_text('key "k" { algorithm hmac-sha256; secret "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"; };\n')
    key.chmod(0o600)
    (host.directory / "same.tlsa").symlink_to("mail.tlsa")
    update = "update: {server: 127.0.0.1, tsig_key_file: tsig.key}"
    host.configure(
        master_of(ca)
        + "  records:\n"
        + f"    - {{file: mail.tlsa, records: [mail.acme.test:25], {update}}}\n"
        + f"    - {{file: same.tlsa, records: [mail.acme.test:465], {update}}}\n"
    )
    line = host.config.read_text().count("\n")
    ran = host.acmectl("check")
    assert ran.status == 2
    assert f"config.yaml:{line}: `master.records[1].file`: " in ran.err
    assert "same.tlsa` is the file of `master.records[0]` too" in ran.err
