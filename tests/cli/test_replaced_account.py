"""An account that was replaced by another under the same name: its memories belong to nobody."""

from __future__ import annotations

import shutil

from acmectl.sandbox.server import Sandbox
from acmectl.storage.memory import Memory
from tests.cli.hosts import Host, follower_of, master_of


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


def test_an_account_of_another_ca_is_an_error_of_every_command_that_needs_it(ca: Sandbox, authorized: Host) -> None:
    authorized.configure(master_of(ca).replace(ca.directory_url, "https://127.0.0.1:1/directory"))
    for command in (("master", "run"), ("master", "plan"), ("master", "status"), ("run",), ("status",)):
        assert authorized.block(authorized.acmectl(*command)) == (
            "! error: the account `default` belongs to another CA: https://ca.test/directory\n"
            "! hint: the configuration says https://ca.test/directory: set `authority`, "
            "or register or import an account there under another name\n-> 1\n"
        )
    authorized.good("account", "show")
