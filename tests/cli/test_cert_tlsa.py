"""`acmectl cert tlsa`: the records to copy, for people and for programs."""

from __future__ import annotations

import json
import re

from acmectl.sandbox.server import Sandbox
from tests.cli.hosts import Host, follower_of

WITH_TLSA = "  xmpp: {names: [xmpp.acme.test], tlsa: {records: [xmpp.acme.test:5269, xmpp.acme.test:5222], ttl: 5m}}\n"


def pinned(ca: Sandbox, host: Host, keys: str = "[ecdsa-p256, rsa-2048]") -> None:
    host.configure(follower_of(ca, WITH_TLSA.replace("tlsa:", f"key: {keys}, tlsa:")))


def test_each_kind_of_key_has_a_record_at_each_service(ca: Sandbox, issued: Host) -> None:
    pinned(ca, issued)
    out = issued.good("cert", "tlsa", "xmpp").out
    lines = [line for line in out.splitlines() if not line.startswith(";")]
    form = r"_(5269|5222)\._tcp\.xmpp\.acme\.test\. 300 IN TLSA 3 1 1 [0-9a-f]{64}"
    assert lines
    assert all(re.fullmatch(form, line) for line in lines), out
    assert "; xmpp: the key in use, ecdsa-p256 (not seen at every name server yet)\n" in out


def test_programs_get_the_same_records(ca: Sandbox, issued: Host) -> None:
    pinned(ca, issued, "ecdsa-p256")
    document = json.loads(issued.good("cert", "tlsa", "xmpp", "--json").out)
    shown = issued.good("cert", "show", "xmpp").out
    first, *_ = document["records"]
    assert f"pin sha256 {first['pin_sha256']} (key in use)" in shown
    assert {key: first[key] for key in ("label", "role", "owner", "ttl", "usage", "selector", "matching_type")} == {
        "label": "xmpp",
        "role": "in use",
        "owner": "_5269._tcp.xmpp.acme.test",
        "ttl": 300,
        "usage": 3,
        "selector": 1,
        "matching_type": 1,
    }
    assert first["line"].endswith(first["data"])


def test_a_certificate_without_services_says_what_is_missing(issued: Host) -> None:
    assert issued.block(issued.acmectl("cert", "tlsa", "xmpp")) == (
        "! error: the configuration names no services for the TLSA records of `xmpp`\n"
        "! hint: list them: `certificates: {xmpp: {tlsa: [mail.example.org:25]}}`\n-> 2\n"
    )
