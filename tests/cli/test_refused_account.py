"""A CA that refuses one name, or the whole account: who is told what, who waits, and what still works."""

from __future__ import annotations

import json
from dataclasses import replace

from acmectl.policy.ca_rules import LETS_ENCRYPT_LIMITS
from acmectl.sandbox.server import Sandbox
from acmectl.storage.accounts import StoredAccount
from acmectl.storage.memory import Memory
from tests.cli.hosts import Host, master_of

PAUSE = (
    "the CA refused the new order for fine.pause.test, paused.pause.test: Your account is temporarily prevented from "
    "requesting certificates for paused.pause.test and possibly others. "
    "Please visit: https://sandbox.invalid/unpause (rateLimited)"
)
DEACTIVATED = 'Account is not valid, has status "deactivated" (unauthorized)'


def test_a_paused_name_waits_for_a_person_and_is_told_in_each_run_while_others_go_on(ca: Sandbox, master: Host) -> None:
    master.configure(master_of(ca, "fine.pause.test", "paused.pause.test"))
    paused = ca.authority.state.injections.paused
    paused.add("paused.pause.test")
    lifted = "! hint: once a person has lifted it, `acmectl master run paused.pause.test` tries again at once\n-> 1\n"
    assert master.block(master.acmectl("master", "run")) == (
        f"! error: `paused.pause.test` is not authorized: {PAUSE}\n"
        f"! hint: a person must lift this: open `https://sandbox.invalid/unpause`\n{lifted}"
    )
    assert master.block(master.acmectl("-v", "master", "run")) == (
        "fine.pause.test    kept     until TIME\n"
        f"paused.pause.test  waiting  failed before: {PAUSE}; waits for a person\n"
        "asked nothing of the CA\n"
        f"! error: `paused.pause.test` is left alone after an earlier failure: {PAUSE}\n{lifted}"
    )
    paused.clear()
    master.good("master", "run", "paused.pause.test")
    master.good("status")


def test_a_refused_account_is_asked_once_and_status_and_plan_say_so(
    ca: Sandbox, master: Host, account: StoredAccount
) -> None:
    master.configure(master_of(ca, "www.refused.test"))
    accounts = ca.authority.accounts
    accounts.deactivate(accounts.by_number(int(account.account_url.rpartition("/")[2])))
    first = master.acmectl("master", "run")
    assert first.status == 1
    assert "; next attempt after " in first.err
    again = master.acmectl("-v", "master", "run")
    assert again.status == 1
    assert "asked nothing of the CA" in again.out
    assert "left alone after an earlier failure: the account `default` was refused: " in again.err
    plan = master.good("master", "plan").out
    assert plan.startswith("www.refused.test  wait  the account `default` was refused: ")
    status = master.acmectl("status")
    assert "never seen; the account `default` was refused: " in status.out
    assert "(next attempt after " in status.out
    (name,) = json.loads(master.acmectl("master", "status", "--json").out)["master"]["names"]
    assert name["failure"]["count"] == 1
    assert "3 requests" in master.acmectl("-v", "master", "run", "www.refused.test").out, "a person asked for it"


def test_a_name_that_is_asked_for_waits_as_long_as_the_ca_says(ca: Sandbox, master: Host) -> None:
    master.configure(master_of(ca, "www.limited.test"))
    limits = ca.authority.state.limits
    limits.limits = replace(LETS_ENCRYPT_LIMITS, new_orders=replace(LETS_ENCRYPT_LIMITS.new_orders, count=0))
    try:
        assert master.acmectl("master", "run").status == 1
    finally:
        limits.limits = None
    asked = master.acmectl("master", "run", "www.limited.test")
    assert asked.status == 1
    assert master.normal(asked.err).startswith(
        "error: `www.limited.test` is left alone after an earlier failure: the CA asked to leave the account `default` alone: "
    )
    assert "; next attempt after " in asked.err
    assert "tries again at once" not in asked.err, "it would not"
    plan = master.good("master", "plan", "www.limited.test").out
    assert plan.startswith("www.limited.test  wait  the CA asked to leave the account `default` alone: ")


def test_a_certificate_is_not_ordered_for_names_that_this_host_did_not_get_authorized(
    ca: Sandbox, master: Host
) -> None:
    certificates = "certificates:\n  bad: {names: [bad.held.test]}\n  good: {names: [good.held.test]}\n"
    master.configure(master_of(ca, "bad.held.test", "good.held.test", follower="{grace: 1h}") + certificates)
    ca.authority.state.injections.rejected["bad.held.test"] = "no such zone"
    first = master.acmectl("-v", "run")
    assert first.status == 1
    waits = "bad: not ordered, waits for this host's own master part: not authorized: bad.held.test\n"
    assert waits in first.out
    assert (master.state / "certificates/good/current").exists()
    again = master.acmectl("-v", "run")
    assert (again.status, again.out.count("asked nothing of the CA"), waits in again.out) == (1, 2, True)
    ca.authority.state.injections.rejected.clear()
    master.good("master", "run", "bad.held.test")
    master.good("run")
    assert (master.state / "certificates/bad/current").exists(), "no early order is in the way"


def test_a_certificate_that_is_not_ordered_is_deployed_all_the_same(ca: Sandbox, master: Host) -> None:
    deploy = "deploy: [{type: files, directory: tls}]"
    before = f"certificates:\n  one: {{names: [good.behind.test], {deploy}}}\n"
    after = f"certificates:\n  one: {{names: [good.behind.test, bad.behind.test], {deploy}}}\n"
    master.configure(master_of(ca, "good.behind.test") + before)
    master.good("run")
    (master.directory / "tls" / "cert.pem").unlink()
    ca.authority.state.injections.rejected["bad.behind.test"] = "no such zone"
    master.configure(master_of(ca, "good.behind.test", "bad.behind.test") + after)
    orders = len(ca.authority.state.store.orders)
    ran = master.acmectl("-v", "run")
    ca.authority.state.injections.rejected.clear()
    assert "one: not ordered, waits for this host's own master part: not authorized: bad.behind.test\n" in ran.out
    assert (master.directory / "tls" / "cert.pem").exists()
    assert len(ca.authority.state.store.orders) == orders, "an order now would get in the way of the next one"


def test_what_a_solver_left_that_is_configured_no_more_is_told_in_each_run_once(master: Host) -> None:
    master.good("master", "run")
    fact = {"identifier": "xmpp.acme.test", "type": "dns-01", "token": "token", "key_authorization": "token.thumbprint"}
    memory = Memory(master.state / "state.db")
    web = {"identifier": "a.test", "type": "http-01", "token": "token", "key_authorization": "token.thumbprint"}
    memory.set_fact("published/old", json.dumps([fact, web]))
    memory.close()
    told = (
        "! warning: an interrupted run left behind what solver `old` published, and no solver has that name now: "
        "TXT `_acme-challenge.xmpp.acme.test`, `http://a.test/.well-known/acme-challenge/token`\n"
        "! hint: give solver `old` its configuration back for one run, which removes it\n-> 0\n"
    )
    assert master.block(master.acmectl("run")) == told
    assert master.block(master.acmectl("run")) == told
    (master.directory / "old").mkdir()
    old = "  old: {type: webroot, path: old, check: no}\n"
    master.configure(master.config.read_text("utf-8").replace("master:", f"{old}master:"))
    assert master.block(master.acmectl("run")) == "-> 0\n"
