"""LABEL+KEYTYPE means one kind of the keys of a certificate, wherever LABEL means all."""

from __future__ import annotations

import json

from acmectl.sandbox.server import Sandbox
from tests.cli.hosts import Host, follower_of

BOTH = "  xmpp: {names: [xmpp.acme.test], key: [ecdsa-p256, rsa-2048]}\n"


def labels(host: Host, *command: str) -> list[str]:
    return [c["label"] for c in json.loads(host.acmectl(*command, "--json").out)["certificates"]]


def test_one_kind_is_looked_at_issued_and_told_alone(ca: Sandbox, authorized: Host, follower: Host) -> None:  # noqa: ARG001
    follower.configure(follower_of(ca, BOTH))
    both, rsa, ecdsa = "xmpp", "xmpp+rsa-2048", "xmpp+ecdsa-p256"
    assert labels(follower, "follower", "plan", both) == ["xmpp", "xmpp+rsa-2048"]
    assert labels(follower, "follower", "plan", rsa) == ["xmpp+rsa-2048"]
    assert labels(follower, "follower", "plan", both, rsa) == ["xmpp", "xmpp+rsa-2048"]
    follower.good("follower", "run", rsa)
    assert not (follower.state / "certificates/xmpp").exists()
    assert (follower.state / "certificates/xmpp+rsa-2048/current").exists()
    assert labels(follower, "follower", "status", ecdsa) == ["xmpp"]
    assert follower.good("log", rsa).out.count("issued") == 1
    follower.good("follower", "run", ecdsa)
    told = [json.loads(follower.good("log", one, "--json").out)["events"] for one in (both, rsa, ecdsa)]
    everything, of_rsa, of_ecdsa = told
    assert sorted(event["text"] for event in everything) == sorted(event["text"] for event in (*of_rsa, *of_ecdsa))
    assert [len(of_rsa), len(of_ecdsa)] == [1, 1]
    assert of_rsa[0]["text"].startswith("rsa-2048: ")


def test_a_kind_that_a_certificate_does_not_have_is_told_with_those_that_it_has(ca: Sandbox, follower: Host) -> None:
    follower.configure(follower_of(ca, BOTH))
    assert follower.block(follower.acmectl("follower", "run", "xmpp+rsa-4096")) == (
        "! error: the certificate `xmpp` has no key of the kind `rsa-4096`\n"
        "! hint: it has `ecdsa-p256`, `rsa-2048`\n-> 2\n"
    )
    assert follower.acmectl("follower", "run", "smtp+rsa-2048").err.startswith(
        "error: there is no certificate `smtp+rsa-2048`\n"
    )
    assert follower.acmectl("log", "xmpp+rsa-4096").status == 2


def test_all_kinds_go_back_or_none(ca: Sandbox, authorized: Host, follower: Host) -> None:  # noqa: ARG001
    follower.configure(follower_of(ca, BOTH))
    follower.good("run")
    follower.good("cert", "renew", "xmpp+ecdsa-p256", "--force")
    before = follower.tree()
    assert follower.block(follower.acmectl("cert", "rollback", "xmpp")) == (
        "! error: there is no generation of `xmpp (rsa-2048)` to go back to\n"
        "! hint: `acmectl cert show xmpp` shows which there are\n-> 2\n"
    )
    in_use = follower.state / "certificates" / "xmpp" / "current"
    assert in_use.readlink().name == "2"
    assert follower.tree().keys() == before.keys()
    follower.good("cert", "rollback", "xmpp+ecdsa-p256")
    assert in_use.readlink().name == "1"
    follower.good("cert", "renew", "xmpp", "--force")
    follower.good("cert", "rollback", "xmpp")
    kinds = [follower.state / "certificates" / label / "current" for label in ("xmpp", "xmpp+rsa-2048")]
    assert [kind.readlink().name for kind in kinds] == ["2", "1"]
