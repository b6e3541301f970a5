"""An account that was replaced by another under the same name: its memories belong to nobody."""

from __future__ import annotations

import json
import shutil

from acmectl.sandbox.server import Sandbox
from acmectl.storage.memory import Memory
from tests.cli.hosts import Host, follower_of


def _register_anew(host: Host) -> None:
    shutil.rmtree(host.state / "accounts")
    host.good("account", "register", "--agree-tos")


def test_a_new_account_of_the_same_name_is_authorized_from_scratch(authorized: Host) -> None:
    authorized.good("master", "run")
    _register_anew(authorized)
    assert "prove  new" in authorized.good("master", "plan").out
    assert authorized.acmectl("master", "status").out.count("not authorized  never seen") == 2
    ran = authorized.good("-v", "master", "run")
    assert ran.out.count("  proven  ") == 2
    memory = Memory(authorized.state / "state.db")
    assert len(memory.authorizations()) == 2, "those of the old account are forgotten"
    memory.close()
    assert authorized.good("-v", "master", "run").out.count("  kept  ") == 2


def test_a_follower_with_a_new_account_does_not_wait_for_the_orders_of_the_old_one(ca: Sandbox, follower: Host) -> None:
    follower.configure(follower_of(ca, "  web: {names: [early.replaced.test]}\n", contact="[admin@acme.test]"))
    follower.good("follower", "run")
    assert "waiting for the master since" in follower.acmectl("follower", "status").out
    _register_anew(follower)
    assert "waiting for the master since" not in follower.acmectl("follower", "status").out
    follower.good("follower", "run")
    assert "waiting for the master since" in follower.acmectl("follower", "status").out


ELSEWHERE = "the account `default` belongs to another CA: https://ca.test/directory"
HINT = (
    "! hint: the configuration says https://ca.test/directory: set `authority`, "
    "or register or import an account there under another name\n"
)


def test_an_account_of_another_ca_keeps_nothing_authorized_here_and_every_command_says_so(
    ca: Sandbox, authorized: Host
) -> None:
    before = authorized.config.read_text()
    authorized.configure(before.replace(ca.directory_url, "https://127.0.0.1:1/directory"))
    for command in (("master", "run"), ("run",)):
        assert authorized.block(authorized.acmectl(*command)) == (
            f"! error: `xmpp.acme.test`, `mail.acme.test` are not authorized: {ELSEWHERE}\n{HINT}-> 1\n"
        )
    for command in (("master", "status"), ("status",)):
        told = authorized.block(authorized.acmectl(*command))
        assert told.count("not authorized  never seen\n") == 2
        assert told.endswith(f"! error: {ELSEWHERE}\n{HINT}-> 1\n")
    found = json.loads(authorized.acmectl("master", "status", "--json").out)["master"]["unusable_accounts"]
    assert [one["account"] for one in found] == ["default"]
    checked = authorized.block(authorized.acmectl("check"))
    assert checked.startswith(f"! config.yaml:9: `master.authorize[0]`: {ELSEWHERE} (")
    assert checked.endswith("-> 2\n")
    authorized.good("account", "show")
    authorized.configure(before)
    authorized.good("master", "status")


def test_names_of_a_missing_account_are_not_authorized_whatever_was_proven(authorized: Host) -> None:
    authorized.good("status")
    folder = authorized.state / "accounts/default"
    folder.rename(authorized.directory / "kept")
    missing = "no account `default` in `TMP/master/state/accounts`"
    told = authorized.block(authorized.acmectl("status"))
    assert told.count("not authorized  never seen\n") == 2
    assert f"! error: {missing}\n" in told
    assert told.endswith("-> 1\n")
    ran = authorized.block(authorized.acmectl("run"))
    assert ran.startswith(f"! error: `xmpp.acme.test`, `mail.acme.test` are not authorized: {missing}\n")
    assert ran.endswith("-> 1\n")
    (authorized.directory / "kept").rename(folder)
    authorized.good("status")
    assert "asked nothing of the CA" in authorized.good("-v", "run").out, "nothing was forgotten"


def test_a_certificate_whose_account_is_missing_fails_in_status_as_in_a_run_once_it_is_due(
    ca: Sandbox, issued: Host
) -> None:
    missing = "no account `default` in `TMP/follower/state/accounts`"
    (issued.state / "accounts/default").rename(issued.directory / "kept")
    for command in (("status",), ("follower", "status")):
        told = issued.block(issued.acmectl(*command))
        assert f"  its account cannot be used: {missing}\n" in told
        assert told.endswith("-> 0\n"), "nothing is due, and a run asks nobody"
    issued.good("follower", "run")
    issued.configure(follower_of(ca, "  new: {names: [xmpp.acme.test]}\n"))
    for command in (("status",), ("follower", "status"), ("follower", "run"), ("run",)):
        ran = issued.block(issued.acmectl(*command))
        assert missing in ran, command
        assert ran.endswith("-> 1\n"), command
    assert issued.block(issued.acmectl("follower", "plan")) == f"new  fail  {missing}\n-> 0\n"
    (told,) = json.loads(issued.acmectl("follower", "status", "--json").out)["certificates"]
    assert told["account_error"].startswith("no account `default`")
