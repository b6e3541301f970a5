"""The sandbox answers as a running Boulder answered: every recorded story, step by step, over HTTP with real dns-01.

`boulder-recorded.jsonl` holds a story a line. `T` is a random label; `O1`, `a1` name orders and authorizations, so what
must agree is which of them are the same.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.servers.sandbox import running_sandbox
from tests.servers.sandbox_client import URN, Answer, Client, ari_id
from tests.servers.sandbox_targets import Zone, running_name_server

_RECORDED = Path(__file__).with_name("boulder-recorded.jsonl")
_STORIES = [json.loads(line) for line in _RECORDED.read_text().splitlines()]


class Replay:
    """Plays one story, and tells what it saw in the recording's words."""

    def __init__(self, zone: Zone, clients: dict[str, Client]) -> None:
        self._zone = zone
        self._clients = clients
        self._label = f"t{secrets.token_hex(4)}"
        self._orders: dict[str, Answer] = {}
        self._ids: dict[str, str] = {}
        self._certificates: list[str] = []

    def play(self, step: dict[str, Any]) -> dict[str, Any]:
        client = self._clients["stranger" if step["actor"] == "stranger" else "ours"]
        acts = {
            "newOrder": self._new_order,
            "getOrder": self._get_order,
            "prove": self._prove,
            "answer unpublished challenge": self._answer_unpublished,
            "deactivate": self._deactivate,
            "finalize": self._finalize,
        }
        return acts[step["do"]](client, step)

    def name(self, text: str) -> str:
        return ".".join(self._label if label == "T" else label for label in text.split("."))

    def _recorded_name(self, name: str) -> str:
        return ".".join("T" if label == self._label else label for label in name.split("."))

    def _same(self, url: str, expected: str) -> str:
        """The recording's name for a URL: the expected one at first sight, unless another URL has it already."""
        if url not in self._ids and expected not in self._ids.values():
            self._ids[url] = expected
        return self._ids.get(url, f"new {url}")

    def _new_order(self, client: Client, step: dict[str, Any]) -> dict[str, Any]:
        more = {"replaces": self._certificates[int(step["replaces"][1:]) - 1]} if "replaces" in step else {}
        names = [self.name(name) for name in step["names"]]
        answer = client.new_order(*names, profile=step["profile"], **more)
        if answer.status == 201:
            self._orders.setdefault(step["answer"].get("order", ""), answer)
        return self._order(client, answer, step["answer"])

    def _get_order(self, client: Client, step: dict[str, Any]) -> dict[str, Any]:
        return self._order(client, client.post(self._orders[step["order"]].location), step["answer"])

    def _prove(self, client: Client, step: dict[str, Any]) -> dict[str, Any]:
        _, document = self._authorization(client, step)
        token = client.challenge(document, "dns-01")["token"]
        self._zone.publish(self.name(step["name"]), client.key_authorization(token))
        return self._answer(client, step)

    def _answer_unpublished(self, client: Client, step: dict[str, Any]) -> dict[str, Any]:
        self._zone.text[f"_acme-challenge.{self.name(step['name'])}"] = []
        return self._answer(client, step)

    def _answer(self, client: Client, step: dict[str, Any]) -> dict[str, Any]:
        url, document = self._authorization(client, step)
        answer = client.post(client.challenge(document, "dns-01")["url"], {})
        if answer.problem:
            return self._problem(answer)
        state = client.settled(url).json["status"]
        return {"status": answer.status, "authorization": {"id": self._id_of(url, step), "state": state}}

    def _deactivate(self, client: Client, step: dict[str, Any]) -> dict[str, Any]:
        url, _ = self._authorization(client, step)
        answer = client.post(url, {"status": "deactivated"})
        return {
            "status": answer.status,
            "authorization": {"id": self._id_of(url, step), "state": answer.json["status"]},
        }

    def _finalize(self, client: Client, step: dict[str, Any]) -> dict[str, Any]:
        answer = client.finalize(self._orders[step["order"]])
        if answer.problem:
            return self._problem(answer)
        done = client.settled(answer.location, while_in="processing")
        self._certificates.append(ari_id(client.chain(done)[0]))
        return {"status": answer.status, "state": done.json["status"], "certificate": "certificate" in done.json}

    def _authorization(self, client: Client, step: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        return client.authorizations(self._orders[step["order"]])[self.name(step["name"])]

    def _id_of(self, url: str, step: dict[str, Any]) -> str:
        return self._same(url, step["answer"]["authorization"]["id"])

    def _order(self, client: Client, answer: Answer, recorded: dict[str, Any]) -> dict[str, Any]:
        if answer.problem:
            return self._problem(answer)
        document = answer.json
        expires_at = datetime.fromisoformat(document["expires"])
        told: dict[str, Any] = {
            "status": answer.status,
            "order": self._same(answer.location, recorded.get("order", "")),
            "state": document["status"],
            "expires_in_h": round((expires_at - datetime.now(UTC)).total_seconds() / 3600),
            "authorizations": self._told_authorizations(client, answer, recorded),
        }
        return told | ({"profile": document["profile"]} if "profile" in document else {})

    def _told_authorizations(self, client: Client, answer: Answer, recorded: dict[str, Any]) -> dict[str, Any]:
        told: dict[str, Any] = {}
        for name, (url, document) in client.authorizations(answer).items():
            short = self._recorded_name(name)
            expected = recorded.get("authorizations", {}).get(short, {}).get("id", "")
            told[short] = {
                "id": self._same(url, expected),
                "state": document["status"],
                "challenges": sorted(f"{each['type']}:{each['status']}" for each in document["challenges"]),
            }
        return told

    def _problem(self, answer: Answer) -> dict[str, Any]:
        document = answer.json
        told: dict[str, Any] = {
            "type": answer.problem,
            "retry_after": "present" if "Retry-After" in answer.headers else "absent",
        }
        if subproblems := document.get("subproblems"):
            told["subproblems"] = [
                {"type": sub["type"].removeprefix(URN), "name": self._recorded_name(sub["identifier"]["value"])}
                for sub in subproblems
            ]
        return {"status": answer.status, "problem": told}


@pytest.fixture
def replay(tmp_path: Path) -> Iterator[Replay]:
    with ExitStack() as stack:
        zone = stack.enter_context(running_name_server())
        sandbox = stack.enter_context(running_sandbox(tmp_path, resolver=zone.server))
        clients = {
            name: stack.enter_context(Client(sandbox.directory_url, sandbox.ca_bundle)) for name in ("ours", "stranger")
        }
        for client in clients.values():
            assert client.register().status == 201
        yield Replay(zone, clients)


@pytest.mark.parametrize("story", _STORIES, ids=[story["story"] for story in _STORIES])
def test_the_sandbox_answers_as_boulder_did(replay: Replay, story: dict[str, Any]) -> None:
    for number, step in enumerate(story["steps"], start=1):
        told = replay.play(step)
        assert told == step["answer"], f"step {number}: {step['actor']} {step['do']}"


def test_all_stories_are_there() -> None:
    assert len(_STORIES) == 14
