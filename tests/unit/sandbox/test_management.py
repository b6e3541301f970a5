"""The knobs of a rehearsal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest

from acmectl.sandbox.server import Sandbox
from tests.servers.sandbox import running_sandbox
from tests.servers.sandbox_client import Answer, Client

_NAME = "a.example.com"


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    with running_sandbox(tmp_path, trust=True) as running:
        yield running


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[Client]:
    with Client(sandbox.directory_url, sandbox.ca_bundle) as client:
        client.register()
        yield client


def _turn(sandbox: Sandbox, client: Client, knob: str, **fields: Any) -> Answer:
    return client.send("POST", f"{sandbox.management_url}/{knob}", json.dumps(fields).encode())


def _show(sandbox: Sandbox, client: Client, knob: str) -> Any:
    return client.send("GET", f"{sandbox.management_url}/{knob}").json


def test_the_clock_is_moved_and_the_date_header_with_it(sandbox: Sandbox, client: Client) -> None:
    assert _turn(sandbox, client, "clock", advance="30d").status == 200
    shown = datetime.fromisoformat(_show(sandbox, client, "clock")["now"])
    assert abs(shown - datetime.now(UTC) - timedelta(days=30)) < timedelta(minutes=1)
    date = parsedate_to_datetime(client.send("GET", sandbox.directory_url).headers["Date"])
    assert abs(date - shown) < timedelta(minutes=1)


@pytest.mark.parametrize("moment", ["2027-02-10T00:00:00Z", "2027-02-10T01:00:00+01:00", "2027-02-10T00:00:00"])
def test_the_clock_is_set_and_the_rules_of_that_day_hold(sandbox: Sandbox, client: Client, moment: str) -> None:
    assert _turn(sandbox, client, "clock", set=moment).json["now"].startswith("2027-02-10T00:00:0")
    client.proven(_NAME)
    [(_, document)] = client.authorizations(client.new_order(_NAME)).values()
    left = datetime.fromisoformat(document["expires"]) - sandbox.clock.now()
    assert timedelta(days=9) < left <= timedelta(days=10)


def test_authorizations_are_taken_back(sandbox: Sandbox, client: Client) -> None:
    order = client.proven(_NAME)
    assert _turn(sandbox, client, "authorizations", names=[_NAME], status="revoked").json == {"changed": 1}
    assert client.post(order.location).json["status"] == "invalid"


def test_everything_is_forgotten(sandbox: Sandbox, client: Client) -> None:
    order = client.proven(_NAME)
    _turn(sandbox, client, "forget")
    assert client.post(order.location).status == 404
    assert client.post(client.kid).status == 200
    _turn(sandbox, client, "forget", accounts=True)
    assert client.post(client.kid).problem == "accountDoesNotExist"


def test_validations_of_a_name_fail_until_they_shall_not(sandbox: Sandbox, client: Client) -> None:
    _turn(sandbox, client, "validations", name=_NAME, fail="the network is down", type="connection")
    [(url, document)] = client.authorizations(client.new_order(_NAME)).values()
    client.post(client.challenge(document, "http-01")["url"], {})
    error = client.settled(url).json["challenges"][0]["error"]
    assert (error["detail"], error["type"].rpartition(":")[2]) == ("the network is down", "connection")
    _turn(sandbox, client, "validations", name=_NAME, fail=None)
    assert client.proven(_NAME).json["status"] == "ready"


def test_names_are_rejected_paused_and_forbidden_by_caa_until_they_are_not(sandbox: Sandbox, client: Client) -> None:
    _turn(sandbox, client, "reject", name=_NAME, reason="forbidden by policy")
    assert client.new_order(_NAME).problem == "rejectedIdentifier"
    _turn(sandbox, client, "reject", name=_NAME, reason=None)
    _turn(sandbox, client, "pause", name=_NAME, paused=True)
    paused = client.new_order(_NAME)
    assert (paused.problem, "Retry-After" in paused.headers) == ("rateLimited", False)
    _turn(sandbox, client, "pause", name=_NAME, paused=False)
    _turn(sandbox, client, "caa", name=_NAME, order="ready")
    order = client.proven(_NAME)
    assert client.finalize(order).problem == "caa"
    _turn(sandbox, client, "caa", name=_NAME, order=None)
    assert client.finalize(order).json["status"] == "valid"


def test_the_window_of_renewal_information_is_moved_and_explained(sandbox: Sandbox, client: Client) -> None:
    client.finalize(client.proven(_NAME))
    ((name, issued),) = sandbox.authority.state.store.by_ari_id.items()
    url = f"{client.directory['renewalInfo']}/{name}"
    usual = client.send("GET", url).json
    window = {"start": "2020-01-01T00:00:00Z", "end": "2020-01-02T00:00:00Z"}
    _turn(sandbox, client, "renewal", name=_NAME, url="https://ca.test/why", **window)
    assert client.send("GET", url).json == {"suggestedWindow": window, "explanationURL": "https://ca.test/why"}
    _turn(sandbox, client, "renewal", name=_NAME, start=None)
    assert client.send("GET", url).json == usual
    assert issued.names


def test_limits_are_changed_reset_and_switched_off(sandbox: Sandbox, client: Client) -> None:
    assert _show(sandbox, client, "limits")["failed_validations"] == {"count": 5, "per": "1h"}
    _turn(sandbox, client, "limits", new_orders={"count": 1, "per": "3h"})
    assert client.new_order(_NAME).status == 201
    assert client.new_order(_NAME).status == 429
    _turn(sandbox, client, "limits", reset=True)
    assert client.new_order(_NAME).status == 201
    assert _turn(sandbox, client, "limits", off=True).json == {"off": True}
    assert client.new_order(_NAME).status == 201
    assert _turn(sandbox, client, "limits", new_orders={"count": 2, "per": "1h"}).json["new_orders"]["count"] == 2


def test_counts_are_shown_and_reset(sandbox: Sandbox, client: Client) -> None:
    client.proven(_NAME)
    shown = _show(sandbox, client, "counts")
    assert shown["by_kind"]["challenge"] == 1
    assert shown["by_user_agent"]["tests"]["newOrder"] == 1
    _turn(sandbox, client, "counts")
    assert "challenge" not in _show(sandbox, client, "counts")["by_kind"]


def test_the_index_says_what_every_knob_takes(sandbox: Sandbox, client: Client) -> None:
    index = client.send("GET", sandbox.management_url).json
    for knob in index:
        answer = client.send("POST", f"{sandbox.management_url}/{knob}", b"{}")
        assert answer.status in {200, 400}, knob


@pytest.mark.parametrize(
    ("knob", "fields"),
    [
        ("clock", {}),
        ("clock", {"advance": "soon"}),
        ("clock", {"advance": 5}),
        ("clock", {"set": "tomorrow"}),
        ("clock", {"set": 5}),
        ("authorizations", {"names": [_NAME], "status": "valid"}),
        ("authorizations", {"names": _NAME, "status": "revoked"}),
        ("authorizations", {"names": [[]], "status": "revoked"}),
        ("authorizations", {"names": [_NAME]}),
        ("validations", {"name": _NAME}),
        ("validations", {"name": _NAME, "fail": "x", "type": "made up"}),
        ("reject", {"name": _NAME}),
        ("caa", {"name": _NAME, "order": "maybe"}),
        ("caa", {"name": _NAME, "order": []}),
        ("pause", {}),
        ("renewal", {"name": _NAME}),
        ("renewal", {"name": _NAME, "start": "2027-02-10T00:00:00Z"}),
        ("renewal", {"name": _NAME, "start": 5, "end": 6}),
        ("limits", {"unknown": {"count": 1, "per": "1h"}}),
        ("limits", {"new_orders": 5}),
        ("limits", {"new_orders": {"count": -1, "per": "1h"}}),
        ("limits", {"new_orders": {"count": 1, "per": "0s"}}),
    ],
)
def test_a_wrong_value_is_refused_with_what_is_accepted(
    sandbox: Sandbox, client: Client, knob: str, fields: dict[str, Any]
) -> None:
    answer = _turn(sandbox, client, knob, **fields)
    assert (answer.status, answer.problem) == (400, "malformed")
    assert "`" in answer.json["detail"]


def test_a_clock_can_not_be_moved_off_the_calendar(sandbox: Sandbox, client: Client) -> None:
    for _ in range(100):
        answer = _turn(sandbox, client, "clock", advance="36500d")
        if answer.status == 400:
            break
    assert answer.status == 400
    assert client.send("GET", sandbox.directory_url).status == 200


def test_what_is_no_json_or_no_knob_is_refused(sandbox: Sandbox, client: Client) -> None:
    for body in (b"nothing", b"[]"):
        assert client.send("POST", f"{sandbox.management_url}/clock", body).status == 400
    assert client.send("POST", f"{sandbox.management_url}/unknown", b"{}").status == 404
    assert client.send("GET", f"{sandbox.management_url}/forget").status == 404
