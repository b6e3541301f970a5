"""Certificates that the configuration does not name any more, and which one is meant by a label: revoking the wrong one is for good."""

from __future__ import annotations

import json
from pathlib import Path

from acmectl.sandbox.server import Sandbox
from tests.cli.hosts import Host, follower_of

NAMES = "names: [xmpp.acme.test, mail.acme.test]"


def serial(host: Host, label: str) -> str:
    (shown,) = json.loads(host.good("cert", "show", label, "--json").out)["certificates"]
    return str(shown["installed"]["serial"])


def revoked(ca: Sandbox) -> set[str]:
    with ca.authority.state.lock:
        return {c.serial for c in ca.authority.state.store.certificates.values() if c.revoked_at is not None}


def test_a_kind_that_was_given_up_is_the_one_that_the_list_calls_so(ca: Sandbox, issued: Host) -> None:
    issued.configure(follower_of(ca, f"  xmpp: {{{NAMES}, key: [ecdsa-p256, rsa-2048]}}\n"))
    issued.good("follower", "run")
    before = serial(issued, "xmpp+rsa-2048")
    issued.configure(follower_of(ca, f"  xmpp: {{{NAMES}, key: rsa-2048}}\n"))
    issued.good("follower", "run")
    in_use = serial(issued, "xmpp")
    assert serial(issued, "xmpp+rsa-2048") == before != in_use
    assert "  not in the configuration\n" in issued.good("cert", "show", "xmpp+rsa-2048").out
    for command in ("renew", "rollback", "verify", "deploy"):
        ran = issued.acmectl("cert", command, "xmpp+rsa-2048")
        assert (ran.status, ran.err) == (
            2,
            (
                "error: the certificate `xmpp (rsa-2048)` is not in the configuration any more\n"
                "hint: `acmectl cert show xmpp+rsa-2048` and `acmectl cert revoke xmpp+rsa-2048` know it,"
                " and `acmectl cert remove xmpp+rsa-2048` removes what this host keeps of it\n"
            ),
        )
    issued.good("cert", "revoke", "xmpp+rsa-2048", "--yes")
    assert revoked(ca) >= {before}
    assert in_use not in revoked(ca)
    assert "due now" not in issued.good("cert", "show", "xmpp").out


def test_the_first_kind_of_a_certificate_is_meant_by_its_key_type_where_no_folder_has_that_name(
    ca: Sandbox, issued: Host
) -> None:
    issued.good("cert", "revoke", "xmpp+ecdsa-p256", "--yes")
    assert serial(issued, "xmpp") in revoked(ca)


def test_a_certificate_whose_label_was_renamed_is_shown_and_revoked_by_its_old_one(ca: Sandbox, issued: Host) -> None:
    old = serial(issued, "xmpp")
    issued.configure(follower_of(ca, f"  chat: {{{NAMES}}}\n"))
    shown = issued.good("cert", "show", "xmpp").out
    assert "  not in the configuration\n" in shown
    assert f"serial {old}" in shown
    assert "due" not in shown
    (document,) = json.loads(issued.good("cert", "show", "xmpp", "--json").out)["certificates"]
    assert document["in_configuration"] is False
    ran = issued.good("cert", "revoke", "xmpp", "--yes")
    assert "no run issues another: it is not in the configuration" in ran.out
    assert old in revoked(ca)


def test_a_host_without_certificates_in_its_configuration_still_lists_and_revokes_what_it_has(
    ca: Sandbox, authorized: Host
) -> None:
    alone = authorized.config.read_text()
    authorized.configure(f"{alone}certificates:\n  xmpp: {{{NAMES}}}\n")
    authorized.good("run")
    old = serial(authorized, "xmpp")
    authorized.configure(alone)
    assert "not in the configuration" in authorized.good("cert", "list").out
    authorized.good("cert", "revoke", "xmpp", "--yes")
    assert old in revoked(ca)


def test_the_last_certificate_can_be_taken_out_of_the_configuration_and_removed(ca: Sandbox, issued: Host) -> None:
    issued.configure(follower_of(ca).partition("certificates:")[0] + "certificates: {}\n")
    assert "no problems" in issued.good("check").out
    for silent in ("run", "follower run", "follower plan", "follower status"):
        assert issued.good(*silent.split()).out == ""
    issued.good("status")
    assert "not in the configuration" in issued.good("cert", "list").out
    issued.good("cert", "remove", "xmpp", "--yes")
    assert not (issued.directory / "state/certificates/xmpp").exists()
    for command in ("cert list", "check", "run", "status"):
        issued.good(*command.split())


def test_where_there_are_several_accounts_a_person_says_which_one_signs(ca: Sandbox, issued: Host) -> None:
    issued.configure(follower_of(ca, f"  chat: {{{NAMES}, account: default}}\n", accounts="{default: {}, other: {}}"))
    ran = issued.acmectl("cert", "revoke", "xmpp", "--yes")
    assert issued.block(ran) == (
        "! error: the configuration does not say by which account `xmpp` was issued\n"
        "! hint: name it with `--account`: `default`, `other`\n-> 2\n"
    )
    issued.good("cert", "revoke", "xmpp", "--account", "default", "--yes")


def test_a_certificate_of_an_earlier_ca_is_not_revoked_at_the_present_one(ca: Sandbox, issued: Host) -> None:
    issued.configure(follower_of(ca).replace(ca.directory_url, "https://127.0.0.1:1/directory"))
    ran = issued.acmectl("cert", "revoke", "xmpp", "--reason", "keyCompromise", "--yes")
    assert issued.block(ran) == (
        "! error: generation 1 of `xmpp` was issued by another CA: https://ca.test/directory\n"
        "! hint: revoke it with a configuration whose `authority` is that CA: `acmectl -c FILE cert revoke ...`\n-> 2\n"
    )
    assert not Path(issued.state / "certificates/.distrusted-keys").exists(), "nothing was revoked"


def test_the_lock_is_free_while_a_person_is_asked(ca: Sandbox, issued: Host) -> None:
    asked = issued.on_terminal("cert", "revoke", "xmpp", answer="y", meanwhile=lambda: issued.good("run"))
    assert asked.status == 0
    assert serial(issued, "xmpp") in revoked(ca)


def test_what_changed_while_a_person_was_asked_is_not_revoked(ca: Sandbox, issued: Host) -> None:
    old = serial(issued, "xmpp")
    asked = issued.on_terminal(
        "cert", "revoke", "xmpp", answer="y", meanwhile=lambda: issued.good("cert", "renew", "xmpp", "--force")
    )
    assert (asked.status, "was changed meanwhile" in asked.out) == (2, True)
    assert not revoked(ca) & {old, serial(issued, "xmpp")}
