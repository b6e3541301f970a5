"""What `master` says, whole."""

from __future__ import annotations

from tests.cli.hosts import Host, master_of

from acmectl.sandbox.server import Sandbox


def test_a_plan_says_what_will_be_done_and_why(master: Host) -> None:
    assert master.block(master.acmectl("master", "plan")) == """\
xmpp.acme.test  prove  never authorized
mail.acme.test  prove  never authorized
-> 0
"""
    assert master.acmectl("master", "run", "--dry-run") == master.acmectl("master", "plan")


def test_a_run_is_silent_under_cron_and_talks_when_asked(master: Host) -> None:
    assert master.block(master.acmectl("master", "run")) == "-> 0\n"
    assert master.block(master.acmectl("-v", "master", "run")) == """\
xmpp.acme.test  kept  until TIME
mail.acme.test  kept  until TIME
asked nothing of the CA
-> 0
"""
    assert master.block(master.acmectl("-v", "master", "run", "mail.acme.test")) == """\
mail.acme.test  found valid  until TIME
4 requests to the CA: 1 directory, 1 newNonce, 1 newOrder, 1 authorization
-> 0
"""


def test_status_and_plan_after_a_run(master: Host) -> None:
    assert master.block(master.acmectl("master", "status")) == """\
xmpp.acme.test  not authorized  never seen
mail.acme.test  not authorized  never seen
-> 1
"""
    first = master.acmectl("-v", "master", "run")
    assert "xmpp.acme.test  proven  until " in first.out
    assert master.block(master.acmectl("master", "status")) == """\
xmpp.acme.test  authorized  until TIME (DAYS left)
mail.acme.test  authorized  until TIME (DAYS left)
-> 0
"""
    assert master.block(master.acmectl("master", "plan")) == """\
xmpp.acme.test  keep  authorized until TIME (DAYS left); next look TIME
mail.acme.test  keep  authorized until TIME (DAYS left); next look TIME
-> 0
"""


def test_a_name_that_left_the_configuration_is_forgotten(ca: Sandbox, master: Host) -> None:
    master.good("master", "run")
    master.configure(master_of(ca, "xmpp.acme.test"))
    assert master.block(master.acmectl("master", "plan")) == """\
xmpp.acme.test  keep    authorized until TIME (DAYS left); next look TIME
mail.acme.test  forget  no longer in the configuration
-> 0
"""
    master.good("master", "run")
    assert "forget" not in master.good("master", "plan").out


def test_a_name_that_fails_is_reported_and_the_others_are_authorized(ca: Sandbox, master: Host) -> None:
    master.configure(master_of(ca, "good.fails.test", "bad.fails.test"))
    problem = "no such zone"
    ca.authority.state.injections.rejected["bad.fails.test"] = problem
    assert master.block(master.acmectl("master", "run")) == """\
! error: `bad.fails.test` is not authorized: the CA refused to create an order: no such zone
-> 1
"""
