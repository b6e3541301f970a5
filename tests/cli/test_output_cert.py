"""What `cert` says, whole: the list, everything of one, renewing, revoking, going back."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path

from acmectl.model.names import Identifier
from acmectl.model.orders import AuthorizationStatus
from acmectl.sandbox.server import Sandbox
from acmectl.sandbox.state import Window
from tests.cli.hosts import WEB, Host, authority, follower_of

NAMES = "mail.acme.test, xmpp.acme.test"
REQUESTS = "5 requests to the CA: 1 directory, 1 newNonce, 1 newOrder, 1 finalize, 1 certificate\n"
SHOWN = f"""\
certificate xmpp: {NAMES}
  valid until TIME (DAYS left)
  generation {{generation}}, ecdsa-p256, serial SERIAL, issued by CN=acmectl sandbox Intermediate HEX (trust by nobody)
  due {{due}}
  fingerprint sha256 FINGERPRINT
  chain: CN=acmectl sandbox Intermediate HEX (trust by nobody), until TIME
  chain: signed by CN=acmectl sandbox Root HEX (trust by nobody)
  pin sha256 PIN (key in use)
"""


def said(host: Host, *arguments: str) -> str:
    return host.block(host.acmectl(*arguments))


def renewed(host: Host) -> Host:
    """With a second generation."""
    host.good("cert", "renew", "xmpp", "--force")
    return host


def in_use(host: Host) -> str:
    return str((host.state / "certificates/xmpp/current").readlink())


def test_a_certificate_that_was_never_issued(follower: Host) -> None:
    assert said(follower, "cert", "list") == f"xmpp  no certificate yet  due now  {NAMES}\n-> 0\n"
    assert said(follower, "cert", "show", "xmpp") == (
        f"certificate xmpp: {NAMES}\n  no certificate yet\n  due now: no certificate yet\n-> 0\n"
    )
    for command in (("revoke", "xmpp", "--yes"), ("rollback", "xmpp")):
        ran = follower.acmectl("cert", *command)
        assert ran.status == 2
        assert "there is no" in ran.err


def test_the_list_has_every_certificate_also_one_that_is_not_configured_any_more(ca: Sandbox, issued: Host) -> None:
    assert said(issued, "cert", "list") == f"xmpp  valid until TIME (DAYS left)  due TIME  {NAMES}\n-> 0\n"
    issued.configure(follower_of(ca, "  new: {names: [xmpp.acme.test]}\n"))
    assert (
        re.sub("  +", "  ", said(issued, "cert", "list"))
        == f"""\
new  no certificate yet  due now  xmpp.acme.test
xmpp  valid until TIME (DAYS left)  not in the configuration  {NAMES}
-> 0
"""
    )
    listed = json.loads(issued.good("cert", "list", "--json").out)
    assert listed["schema_version"] == 1
    assert [found["label"] for found in listed["certificates"]] == ["new"]
    assert [found["label"] for found in listed["not_in_configuration"]] == ["xmpp"]


def test_everything_of_a_certificate(issued: Host) -> None:
    assert said(issued, "cert", "show", "xmpp") == (
        SHOWN.format(generation=1, due="TIME")
        + """\
  the CA is asked again after TIME
  generation 1: valid until TIME (DAYS left), serial SERIAL, in use
  history
    TIME  issued  generation 1, serial SERIAL
-> 0
"""
    )


def test_what_the_ca_wants_is_shown(ca: Sandbox, issued: Host) -> None:
    (issued.state / "state.db").unlink()
    issued.good("follower", "run")
    assert "  the CA wants it renewed between TIME and TIME\n" in said(issued, "cert", "show", "xmpp")
    shown = json.loads(issued.good("cert", "show", "xmpp", "--json").out)["certificates"][0]
    assert set(shown["renewal_info"]) == {"start", "end", "explanation_url", "asked", "ask_again", "error"}
    ca.authority.state.store.by_ari_id.clear()
    (issued.state / "state.db").unlink()
    issued.good("follower", "run")
    assert "  the CA was asked in vain when to renew it: the CA refused to say when to renew the certificate: " in said(
        issued, "cert", "show", "xmpp"
    )


def test_renewing_for_people(issued: Host) -> None:
    assert (
        said(issued, "cert", "renew", "xmpp")
        == """\
xmpp: valid until TIME (DAYS left); due TIME
asked nothing of the CA
! hint: what is not due is issued by `acmectl cert renew xmpp --force`
-> 0
"""
    )
    assert said(issued, "cert", "renew", "xmpp", "--force") == (
        f"""\
