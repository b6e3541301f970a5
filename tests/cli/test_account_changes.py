"""`account update`, `rollover` and `deactivate`, and what the other hosts of the account say afterwards."""

from __future__ import annotations

import json
import shutil
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from acmectl import app, keys
from acmectl.app.rollover import begin
from acmectl.cli.account.changing import write_bundle
from acmectl.errors import StorageError
from acmectl.model.certificates import KeyType
from acmectl.sandbox.server import Sandbox
from acmectl.storage.accounts import StoredAccount
from tests.cli.hosts import Host, follower_of, master_of
from tests.servers.pebble import running_pebble

SHOWN = """\
  directory:  https://ca.test/directory
  URL:        https://ca.test/acme/account/N
  thumbprint: THUMBPRINT
  profile:    classic
"""


def word(directory: Path) -> str:
    """The path of a file with a pass phrase."""
    file = directory / "word"
    file.touch(0o600)
    file.write_text("correct horse\n")
    return str(file)


def stored(host: Host, name: str = "default") -> StoredAccount:
    return app.load(host.config).state.accounts.load(name)


def begin_rollover(host: Host) -> bytes:
    """The state of a host whose `account rollover` was killed before the CA heard of the new key."""
    state, pem = app.load(host.config).state, keys.to_pem(keys.generate(KeyType.ECDSA_P256))

    with state.locked():
        state.accounts.save(replace(state.accounts.load("default"), next_key_pem=pem), replace=True)
    return pem


def test_contacts_of_the_configuration_go_to_the_ca(ca: Sandbox, master: Host) -> None:
    master.configure(master_of(ca, contact="[new@acme.test, other@acme.test]"))
    assert (
        master.block(master.acmectl("account", "update"))
        == f"account default: updated\n{SHOWN}  contact:    new@acme.test, other@acme.test\n-> 0\n"
    )
    number = int(stored(master).account_url.rpartition("/")[2])
    assert ca.authority.accounts.by_number(number).contacts == ("mailto:new@acme.test", "mailto:other@acme.test")


def test_a_follower_s_configuration_without_contacts_takes_none_away_unasked(ca: Sandbox, follower: Host) -> None:
    number = int(stored(follower).account_url.rpartition("/")[2])
    assert (
        follower.block(follower.acmectl("account", "update"))
        == """\
! error: the configuration has no `contact`, and the account has admin@acme.test
! hint: write it into the configuration, or take it away with `--no-contact`
-> 2
"""
    )
    assert ca.authority.accounts.by_number(number).contacts
    follower.good("account", "update", "--no-contact")
    assert not ca.authority.accounts.by_number(number).contacts


def test_terms_that_changed_are_named_until_they_are_agreed_to(new_master: Host) -> None:
    new_master.good("account", "register", "--agree-tos")
    record = new_master.state / "accounts/default/account.json"
    record.write_text(record.read_text().replace("/terms", "/former-terms"))
    told = new_master.block(new_master.acmectl("account", "update"))
    assert "! warning: the CA's terms of service changed: https://ca.test/terms\n" in told
    assert "former-terms" in record.read_text()
    asked = new_master.on_terminal("account", "update", answer="y", meanwhile=lambda: new_master.good("run"))
    assert (asked.status, "Do you agree to the CA's terms of service" in asked.out) == (0, True)
    assert "terms of service" not in new_master.good("account", "update").said


def test_a_rollover_tells_what_is_void_and_the_new_bundle_puts_a_follower_right(
    master: Host, follower: Host, tmp_path: Path
) -> None:
    master.good("account", "export", "first.json")
    old = stored(master)
    done = master.acmectl("account", "rollover", "--bundle", "new.json", "--passphrase-file", word(tmp_path))
    assert (
        master.block(done) == f"account default: rolled over\n{SHOWN}"
        """\
  contact:    admin@acme.test
! warning: every other host with this account has a key now that the CA does not know
! warning: void: the copy of TIME to TMP/master/first.json
! hint: on each of them: `acmectl account import new.json --replace --passphrase-file FILE`, then remove `new.json`
-> 0
"""
    )
    new = stored(master)
    assert (new.account_url, new.thumbprint != old.thumbprint) == (old.account_url, True)
    assert stat.S_IMODE((master.directory / "new.json").stat().st_mode) == 0o600
    assert "at the CA:  valid" in master.good("account", "show", "--live").out
    master.good("master", "run")

    refused = follower.acmectl("follower", "run")
    assert refused.status == 1
    assert "which was given another key, or is gone" in refused.err
    assert "here: " not in refused.err
    assert "`acmectl account import FILE --replace`" in refused.err
    bundle = str(master.directory / "new.json")
    follower.good("account", "import", bundle, "--replace", "--passphrase-file", word(tmp_path))
    assert "xmpp: issued" in follower.good("-v", "follower", "run").out


