"""Finalizations and answers to challenges whose reply was lost: looked at, never repeated blindly."""

from __future__ import annotations

from datetime import timedelta

import pytest

from acmectl.ca.issuing import finalize
from acmectl.ca.orders import fetch_order, wait_for_order
from acmectl.ca.proving import answer, key_authorization
from acmectl.ca.session import Session
from acmectl.errors import CAError, CARefused, CAUnreachable, OrderNotReady
from acmectl.model.names import Identifier
from acmectl.model.orders import Challenge, ChallengeStatus, Order, OrderStatus
from tests.servers.faults import FaultyCA, Reply, problem
from tests.unit.ca.conftest import FakeTime

ORDER, FINALIZE, CHALLENGE = "POST /order/1", "POST /finalize/1", "POST /challenge/1"
LOST = Reply(cut="head")


def ready_order(ca: FaultyCA, session: Session) -> Order:
    ca.script(ORDER, Reply(body=ca.order("ready")))
    order = fetch_order(session, f"{ca.base}/order/1")
    ca.requests.clear()
    return order


def challenge(ca: FaultyCA, status: str = "pending") -> Reply:
    return Reply(body={"type": "dns-01", "url": f"{ca.base}/challenge/1", "status": status, "token": "t0"})


def a_challenge(ca: FaultyCA) -> Challenge:
    return Challenge("dns-01", f"{ca.base}/challenge/1", "t0", ChallengeStatus.PENDING)


def test_a_finalization_carries_the_csr(ca: FaultyCA, session: Session) -> None:
    order = ready_order(ca, session)
    ca.script(FINALIZE, Reply(body=ca.order("processing")))

    assert finalize(session, order, b"\x30\x01\xff").status is OrderStatus.PROCESSING
    assert ca.asked(FINALIZE)[0].payload == {"csr": "MAH_"}


@pytest.mark.parametrize("lost", [LOST, problem(500, "serverInternal"), Reply(503, b"")], ids=["cut", "500", "503"])
def test_a_finalization_that_arrived_is_not_sent_again(
    ca: FaultyCA, session: Session, time: FakeTime, lost: Reply
) -> None:
    order = ready_order(ca, session)
    ca.script(FINALIZE, lost)
    ca.script(ORDER, Reply(body=ca.order("valid", certificate=f"{ca.base}/certificate/1")))

    assert finalize(session, order, b"csr").status is OrderStatus.VALID
    assert len(ca.asked(FINALIZE)) == 1
    assert time.pauses == []


def test_a_finalization_that_did_not_arrive_is_sent_again(ca: FaultyCA, session: Session, time: FakeTime) -> None:
    order = ready_order(ca, session)
    ca.script(FINALIZE, LOST, Reply(body=ca.order("processing")))

    assert finalize(session, order, b"csr").status is OrderStatus.PROCESSING
    assert [r.path for r in ca.requests if r.method == "POST"] == ["/finalize/1", "/order/1", "/finalize/1"]
    assert time.pauses == [1]


def test_a_second_finalization_that_is_refused_is_the_first_one_at_work(ca: FaultyCA, session: Session) -> None:
    order = ready_order(ca, session)
    ca.script(FINALIZE, LOST, problem(403, "orderNotReady"))
    ca.script(ORDER, Reply(body=ca.order("ready")), Reply(body=ca.order("processing")))

    assert finalize(session, order, b"csr").status is OrderStatus.PROCESSING


def test_a_first_finalization_that_is_refused_is_refused(ca: FaultyCA, session: Session) -> None:
    order = ready_order(ca, session)
    ca.script(FINALIZE, problem(403, "orderNotReady", "too early"))

    with pytest.raises(OrderNotReady) as caught:
        finalize(session, order, b"csr")

    assert caught.value.message == (
        "the CA refused the finalization of the order for a.example.com: too early (orderNotReady)"
    )
    assert len(ca.requests) == 1


def test_a_finalization_is_given_up_when_patience_is_used_up(ca: FaultyCA, session: Session, time: FakeTime) -> None:
    order = ready_order(ca, session)
    ca.script(FINALIZE, problem(500, "serverInternal"))

    with pytest.raises(CAUnreachable):
        finalize(session, order, b"csr")

    assert time.pauses == [1, 2, 4, 8]
    assert len(ca.asked(FINALIZE)) == 5


def test_a_finalization_that_is_to_be_tried_in_an_hour_is_given_up(
    ca: FaultyCA, session: Session, time: FakeTime
) -> None:
    order = ready_order(ca, session)
    ca.script(FINALIZE, Reply(503, b"", {"Retry-After": "3600"}))

    with pytest.raises(CAUnreachable):
        finalize(session, order, b"csr")

    assert time.pauses == []


def test_a_look_waits_as_long_as_the_finalization_asked(ca: FaultyCA, session: Session, time: FakeTime) -> None:
    order = ready_order(ca, session)
    ca.script(FINALIZE, Reply(body=ca.order("processing"), headers={"Retry-After": "3"}))
    ca.script(ORDER, Reply(body=ca.order("valid", certificate=f"{ca.base}/certificate/1")))
    finalize(session, order, b"csr")

    wait_for_order(session, order.url, while_in=frozenset({OrderStatus.PROCESSING}), timeout=timedelta(seconds=30))

    assert time.pauses == pytest.approx([3])


def test_an_answer_is_an_empty_object_and_not_a_post_as_get(ca: FaultyCA, session: Session) -> None:
    ca.script(CHALLENGE, challenge(ca, "processing"))

    assert answer(session, a_challenge(ca)).status is ChallengeStatus.PROCESSING
    assert ca.asked(CHALLENGE)[0].payload == {}


def test_an_answer_that_arrived_is_not_given_again(ca: FaultyCA, session: Session) -> None:
    ca.script(CHALLENGE, LOST, challenge(ca, "invalid"))

    assert answer(session, a_challenge(ca)).status is ChallengeStatus.INVALID
    assert [r.payload for r in ca.asked(CHALLENGE)] == [{}, None]


def test_an_answer_that_did_not_arrive_is_given_again(ca: FaultyCA, session: Session) -> None:
    ca.script(CHALLENGE, LOST, challenge(ca), challenge(ca, "processing"))

    assert answer(session, a_challenge(ca)).status is ChallengeStatus.PROCESSING
    assert [r.payload for r in ca.asked(CHALLENGE)] == [{}, None, {}]


def test_an_answer_that_is_refused_names_the_identifier(ca: FaultyCA, session: Session) -> None:
    ca.script(CHALLENGE, problem(400, "malformed", "authorization must be pending"))

    with pytest.raises(CARefused) as caught:
        answer(session, a_challenge(ca), identifier=Identifier("a.example.com"))

    assert "the CA refused the dns-01 challenge answer for a.example.com: " in caught.value.message


def test_a_key_authorization_is_token_and_thumbprint(ca: FaultyCA, session: Session) -> None:
    assert key_authorization(session, a_challenge(ca)) == f"t0.{session.account_key.thumbprint}"


def test_a_session_without_a_key_has_no_key_authorization(ca: FaultyCA) -> None:
    with Session(ca.directory_url) as keyless, pytest.raises(CAError, match="no account key"):
        key_authorization(keyless, a_challenge(ca))
