"""What becomes of an order that turns invalid after finalize: refused, or lost to another host; what is replaced is named once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from acmectl import keys
from acmectl.ca.session import Session
from acmectl.errors import CARefused
from acmectl.follower.issuing import RACE_PAUSES, Issuer, LostRace
from acmectl.model.certificates import CertificateSpec, KeyType
from acmectl.model.names import Identifier
from acmectl.storage.state import StateDirectory
from tests.servers.faults import FaultyCA, Reply, problem, running_faults

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
SPEC = CertificateSpec("mail", frozenset({Identifier("a.example.com")}), "default", "classic")


@pytest.fixture
def ca() -> Iterator[FaultyCA]:
    with running_faults() as server:
        yield server


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateDirectory]:
    state = StateDirectory(tmp_path / "state")
    state.create()
    yield state
    state.close()


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def issuer(ca: FaultyCA, state: StateDirectory, pauses: list[float]) -> Iterator[Issuer]:
    key = keys.generate(KeyType.ECDSA_P256)
    with Session(
        ca.directory_url, key=key, account_url=f"{ca.base}/account/1", pauses=lambda _: None, now=lambda: NOW
    ) as session:
        yield Issuer(
            SPEC,
            session=session,
            certificates=state.certificates,
            memory=state.memory,
            clock=lambda: NOW,
            pause=pauses.append,
            directory_url=ca.directory_url,
            grace=timedelta(minutes=15),
        )


def invalid(ca: FaultyCA, kind: str, detail: str) -> None:
    """Every order is born ready, and is invalid when it is looked at after finalize: Boulder issues asynchronously."""
    ca.script("POST /new-order", Reply(201, ca.order("ready"), {"Location": f"{ca.base}/order/1"}))
    ca.script("POST /finalize/1", Reply(200, ca.order("processing")))
    error = {"type": f"urn:ietf:params:acme:error:{kind}", "detail": detail, "status": 403}
    ca.script("POST /order/1", Reply(200, ca.order("invalid", error=error)))


def drafts(state: StateDirectory) -> list[str]:
    return [path.name for path in (state.path / "certificates" / "mail").iterdir()]


def test_a_refusal_that_shows_in_the_order_is_told_and_not_tried_again(
    ca: FaultyCA, issuer: Issuer, state: StateDirectory, pauses: list[float]
) -> None:
    invalid(ca, "caa", "CAA record for a.example.com prevents issuance")
    with pytest.raises(CARefused, match=r"the finalization of the order for a\.example\.com") as refused:
        issuer.issue()
    assert "a.example.com. CAA 0 issue" in (refused.value.hint or "")
    assert len(ca.asked("POST /finalize/1")) == 1
    assert (drafts(state), state.memory.follower_order("mail"), pauses) == ([], None, [])


def test_an_order_that_another_host_spoiled_is_made_anew_twice_after_a_pause(
    ca: FaultyCA, issuer: Issuer, state: StateDirectory, pauses: list[float]
) -> None:
    invalid(ca, "serverInternal", "Error finalizing order")
    with pytest.raises(LostRace, match="the order is `invalid` after finalization"):
        issuer.issue()
    assert len(ca.asked("POST /finalize/1")) == 1 + len(RACE_PAUSES)
    assert len(pauses) == len(RACE_PAUSES)
    assert all(least <= pause <= most for pause, (least, most) in zip(pauses, RACE_PAUSES, strict=True))
    assert (drafts(state), state.memory.follower_order("mail")) == ([], None)


def test_each_fresh_order_gets_a_new_key(ca: FaultyCA, issuer: Issuer) -> None:
    invalid(ca, "serverInternal", "Error finalizing order")
    with pytest.raises(LostRace):
        issuer.issue()
    sent = {request.payload["csr"] for request in ca.asked("POST /finalize/1")}
    assert len(sent) == 1 + len(RACE_PAUSES)


def test_an_order_that_is_not_ready_any_more_is_looked_at(ca: FaultyCA, issuer: Issuer) -> None:
    invalid(ca, "serverInternal", "Unable to set order processing")
    ca.script("POST /finalize/1", problem(403, "orderNotReady", "Order's status is not acceptable for finalization"))
    with pytest.raises(LostRace):
        issuer.issue()
    assert len(ca.asked("POST /new-order")) == 1 + len(RACE_PAUSES)
