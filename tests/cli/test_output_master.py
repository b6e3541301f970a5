"""What `master` says, whole."""

from __future__ import annotations

from acmectl.sandbox.server import Sandbox
from tests.cli.hosts import Host, master_of

REFUSAL = (
    "the CA refused the new order for bad.fails.test, good.fails.test: "
    'Cannot issue for "bad.fails.test": no such zone (rejectedIdentifier)'
)


def test_a_plan_says_what_will_be_done_and_why(master: Host) -> None:
    assert (
        master.block(master.acmectl("master", "plan"))
        == """\
xmpp.acme.test  prove  new
mail.acme.test  prove  new
-> 0
"""
    )
    assert master.acmectl("master", "run", "--dry-run") == master.acmectl("master", "plan")


def test_a_run_is_silent_under_cron_and_talks_when_asked(master: Host) -> None:
    assert master.block(master.acmectl("master", "run")) == "-> 0\n"
    assert (
        master.block(master.acmectl("-v", "master", "run"))
        == """\
xmpp.acme.test  kept  until TIME
mail.acme.test  kept  until TIME
asked nothing of the CA
-> 0
"""
    )
    assert (
        master.block(master.acmectl("-v", "master", "run", "mail.acme.test"))
        == """\
mail.acme.test  found valid  until TIME
4 requests to the CA: 1 directory, 1 newNonce, 1 newOrder, 1 authorization
-> 0
"""
    )


def test_status_and_plan_after_a_run(master: Host) -> None:
    assert (
        master.block(master.acmectl("master", "status"))
        == """\
xmpp.acme.test  not authorized  never seen
mail.acme.test  not authorized  never seen
-> 1
"""
    )
    first = master.acmectl("-v", "master", "run")
    assert "xmpp.acme.test  proven  until " in first.out
    assert (
        master.block(master.acmectl("master", "status"))
        == """\
xmpp.acme.test  authorized  until TIME (DAYS left)
mail.acme.test  authorized  until TIME (DAYS left)
-> 0
"""
    )
    assert (
        master.block(master.acmectl("master", "plan"))
        == """\
xmpp.acme.test  keep  authorized until TIME (DAYS left); next look TIME
mail.acme.test  keep  authorized until TIME (DAYS left); next look TIME
-> 0
"""
    )


def test_a_name_that_left_the_configuration_is_forgotten(ca: Sandbox, master: Host) -> None:
    master.good("master", "run")
    master.configure(master_of(ca, "xmpp.acme.test"))
    assert (
        master.block(master.acmectl("master", "plan"))
        == """\
xmpp.acme.test  keep    authorized until TIME (DAYS left); next look TIME
mail.acme.test  forget  no longer in the configuration
-> 0
"""
    )
    master.good("master", "run")
    assert "forget" not in master.good("master", "plan").out


def test_a_name_that_fails_is_reported_and_the_others_are_authorized(ca: Sandbox, master: Host) -> None:
    master.configure(master_of(ca, "good.fails.test", "bad.fails.test"))
    ca.authority.state.injections.rejected["bad.fails.test"] = "no such zone"
    assert (
        master.block(master.acmectl("master", "run"))
        == """\
! error: `bad.fails.test` is not authorized: REFUSAL; next attempt after TIME
! hint: take the refused name out of the configuration, or ask the CA why it issues nothing for it
-> 1
""".replace("REFUSAL", REFUSAL)
    )
    assert (
        master.block(master.acmectl("master", "status"))
        == """\
good.fails.test  authorized      until TIME (DAYS left)
bad.fails.test   not authorized  never seen; failed 1 time: REFUSAL (next attempt after TIME)
-> 1
""".replace("REFUSAL", REFUSAL)
    )
    assert (
        master.block(master.acmectl("master", "plan", "bad.fails.test"))
        == """\
bad.fails.test  prove  asked for by name
-> 0
"""
    )
    plan = master.block(master.acmectl("master", "plan"))
    assert f"bad.fails.test   wait  failed before: {REFUSAL}; next attempt after TIME\n" in plan
    assert (
        master.block(master.acmectl("-v", "master", "run"))
        == """\
good.fails.test  kept     until TIME
bad.fails.test   waiting  failed before: REFUSAL; next attempt after TIME
asked nothing of the CA
! error: `bad.fails.test` is left alone after an earlier failure: REFUSAL; next attempt after TIME
! hint: once it is mended, `acmectl master run bad.fails.test` tries again at once
-> 1
""".replace("REFUSAL", REFUSAL)
    )
    del ca.authority.state.injections.rejected["bad.fails.test"]
    master.good("master", "run", "bad.fails.test")
    assert master.acmectl("status").status == 0
