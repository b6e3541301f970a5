"""Which record the DNS admin is asked for, when CAA stands in the way of a follower."""

from __future__ import annotations

import pytest

from acmectl.ca import caa, issuing
from acmectl.ca.directory import Directory
from acmectl.ca.session import Session
from acmectl.errors import CARefused, Problem
from acmectl.model.names import Identifier
from acmectl.model.orders import Order, OrderStatus
from tests.servers.faults import FaultyCA, Reply, problem

A, B, WILDCARD = Identifier("a.test"), Identifier("b.test"), Identifier("*.b.test")
NAMES = [A, B, WILDCARD]
DIRECTORY = Directory("https://ca.test/d", None, None, False, {}, {}, ("ca.test", "old.ca.test"))
ACCOUNT = "https://ca.test/acct/1"


@pytest.mark.parametrize(
    ("refusal", "records"),
    [
        (Problem("caa", "CAA record for a.test prevents issuance"), ['a.test. CAA 0 issue "ca.test; accounturi=']),
        (
            Problem("caa", "Rechecking CAA", subproblems=(Problem("caa", "no", identifier="*.b.test"),)),
            ['b.test. CAA 0 issuewild "ca.test; accounturi='],
        ),
        (
            Problem("caa", "no"),
            ["a.test. CAA 0 issue ", "b.test. CAA 0 issue ", "b.test. CAA 0 issuewild "],
        ),
    ],
    ids=["named in the detail", "named by a subproblem", "not named"],
)
def test_the_record_for_each_refused_name_is_written_out(refusal: Problem, records: list[str]) -> None:
    words = caa.hint(refusal, NAMES, DIRECTORY, ACCOUNT)
    assert words.count(" CAA 0 ") == len(records)
    assert all(record in words for record in records)
    assert f"accounturi={ACCOUNT}" in words
    assert "`validationmethods`" in words


def test_of_many_names_three_are_written_out() -> None:
    many = [Identifier(f"n{n}.test") for n in range(9)]
    words = caa.hint(Problem("caa", "no"), many, DIRECTORY, None)
    assert words.count(" CAA 0 issue ") == 3
    assert "and the same for 6 more" in words
    assert "accounturi" not in words


def ready(ca: FaultyCA) -> Order:
    return Order(f"{ca.base}/order/1", OrderStatus.READY, frozenset({A}), (), f"{ca.base}/finalize/1")


@pytest.mark.parametrize("identities", [["ca.test"], "nonsense", None])
def test_finalize_refused_for_caa_says_what_to_ask_for(ca: FaultyCA, session: Session, identities: object) -> None:
    meta = {"caaIdentities": identities}
    ca.script("GET /directory", Reply(body={**ca.directory, "meta": meta}, nonce=""))
    ca.script("POST /finalize/1", problem(403, "caa", "CAA record for a.test prevents issuance"))

    with pytest.raises(CARefused, match=r"finalization of the order for a\.test: CAA record for a\.test") as refused:
        issuing.finalize(session, ready(ca), b"csr")

    issuer = "ca.test" if identities == ["ca.test"] else "NAME-OF-THE-CA"
    assert f'`a.test. CAA 0 issue "{issuer}; accounturi={ca.base}/account/1"`' in (refused.value.hint or "")


def test_an_order_that_turned_invalid_says_why(ca: FaultyCA, session: Session) -> None:
    failed = Order(
        f"{ca.base}/order/1",
        OrderStatus.INVALID,
        frozenset({A}),
        (),
        f"{ca.base}/finalize/1",
        error=Problem("caa", "CAA record for a.test prevents issuance"),
    )
    refusal = issuing.refused(session, failed)
    assert "a.test. CAA 0 issue" in (refusal.hint or "")
    assert "the finalization of the order for a.test" in refusal.message
