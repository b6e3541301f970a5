"""What `run` and `status` say of a host with both parts, and what JSON programs can build on."""

from __future__ import annotations

import json
from typing import Any

from acmectl.sandbox.server import Sandbox
from tests.cli.hosts import Host, master_of

CERTIFICATES = "follower: {grace: 1s}\ncertificates:\n  web: {names: [www.acme.test], key: rsa-2048}\n"


def test_a_host_with_both_parts_serves_itself(ca: Sandbox, master: Host) -> None:
    master.configure(master_of(ca, "www.acme.test") + CERTIFICATES)
    assert (
        master.block(master.acmectl("run", "--dry-run"))
        == """\
www.acme.test  prove  new
web  issue  no certificate yet
-> 0
"""
    )
    assert (
        master.block(master.acmectl("status"))
        == """\
www.acme.test  not authorized  never seen
certificate web: www.acme.test
  no certificate yet
  due now: no certificate yet
-> 1
"""
    )
    assert master.block(master.acmectl("run")) == "-> 0\n"
    assert (
        master.block(master.acmectl("-v", "run"))
        == """\
www.acme.test  kept  until TIME
asked nothing of the CA
web: valid until TIME (DAYS left); due TIME
asked nothing of the CA
-> 0
"""
    )
    assert (
        master.block(master.acmectl("status"))
        == """\
www.acme.test  authorized  until TIME (DAYS left)
certificate web: www.acme.test
  valid until TIME (DAYS left)
  generation 1, rsa-2048, serial SERIAL, issued by CN=acmectl sandbox Intermediate HEX (trust by nobody)
  due TIME
-> 0
"""
    )


def shape(value: Any) -> Any:
    """A document with the kinds of its values instead of them."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shape(inner) for inner in value[:1]]
    return type(value).__name__


CERTIFICATE: dict[str, Any] = {
    "label": "str",
    "names": ["str"],
    "account": "str",
    "profile": "str",
    "installed": {
        "generation": "int",
        "serial": "str",
        "fingerprint_sha256": "str",
        "issuer": "str",
        "key": "str",
        "not_before": "str",
        "not_after": "str",
    },
    "damage": "NoneType",
    "key_error": "NoneType",
    "published_keys_error": "NoneType",
    "account_error": "NoneType",
    "due": "bool",
    "reason": "NoneType",
    "due_at": "str",
    "waiting_since": "NoneType",
    "running_out": "bool",
    "failure": "NoneType",
    "targets_behind": [],
    "targets_waiting": {},
    "deployments": [],
    "tlsa": [],
}
NAME = {
    "name": "str",
    "account": "str",
    "profile": "str",
    "authorized": "bool",
    "expires": "str",
    "validated": "str",
    "authorization": "str",
    "challenge": "str",
    "action": "str",
    "failure": "NoneType",
}
ON_DISK = CERTIFICATE["installed"] | {"names": ["str"], "pin_sha256": "str"}
ADVICE = {
    "start": "NoneType",
    "end": "NoneType",
    "explanation_url": "NoneType",
    "asked": "str",
    "ask_again": "str",
    "error": "NoneType",
}
VIEW: dict[str, Any] = {
    "pin_sha256": "str",
    "next_pin_sha256": "NoneType",
    "chain": [{"issuer": "str", "fingerprint_sha256": "str"}],
    "in_configuration": "bool",
    "renewal_info": ADVICE,
    "rollback": "NoneType",
    "generations": [{"number": "int", "in_use": "bool", "certificate": ON_DISK, "revoked": "NoneType"}],
    "archived": [],
    "history": [{"at": "str", "kind": "str", "text": "str"}],
}
DECISION: dict[str, Any] = dict.fromkeys(("name", "account", "profile", "solver", "action", "reason", "at"), "str")
DECISION |= {"fallbacks": []}
ACCOUNT = dict.fromkeys(("name", "directory", "url", "thumbprint", "profile"), "str")


def reading(host: Host, *arguments: str, status: int = 0) -> Any:
    """The document on stdout, with nothing on stderr; its version is looked at, and taken off."""
    ran = host.acmectl(*arguments, "--json")
    assert (ran.status, ran.err) == (status, "")
    document = json.loads(ran.out)
    assert document.pop("schema_version") == 1
    return document


def test_the_keys_of_every_json_document_are_stable(ca: Sandbox, master: Host) -> None:
    master.configure(master_of(ca, "www.acme.test") + CERTIFICATES)
    master.good("run")
    assert shape(reading(master, "status")) == {
        "master": {"names": [NAME], "unusable_accounts": [], "records": []},
        "certificates": [CERTIFICATE],
        "onchange": [],
        "unsettled": [],
        "warnings": [],
    }
    assert shape(reading(master, "master", "status")) == {
        "master": {"names": [NAME], "unusable_accounts": [], "records": []}
    }
    assert shape(reading(master, "follower", "status")) == {"certificates": [CERTIFICATE], "unsettled": []}
    assert shape(reading(master, "master", "plan")) == {"master": {"names": [DECISION], "forget": []}}
    plan = {"label": "str", "action": "str", "reason": "str", "deploy": [], "wait": {}}
    assert shape(reading(master, "follower", "plan")) == {"certificates": [plan]}
    listed = {"certificates": [CERTIFICATE], "not_in_configuration": []}
    assert shape(reading(master, "cert", "list")) == listed
    assert shape(reading(master, "cert", "show", "web")) == {"certificates": [CERTIFICATE | VIEW]}
    unknown = dict.fromkeys(("kid", "terms", "opens", "status"), "NoneType")
    account = ACCOUNT | unknown | {"contact": ["str"], "rollover_unfinished": "bool"}
    assert shape(reading(master, "account", "show")) == {"accounts": [account]}
    assert reading(master, "account", "show", "--live")["accounts"][0]["status"] == "valid"


def test_json_keeps_its_exit_status(master: Host) -> None:
    document = reading(master, "status", status=1)
    assert [name["authorized"] for name in document["master"]["names"]] == [False, False]
    assert document["master"]["names"][0]["expires"] is None