def test_a_second_rollover_calls_only_newer_copies_void(master: Host) -> None:
    master.good("account", "export", "first.json")
    master.good("account", "rollover")
    master.good("account", "export", "second.json")
    told = master.good("account", "rollover").err
    assert "second.json" in told
    assert "first.json" not in told
    events = json.loads(master.good("log", "account/default", "--json").out)["events"]
    assert [event["kind"] for event in events] == ["exported", "rolled over", "exported", "rolled over"]


def test_a_bundle_that_cannot_be_written_is_told_before_anything_is_done(master: Host, tmp_path: Path) -> None:
    (master.directory / "taken.json").touch()
    before = master.tree()
    for arguments, said in (
        (("--bundle", "taken.json"), "exists already"),
        (("--bundle", "no/such/place.json"), "would be in a directory that does not exist"),
        (("--bundle", "/proc/place.json"), "cannot be made: cannot write"),
        (("--passphrase-file", word(tmp_path)), "is for `--bundle`"),
    ):
        ran = master.acmectl("account", "rollover", *arguments)
        assert (ran.status, said in ran.err) == (2, True), ran
        assert master.tree() == before


def test_a_bundle_that_cannot_be_written_after_all_says_that_the_key_was_exchanged(master: Host) -> None:
    taken = master.directory / "taken.json"
    taken.touch()
    host = app.load(master.config)
    with (
        host.state.locked(),
        pytest.raises(StorageError, match="the key was exchanged, and the bundle was not") as told,
    ):
        write_bundle(host, stored(master), taken, None)
    host.state.close()
    assert told.value.hint is not None
    assert "the key need not be exchanged again" in told.value.hint


def test_a_rollover_that_was_killed_before_it_could_say_so_is_told_by_the_next_command_once(master: Host) -> None:
    before = stored(master)
    master.good("account", "rollover")
    assert "rollover" not in master.good("run").said
    host = app.load(master.config)
    with host.state.locked():
        begin(host.state.memory, before)  # what the kill leaves: the new key, and nobody who was told
    host.state.close()
    told = "the key of the account `default` was exchanged by a rollover that was interrupted"
    assert told in master.good("master", "run", "xmpp.acme.test").err
    assert told not in master.good("master", "run", "xmpp.acme.test").err


def test_another_kind_of_key_than_that_of_an_unfinished_rollover_is_refused(master: Host) -> None:
    pem = begin_rollover(master)
    before = master.tree()
    assert master.block(master.acmectl("account", "rollover", "--key", "rsa-2048")) == (
        "! error: the rollover of the key of `default` is unfinished, and its new key is of type ecdsa-p256\n"
        "! hint: finish it without `--key`: `acmectl account rollover default`; another one brings a key of type rsa-2048\n"
        "-> 2\n"
    )
    assert master.tree() == before
    master.good("account", "rollover", "--key", "ecdsa-p256")
    assert stored(master).key_pem == pem


def test_a_run_goes_on_while_a_person_is_asked_whether_to_deactivate(master: Host) -> None:
    asked = master.on_terminal(
        "account",
        "deactivate",
        prompt="to confirm: ",
        answer=stored(master).account_url,
        meanwhile=lambda: master.good("run"),
    )
    assert (asked.status, "account default: deactivated" in asked.out) == (0, True)


def test_a_rollover_that_the_ca_refuses_leaves_the_account_as_it_was(ca: Sandbox, master: Host) -> None:
    before = stored(master)
    accounts = ca.authority.accounts
    number = int(before.account_url.rpartition("/")[2])
    accounts.deactivate(accounts.by_number(number))
    ran = master.acmectl("account", "rollover")
    assert ran.status == 1
    assert "deactivated" in ran.err


def test_an_unfinished_rollover_is_shown_and_finished(master: Host) -> None:
    pem = begin_rollover(master)
    shown = master.good("account", "show")
    assert "the rollover of the key of `default` is unfinished" in shown.err
    assert json.loads(master.good("account", "show", "--json").out)["accounts"][0]["rollover_unfinished"]
    refused = master.acmectl("account", "export", "copy.json")
    assert (refused.status, "is unfinished: a copy could be void" in refused.err) == (2, True)
    assert not (master.directory / "copy.json").exists()
    ran = master.good("master", "run")
    assert "the rollover of the key of the account `default` is unfinished" in ran.err
    master.good("account", "rollover")
    assert (stored(master).key_pem, stored(master).next_key_pem) == (pem, None), "the key that was begun with is used"
    assert "unfinished" not in master.good("account", "show", "--live").said