xmpp: issued (asked for), generation 2, serial SERIAL
  valid until TIME (DAYS left)
{REQUESTS}-> 0
"""
    )


def test_renewing_on_a_host_that_proves_its_own_names(ca: Sandbox, master: Host) -> None:
    master.configure(authority(ca) + WEB + "certificates:\n  web: {names: [alone.acme.test], solver: web}\n")
    told = said(master, "cert", "renew", "web")
    assert told.startswith("alone.acme.test  proven  until TIME\n")
    assert "web: issued (no certificate yet), generation 1, serial SERIAL\n" in told
    assert "web: issued (asked for), generation 2, serial SERIAL\n" in said(master, "cert", "renew", "web", "--force")


def test_a_host_that_proves_its_own_names_does_so_in_the_run_in_which_the_ca_asks_for_renewal(
    ca: Sandbox, master: Host
) -> None:
    master.configure(authority(ca) + WEB + "certificates:\n  web: {names: [recalled.acme.test], solver: web}\n")
    master.good("run")
    state, now = ca.authority.state, ca.clock.now()
    day = timedelta(days=1)
    state.injections.windows["recalled.acme.test"] = Window(now - 2 * day, now - day, "https://ca.test/incident")
    ca.authority.set_status(["recalled.acme.test"], AuthorizationStatus.REVOKED)
    (master.state / "state.db").unlink()  # or half a day goes by
    ran = master.good("-v", "run")
    assert "issued (the CA asks for renewal, see https://ca.test/incident; expires at TIME), generation 2" in (
        master.normal(ran.out)
    )


def test_going_back_to_the_certificate_before_and_forward_again(ca: Sandbox, issued: Host) -> None:
    issued.configure(
        follower_of(ca, "  xmpp: {names: [xmpp.acme.test, mail.acme.test], deploy: [{type: files, directory: tls}]}\n")
    )
    renewed(issued)
    certificates = issued.state / "certificates/xmpp"
    assert (
        said(issued, "cert", "rollback", "xmpp")
        == """\
xmpp: generation 1 is in use instead of 2, serial SERIAL
  valid until TIME (DAYS left)
  later runs leave it in use, unless the configuration asks for another; its renewal is due TIME
xmpp: deployed to files[0]
! hint: `acmectl cert renew xmpp --force` issues a new one before that
-> 0
"""
    )
    assert (issued.directory / "tls/cert.pem").read_bytes() == (certificates / "1/cert.pem").read_bytes()
    assert said(issued, "run") == "-> 0\n"
    assert in_use(issued) == "1"
    shown = said(issued, "cert", "show", "xmpp")
    assert "  rolled back TIME, kept in use until TIME\n" in shown
    assert "  generation 2: valid until TIME (DAYS left), serial SERIAL\n" in shown
    assert (
        said(issued, "cert", "rollback", "xmpp")
        == """\
! error: there is no generation of `xmpp` to go back to
! hint: `acmectl cert show xmpp` shows which there are
-> 2
"""
    )
    assert said(issued, "cert", "rollback", "xmpp", "--to", "1") == (
        "! error: generation 1 of `xmpp` is in use already\n-> 2\n"
    )
    assert said(issued, "cert", "rollback", "xmpp", "--to", "7") == (
        "! error: there is no generation 7 of `xmpp`\n! hint: there are 1, 2\n-> 2\n"
    )
    assert (
        said(issued, "cert", "rollback", "xmpp", "--to", "2")
        == """\
xmpp: generation 2 is in use instead of 1, serial SERIAL
  valid until TIME (DAYS left)
  it is the newest one, and renewed as usual: due TIME
xmpp: deployed to files[0]
-> 0
"""
    )
    assert (issued.directory / "tls/cert.pem").read_bytes() == (certificates / "2/cert.pem").read_bytes()


def test_a_damaged_certificate_can_be_gone_back_from_and_not_to(issued: Host) -> None:
    renewed(issued)
    (issued.state / "certificates/xmpp/2/cert.pem").write_text("not what it was")
    assert said(issued, "cert", "rollback", "xmpp").startswith("xmpp: generation 1 is in use instead of 2")
    assert said(issued, "cert", "rollback", "xmpp", "--to", "2") == (
        "! error: generation 2 of `xmpp` cannot be used: its files are damaged\n-> 2\n"
    )
    assert in_use(issued) == "1"
    assert "  generation 2: damaged\n" in said(issued, "cert", "show", "xmpp")


def test_revoking_asks_first(issued: Host) -> None:
    question = """\
