"""What a refusal says to a person, by problem type."""

from __future__ import annotations

import pytest

from acmectl.ca import orders
from acmectl.ca.session import Session
from acmectl.errors import AccountKeyReplaced, CAProtocolError, CARefused, OrderNotReady, Problem
from acmectl.model.names import Identifier
from tests.servers.faults import FaultyCA, Reply, problem

NAMES = [Identifier("b.example.com"), Identifier("a.example.com")]
NEW_ORDER = "POST /new-order"


def refused(session: Session) -> CARefused:
    with pytest.raises(CARefused) as caught:
        orders.new_order(session, NAMES, profile="clasic")
    return caught.value


def test_a_refusal_says_what_was_refused_and_keeps_the_problem(ca: FaultyCA, session: Session) -> None:
    inner = {
        "type": "urn:ietf:params:acme:error:caa",
        "detail": "CAA forbids it",
        "identifier": {"type": "dns", "value": "b.example.com"},
    }
    ca.script(NEW_ORDER, problem(403, "rejectedIdentifier", "some are refused", subproblems=[inner]))

    error = refused(session)

    assert error.message == (
        "the CA refused the new order for a.example.com, b.example.com: "
        "some are refused (rejectedIdentifier); b.example.com: CAA forbids it (caa)"
    )
    assert error.problem == Problem(
        "rejectedIdentifier", "some are refused", 403, None, (Problem("caa", "CAA forbids it", 0, "b.example.com"),)
    )


@pytest.mark.parametrize(
    ("kind", "detail", "hint"),
    [
        ("invalidProfile", "", "`classic`, `shortlived`"),
        ("externalAccountRequired", "", "External Account Binding"),
        ("rejectedIdentifier", "", "out of the configuration"),
        ("unsupportedIdentifier", "", "out of the configuration"),
        ("caa", "", "accounturi"),
        ("badCSR", "", "`key`"),
        ("badPublicKey", "", "P-256"),
        ("badSignatureAlgorithm", "", "P-256"),
        ("invalidContact", "", "`contact`"),
        ("unsupportedContact", "", "`contact`"),
        ("accountDoesNotExist", "", "acmectl account"),
        ("unauthorized", 'Account is not valid, has status "deactivated"', "account register"),
    ],
)
def test_known_types_have_a_hint(ca: FaultyCA, session: Session, kind: str, detail: str, hint: str) -> None:
    ca.script(NEW_ORDER, problem(403, kind, detail))

    error = refused(session)

    assert error.problem.type == kind
    assert hint in str(error.hint)


def test_other_types_have_none(ca: FaultyCA, session: Session) -> None:
    ca.script(NEW_ORDER, problem(403, "unauthorized", "no"))

    assert refused(session).hint is None


def test_a_profile_where_none_is_offered_is_to_be_taken_out(ca: FaultyCA, session: Session) -> None:
    ca.script("GET /directory", Reply(body=ca.directory | {"meta": {}}))
    ca.script(NEW_ORDER, problem(400, "invalidProfile"))

    assert "take `profile` out" in str(refused(session).hint)


@pytest.mark.parametrize("where", ["link", "instance", "directory", "nowhere"])
def test_terms_that_changed_are_named_where_the_ca_says_so(ca: FaultyCA, session: Session, where: str) -> None:
    url = "https://ca.example/terms-2"
    headers = {"Link": f'<{url}>;rel="terms-of-service"'} if where == "link" else {}
    members = {"instance": url} if where == "instance" else {}
    meta = {"termsOfService": url} if where == "directory" else {}
    ca.script("GET /directory", Reply(body=ca.directory | {"meta": meta}))
    ca.script(NEW_ORDER, problem(403, "userActionRequired", "new terms", headers=headers, **members))

    hint = str(refused(session).hint)

    assert (f"`{url}`" in hint) == (where != "nowhere")


@pytest.mark.parametrize(
    ("kind", "error"), [("accountDoesNotExist", AccountKeyReplaced), ("orderNotReady", OrderNotReady)]
)
def test_types_that_callers_act_upon_have_a_class_of_their_own(
    ca: FaultyCA, session: Session, kind: str, error: type[CARefused]
) -> None:
    ca.script(NEW_ORDER, problem(400, kind))

    assert type(refused(session)) is error


def test_a_409_keeps_its_type(ca: FaultyCA, session: Session) -> None:
    ca.script(NEW_ORDER, problem(409, "alreadyReplaced", "a replacement exists"))

    error = refused(session)

    assert (error.problem.type, error.problem.status) == ("alreadyReplaced", 409)


def test_a_404_is_a_refusal_with_its_status_even_without_a_problem(ca: FaultyCA, session: Session) -> None:
    ca.script("POST /order/1", Reply(404, b"404 page not found", {"Content-Type": "text/plain"}))

    with pytest.raises(CARefused) as caught:
        orders.fetch_order(session, f"{ca.base}/order/1")

    assert caught.value.problem.status == 404


def test_a_page_instead_of_a_problem_points_at_what_stands_between(ca: FaultyCA, session: Session) -> None:
    ca.script(NEW_ORDER, Reply(403, b"<html>blocked</html>", {"Content-Type": "text/html"}))

    with pytest.raises(CAProtocolError) as caught:
        orders.new_order(session, NAMES, profile=None)

    assert "with a web page instead of a problem document" in caught.value.message
    assert "proxy" in str(caught.value.hint)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"type": 3, "detail": ["x"], "subproblems": "no", "identifier": 5},
        {"type": None, "subproblems": [3]},
        {"type": "urn:ietf:params:acme:error:malformed", "subproblems": [{"identifier": {"value": 1}}]},
    ],
)
def test_an_odd_problem_is_still_a_refusal(ca: FaultyCA, session: Session, body: object) -> None:
    ca.script(NEW_ORDER, Reply(400, body))

    assert refused(session).problem.status == 400


def test_words_of_a_ca_reach_a_terminal_without_its_control_characters(ca: FaultyCA, session: Session) -> None:
    ca.script(NEW_ORDER, problem(400, "malformed", "red \x1b[31m and\nmore" + "x" * 100_000))

    error = refused(session)

    assert "\x1b" not in error.message
    assert "\n" not in error.message
    assert len(error.message) < 3000


def test_many_names_are_counted_and_not_all_quoted(ca: FaultyCA, session: Session) -> None:
    ca.script(NEW_ORDER, problem(400, "malformed"))
    names = [Identifier(f"n{number:03}.example.com") for number in range(100)]

    with pytest.raises(CARefused) as caught:
        orders.new_order(session, names, profile=None)

    assert "n004.example.com and 95 more" in caught.value.message