def test_a_run_finishes_a_rollover_that_the_ca_had_made(master: Host, tmp_path: Path) -> None:
    begin_rollover(master)
    copy = Host(tmp_path / "copy")
    shutil.copytree(master.directory, copy.directory, dirs_exist_ok=True)
    copy.good("account", "rollover")
    ran = master.good("master", "run")
    assert "was exchanged by a rollover that was interrupted" in ran.err
    assert stored(master) == stored(copy)


def test_a_deactivation_wants_the_account_s_url(master: Host) -> None:
    url = stored(master).account_url
    before = master.tree()
    assert (
        master.block(master.acmectl("account", "deactivate"))
        == """\
! error: the account `default` is https://ca.test/acme/account/N, and deactivating it is for good
! hint: confirm it: `--confirm https://ca.test/acme/account/N`
-> 2
"""
    )
    wrong = master.acmectl("account", "deactivate", "--confirm", url + "0")
    assert (wrong.status, "nothing was done" in wrong.err) == (2, True)
    assert master.tree() == before
    assert "at the CA:  valid" in master.good("account", "show", "--live").out


def test_a_deactivated_account_is_archived_and_every_host_says_so(authorized: Host, follower: Host) -> None:
    master = authorized
    master.good("status")
    url = stored(master).account_url
    done = master.block(master.good("account", "deactivate", "--confirm", url))
    assert done.startswith(
        "account default: deactivated\n  URL:        https://ca.test/acme/account/N\n  archived:   TMP/"
    )
    (archived,) = (master.state / "archive/accounts").iterdir()
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in archived.iterdir()} == {
        "key.pem": 0o600,
        "account.json": 0o600,
    }
    assert stat.S_IMODE(archived.stat().st_mode) == 0o700
    ran = master.acmectl("master", "run")
    assert ran.status == 1
    assert "the account `default` was deactivated: what was it lies in `" in ran.err
    for reading in (("status",), ("master", "status")):
        looked = master.acmectl(*reading)
        assert (looked.status, looked.out.count("not authorized  never seen")) == (1, 2)
        assert "the account `default` was deactivated: what was it lies in `" in looked.err
    there = follower.acmectl("follower", "run")
    assert there.status == 1
    assert "deactivated" in there.err
    assert "followers take that over by `acmectl account import FILE --replace`" in there.err
    master.good("account", "register", "--agree-tos")
    master.good("account", "export", "again.json")
    follower.good("account", "import", str(master.directory / "again.json"), "--replace")
    master.good("master", "run")
    assert "xmpp: issued" in follower.good("-v", "follower", "run").out


def test_a_deactivation_that_was_killed_before_archiving_is_finished_by_the_same_command(
    ca: Sandbox, master: Host
) -> None:
    url = stored(master).account_url
    ca.authority.accounts.deactivate(ca.authority.accounts.by_number(int(url.rpartition("/")[2])))
    master.good("account", "deactivate", "--confirm", url)
    assert not (master.state / "accounts/default").exists()


def test_of_two_accounts_on_one_host_each_is_changed_alone(ca: Sandbox, tmp_path: Path) -> None:
    text = master_of(ca, accounts="{mail: {}, web: {}}").replace("solver: web}", "solver: web, account: mail}")
    host = Host(tmp_path / "master", text)
    (host.directory / "www").mkdir()
    for name in ("mail", "web"):
        host.good("account", "register", name, "--agree-tos")
    mail, web = stored(host, "mail"), stored(host, "web")
    for command in ("update", "rollover", "deactivate"):
        ran = host.acmectl("account", command)
        assert (ran.status, "name one of `mail`, `web`" in ran.err) == (2, True)
    host.good("account", "rollover", "mail")
    host.good("account", "update", "web")
    assert (stored(host, "web").key_pem, stored(host, "mail").account_url) == (web.key_pem, mail.account_url)
    assert stored(host, "mail").key_pem != mail.key_pem
    host.good("account", "deactivate", "web", "--confirm", web.account_url)
    host.good("master", "run")
    shown = host.good("account", "show").out
    assert "account mail" in shown
    assert "account web" not in shown
    assert "was deactivated" in host.acmectl("account", "show", "web").err
    followers = follower_of(ca, "  xmpp: {names: [xmpp.acme.test], account: mail}\n", accounts="{mail: {}, web: {}}")
    follower = Host(tmp_path / "follower", followers)
    host.good("account", "export", "--account", "mail", "mail.json")
    follower.good("account", "import", "--account", "mail", str(host.directory / "mail.json"))
    assert "xmpp: issued" in follower.good("-v", "follower", "run").out


