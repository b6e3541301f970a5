"""What `follower` says, whole: waiting, issued, not due, deploy failed."""

from __future__ import annotations

from acmectl.sandbox.server import Sandbox
from tests.cli.hosts import Host, follower_of

AGAIN = "! hint: once it is mended, `acmectl follower run xmpp` tries again at once\n"
WAITING = """\
xmpp: not authorized yet: early.acme.test, mail.acme.test
  waiting since TIME (no certificate yet)
  {why}
  account https://ca.test/acme/account/N at https://ca.test/directory, profile classic
  no certificate is installed
  the master must list, for this account and profile:
    authorize:
      - names: [early.acme.test, mail.acme.test]
        solver: ...
"""


def deploying(ca: Sandbox, reload: str, **more: str) -> str:
    """A follower's configuration with one target, and its reload command."""
    deploy = f"[{{type: files, directory: tls, reload: {reload}}}]"
    return follower_of(ca, f"  xmpp: {{names: [xmpp.acme.test, mail.acme.test], deploy: {deploy}}}\n", **more)


def test_a_follower_that_comes_early_waits(ca: Sandbox, follower: Host) -> None:
    # names of its own: Boulder, and the sandbox, hand an order out again only if no other account has one for the same set
    follower.configure(follower_of(ca, "  xmpp: {names: [early.acme.test, mail.acme.test]}\n", follower="{grace: 1h}"))
    assert follower.block(follower.acmectl("follower", "plan")) == "xmpp  issue  no certificate yet\n-> 0\n"
    assert follower.block(follower.acmectl("follower", "run")) == "-> 0\n"
    assert (
        follower.block(follower.acmectl("-v", "follower", "run"))
        == f"""\
{WAITING.format(why="asked a short while ago; a run after TIME asks again, `acmectl follower run xmpp` at once")}asked nothing of the CA
-> 0
"""
    )
    assert follower.block(follower.acmectl("follower", "plan")) == (
        "xmpp  wait  not authorized yet; asks the CA again after TIME\n-> 0\n"
    )
    again = "the CA hands out the order of an earlier run again; if this goes on, it is given up at TIME"
    assert (
        follower.block(follower.acmectl("-v", "follower", "run", "xmpp"))
        == f"""\
{WAITING.format(why=again)}5 requests to the CA: 1 directory, 1 newNonce, 1 newOrder, 2 authorization
! acmectl: xmpp: the order is pending: within the grace period
-> 0
"""
    )
    assert (
        follower.block(follower.acmectl("follower", "status"))
        == """\
certificate xmpp: early.acme.test, mail.acme.test
  no certificate yet
  due now: no certificate yet
  waiting for the master since TIME
-> 0
"""
    )


def test_a_follower_issues_and_then_has_nothing_to_do(master: Host, follower: Host) -> None:
    master.good("master", "run")
    assert (
        follower.block(follower.acmectl("-v", "follower", "run"))
        == """\
xmpp: issued (no certificate yet), generation 1, serial SERIAL
  valid until TIME (DAYS left)
5 requests to the CA: 1 directory, 1 newNonce, 1 newOrder, 1 finalize, 1 certificate
-> 0
"""
    )
    assert follower.block(follower.acmectl("follower", "run")) == "-> 0\n"
    assert (
        follower.block(follower.acmectl("-v", "follower", "run"))
        == """\
xmpp: valid until TIME (DAYS left); due TIME
asked nothing of the CA
-> 0
"""
    )
    assert follower.block(follower.acmectl("follower", "plan")) == "xmpp  keep  due TIME\n-> 0\n"
    assert follower.block(follower.acmectl("follower", "plan", "--force")) == "xmpp  issue  asked for\n-> 0\n"
    assert (
        follower.block(follower.acmectl("follower", "status", "xmpp"))
        == """\
certificate xmpp: mail.acme.test, xmpp.acme.test
  valid until TIME (DAYS left)
  generation 1, ecdsa-p256, serial SERIAL, issued by CN=acmectl sandbox Intermediate HEX (trust by nobody)
  due TIME
-> 0
"""
    )