! xmpp: generation 1, serial SERIAL
!   valid until TIME (DAYS left), for mail.acme.test, xmpp.acme.test
! warning: certificate `xmpp` is in use: clients that check will refuse it from the moment of its revocation
!   reason: unspecified
"""
    assert said(issued, "cert", "revoke", "xmpp") == (
        f"{question}! error: there is nobody to ask for confirmation\n! hint: add `--yes`\n-> 2\n"
    )
    declined = issued.on_terminal("cert", "revoke", "xmpp", answer="n")
    assert declined.status == 2
    assert "nothing was revoked" in declined.out
    assert "revoked" not in said(issued, "cert", "show", "xmpp")
    assert issued.on_terminal("cert", "revoke", "xmpp", answer="y").status == 0


def test_revoking_the_certificate_in_use_has_the_next_run_issue_another(issued: Host) -> None:
    ran = issued.acmectl("cert", "revoke", "xmpp", "--reason", "KEYCOMPROMISE", "--yes")
    assert (
        issued.normal(ran.out)
        == """\
xmpp: generation 1 revoked (keyCompromise), serial SERIAL
  its key is never used again
  it stays in use until another one is issued, which the next run does
"""
    )
    assert ran.status == 0
    assert in_use(issued) == "1"
    assert "  due now: revoked (keyCompromise)\n" in said(issued, "cert", "show", "xmpp")
    assert said(issued, "-v", "run").startswith("xmpp: issued (revoked (keyCompromise)), generation 2, serial SERIAL\n")
    shown = said(issued, "cert", "show", "xmpp")
    assert "  generation 1: revoked (keyCompromise) TIME, archived\n" in shown
    assert [path.name for path in (issued.state / "certificates/xmpp/revoked").iterdir()] == ["1"]
    assert said(issued, "cert", "rollback", "xmpp").endswith("-> 2\n")


def test_revoking_an_earlier_certificate_leaves_the_one_in_use_alone(issued: Host) -> None:
    renewed(issued)
    ran = issued.acmectl("cert", "revoke", "xmpp", "--generation", "1", "--by", "certificate", "--yes")
    assert (
        issued.normal(ran.out)
        == """\
xmpp: generation 1 revoked (keyCompromise), serial SERIAL
  its key is never used again
  its files were moved to the folder `revoked` of this certificate
"""
    )
    assert said(issued, "run") == "-> 0\n"
    assert in_use(issued) == "2"


def test_a_lost_database_makes_no_revoked_certificate_good_again(issued: Host) -> None:
    issued.good("cert", "revoke", "xmpp", "--reason", "superseded", "--yes")
    (issued.state / "state.db").unlink()
    assert "  due now: revoked (superseded)\n" in said(issued, "follower", "status")


def test_what_the_ca_refuses_to_revoke_is_not_marked(ca: Sandbox, issued: Host) -> None:
    with ca.authority.state.lock:
        (found,) = [c for c in ca.authority.state.store.certificates.values() if c.serial == _serial(issued)]
        found.account_id, found.names = 0, frozenset({Identifier("other.acme.test")})
    ran = issued.acmectl("cert", "revoke", "xmpp", "--yes")
    assert ran.status == 1
    assert "the CA refused to revoke the certificate" in ran.err
    assert "revoked" not in said(issued, "cert", "show", "xmpp")


def _serial(host: Host) -> str:
    shown = json.loads(host.good("cert", "show", "xmpp", "--json").out)["certificates"][0]
    return str(shown["installed"]["serial"])


def test_a_revocation_by_the_key_needs_the_key(issued: Host) -> None:
    Path(issued.state / "certificates/xmpp/1/privkey.pem").unlink()
    ran = issued.acmectl("cert", "revoke", "xmpp", "--by", "certificate", "--yes")
    assert ran.status == 1
    assert "hint: revoke by the account: `--by account`" in ran.err
    assert issued.acmectl("cert", "revoke", "xmpp", "--yes").status == 0, "a lost key is no obstacle for the account"


def test_a_label_that_is_not_configured(issued: Host) -> None:
    for command in ("show", "renew", "revoke", "rollback"):
        assert said(issued, "cert", command, "xmp") == (
            "! error: there is no certificate `xmp`\n! hint: did you mean `xmpp`?\n-> 2\n"
        )
    assert said(issued, "cert", "show", "xmpp+rsa-2048") == (
        "! error: the certificate `xmpp` has no key of the kind `rsa-2048`\n! hint: it has `ecdsa-p256`\n-> 2\n"
    )