def test_an_account_of_pebble_is_updated_rolled_over_and_deactivated(tmp_path: Path) -> None:
    with running_pebble(tmp_path, always_valid=True) as pebble:
        head = f'authority: {{directory: "{pebble.directory_url}", ca_bundle: "{pebble.ca_bundle}"}}\nstate_directory: state\n'
        certificates = "certificates: {xmpp: {names: [xmpp.acme.test]}}\n"
        solver = "solvers: {web: {type: webroot, path: www, check: no}}\n"
        proves = "master: {authorize: [{names: [xmpp.acme.test], solver: web}]}\n"
        master = Host(tmp_path / "master", f"{head}contact: [a@acme.test]\n{solver}{proves}")
        (master.directory / "www").mkdir()
        follower = Host(tmp_path / "follower", head + certificates)
        master.good("account", "register", "--agree-tos")
        master.good("account", "export", "old.json")
        follower.good("account", "import", str(master.directory / "old.json"))
        master.good("account", "update", "--agree-tos")
        master.good("account", "rollover", "--key", "rsa-2048", "--bundle", "new.json")
        master.good("master", "run")
        refused = follower.acmectl("follower", "run")
        assert (refused.status, "which was given another key, or is gone" in refused.err) == (1, True)
        follower.good("account", "import", str(master.directory / "new.json"), "--replace")
        assert "xmpp: issued" in follower.good("-v", "follower", "run").out
        master.good("account", "deactivate", "--confirm", stored(master).account_url)
        gone = follower.acmectl("cert", "renew", "xmpp", "--force")
        assert gone.status != 0
        assert "deactivated" in follower.acmectl("account", "show", "--live").said


def test_a_follower_with_two_accounts_goes_on_with_the_one_that_works(ca: Sandbox, tmp_path: Path) -> None:
    entries = "{names: [xmpp.acme.test], solver: web, account: chat}\n    - {names: [mail.acme.test], solver: web, account: post}"
    text = master_of(ca, accounts="{chat: {}, post: {}}")
    text = text.replace('{names: ["xmpp.acme.test", "mail.acme.test"], solver: web}', entries)
    master = Host(tmp_path / "master", text)
    (master.directory / "www").mkdir()
    certificates = (
        "  xmpp: {names: [xmpp.acme.test], account: chat}\n  mail: {names: [mail.acme.test], account: post}\n"
    )
    follower = Host(tmp_path / "follower", follower_of(ca, certificates, accounts="{chat: {}, post: {}}"))
    for name in ("chat", "post"):
        master.good("account", "register", name, "--agree-tos")
        master.good("account", "export", f"{name}.json", "--account", name)
        follower.good("account", "import", str(master.directory / f"{name}.json"), "--account", name)
    assert follower.good("check").err == "", "each account opens what its certificate needs"
    master.good("account", "rollover", "chat")
    assert master.good("-v", "master", "run").out.count("  proven  ") == 2
    ran = follower.acmectl("-v", "follower", "run")
    assert ran.status == 1
    assert "mail: issued" in ran.out
    assert "which was given another key, or is gone" in ran.err
    assert "mail" in follower.acmectl("status").out


def test_a_master_whose_account_was_rolled_over_elsewhere_says_what_to_do(master: Host, follower: Host) -> None:
    follower.good("account", "rollover", "--bundle", "new.json")
    ran = master.acmectl("master", "run")
    assert ran.status == 1
    assert "which was given another key, or is gone" in ran.err
    master.good("account", "import", str(follower.directory / "new.json"), "--replace")
    assert master.good("-v", "master", "run").out.count("  proven  ") == 2


def test_verifying_by_a_key_that_was_replaced_elsewhere_says_so_of_every_name_and_fails(
    authorized: Host, follower: Host
) -> None:
    follower.good("account", "rollover")
    ran = authorized.acmectl("master", "run", "--verify")
    assert ran.status == 1
    (told,) = [line for line in ran.err.splitlines() if "the CA could not be asked about" in line]
    assert all(part in told for part in ("`xmpp.acme.test`", "`mail.acme.test`", "was given another key, or is gone"))