def test_a_failed_deployment_is_reported_and_recovers(ca: Sandbox, issued: Host) -> None:
    issued.configure(deploying(ca, '[sh, -c, "echo postfix is unhappy >&2; exit 3"]'))
    failed = "`sh -c 'echo postfix is unhappy >&2; exit 3'` failed with exit status 3: postfix is unhappy"
    expected = (
        f"! error: certificate `xmpp` is not deployed to files[0]: {failed}; the next run tries again\n{AGAIN}-> 1\n"
    )
    assert issued.block(issued.acmectl("follower", "run")) == expected
    assert issued.block(issued.acmectl("follower", "run")) == expected
    assert (
        issued.block(issued.acmectl("follower", "plan"))
        == """\
xmpp  keep    due TIME
xmpp  deploy  files[0]
-> 0
"""
    )
    assert (
        issued.block(issued.acmectl("follower", "status"))
        == f"""\
certificate xmpp: mail.acme.test, xmpp.acme.test
  valid until TIME (DAYS left)
  generation 1, ecdsa-p256, serial SERIAL, issued by CN=acmectl sandbox Intermediate HEX (trust by nobody)
  due TIME
  not deployed to files[0]: {failed}
    failed 2 times to reload since TIME; the next run tries again
-> 1
"""
    )
    issued.configure(deploying(ca, "[touch, reloaded]"))
    assert (
        issued.block(issued.acmectl("-v", "follower", "run"))
        == """\
xmpp: valid until TIME (DAYS left); due TIME
xmpp: deployed to files[0]
asked nothing of the CA
! acmectl: reloading: touch reloaded
-> 0
"""
    )
    assert (issued.directory / "reloaded").exists()


def test_a_changed_wish_says_what_changed(ca: Sandbox, issued: Host) -> None:
    issued.configure(follower_of(ca, "  xmpp: {names: [xmpp.acme.test, conference.acme.test]}\n"))
    assert issued.block(issued.acmectl("follower", "plan")) == (
        "xmpp  issue  names changed: +conference.acme.test -mail.acme.test\n-> 0\n"
    )
    issued.configure(follower_of(ca, "  xmpp: {names: [xmpp.acme.test, mail.acme.test], key: rsa-2048}\n"))
    assert issued.block(issued.acmectl("follower", "plan")) == (
        "xmpp  issue  key type changed: ecdsa-p256 -> rsa-2048\n-> 0\n"
    )


def test_a_label_that_is_not_configured(issued: Host) -> None:
    for command in (("run",), ("plan",), ("status",), ("run", "--dry-run")):
        assert (
            issued.block(issued.acmectl("follower", *command, "xmp"))
            == """\
! error: there is no certificate `xmp`
! hint: did you mean `xmpp`?
-> 2
"""
        )


def test_a_host_without_certificates_is_no_follower(master: Host) -> None:
    assert (
        master.block(master.acmectl("follower", "run"))
        == """\
! error: this host is no follower
! hint: its configuration lists no certificates
-> 2
"""
    )


def test_what_a_service_says_in_several_lines_stays_below_its_beginning(ca: Sandbox, issued: Host) -> None:
    (issued.directory / "complain").write_text("printf 'unknown directive\\n\\ntest failed\\n' >&2; exit 1\n")
    issued.configure(deploying(ca, "[sh, complain]"))
    issued.acmectl("run")
    said = "`sh complain` failed with exit status 1: unknown directive"
    shown = issued.normal(issued.acmectl("status").out)
    assert f"\n  not deployed to files[0]: {said}\n\n      test failed\n    failed 1 time to reload since" in shown
    assert f"\n  not deployed to files[0]: {said}\n\n      test failed\n" in issued.good("cert", "show", "xmpp").out
    history = issued.normal(issued.good("cert", "show", "xmpp").out).partition("history\n")[2]
    assert history.endswith(f"    TIME  not deployed  files[0]: {said}\n\n        test failed\n")
    assert issued.good("log", "xmpp").out.endswith(f"not deployed  files[0]: {said}\n\n    test failed\n")
    colour = issued.good("--color", "cert", "show", "xmpp").out
    assert f"not deployed to files[0]: {said}\n\n      test failed" in colour
