from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from acmectl.ca import orders
from acmectl.ca.session import Session
from acmectl.errors import CAError, CAProtocolError, CARefused
from acmectl.model.names import Identifier
from acmectl.model.orders import AuthorizationStatus, ChallengeStatus, Order, OrderStatus
from tests.servers.faults import FaultyCA, Reply, problem
from tests.unit.ca.conftest import FakeTime

A, WILDCARD = Identifier("a.example.com"), Identifier("*.a.example.com")
PENDING = frozenset({OrderStatus.PENDING})


def authorization(ca: FaultyCA, status: str = "pending", **members: object) -> dict[str, object]:
    challenge = {"type": "dns-01", "url": f"{ca.base}/challenge/1", "status": "pending", "token": "t0"}
    return {
        "status": status,
        "expires": "2030-01-01T00:00:00Z",
        "identifier": {"type": "dns", "value": "a.example.com"},
        "challenges": [challenge],
    } | members


def wait(session: Session, ca: FaultyCA, seconds: float = 30) -> Order:
    return orders.wait_for_order(session, f"{ca.base}/order/1", while_in=PENDING, timeout=timedelta(seconds=seconds))


def with_renewal_info(ca: FaultyCA) -> None:
    """The CA has ARI (RFC 9773)."""
    ca.script("GET /directory", Reply(body=ca.directory | {"renewalInfo": f"{ca.base}/renewal-info"}, nonce=""))


@pytest.mark.parametrize(
    ("profile", "replaces", "members"),
    [
        (None, None, {"identifiers"}),
        ("classic", None, {"identifiers", "profile"}),
        ("classic", "aki.serial", {"identifiers", "profile", "replaces"}),
    ],
)
def test_a_new_order_carries_what_was_asked_for_and_no_csr(
    ca: FaultyCA, session: Session, profile: str | None, replaces: str | None, members: set[str]
) -> None:
    with_renewal_info(ca)
    ca.script("POST /new-order", Reply(201, ca.order(profile=profile), {"Location": f"{ca.base}/order/1"}))

    order = orders.new_order(session, [WILDCARD, A], profile=profile, replaces=replaces)

    [request] = ca.asked("POST /new-order")
    assert set(request.payload) == members
    assert [i["value"] for i in request.payload["identifiers"]] == ["*.a.example.com", "a.example.com"]
    assert request.payload.get("replaces") == replaces
    assert request.protected["kid"] == f"{ca.base}/account/1"
    assert order == Order(
        url=f"{ca.base}/order/1",
        status=OrderStatus.PENDING,
        identifiers=frozenset({A}),
        authorization_urls=(f"{ca.base}/authorization/1",),
        finalize_url=f"{ca.base}/finalize/1",
        expires_at=datetime(2030, 1, 1, tzinfo=UTC),
        profile=profile,
    )
    assert session.requests == {"directory": 1, "newNonce": 1, "newOrder": 1}


def test_a_ca_without_renewal_information_is_not_told_what_an_order_replaces(ca: FaultyCA, session: Session) -> None:
    ca.script("POST /new-order", Reply(201, ca.order(), {"Location": f"{ca.base}/order/1"}))

    orders.new_order(session, [A], profile=None, replaces="aki.serial")

    assert [set(request.payload) for request in ca.asked("POST /new-order")] == [{"identifiers"}]


@pytest.mark.parametrize(
    "refusal",
    [
        problem(409, "alreadyReplaced", "cannot indicate an order replaces certificate with serial 1"),
        problem(409, "conflict"),
        problem(404, "malformed", "Could not validate ARI 'replaces' field :: certificate not found"),
        problem(403, "unauthorized", "Could not validate ARI 'replaces' field :: requester account did not request it"),
    ],
    ids=["already replaced", "a conflict without type", "forgotten", "another account's"],
)
def test_an_order_refused_for_what_it_replaces_is_sent_once_without(
    ca: FaultyCA, session: Session, refusal: Reply
) -> None:
    with_renewal_info(ca)
    ca.script("POST /new-order", refusal, Reply(201, ca.order(), {"Location": f"{ca.base}/order/1"}))

    order = orders.new_order(session, [A], profile=None, replaces="aki.serial")

    sent = [request.payload.get("replaces") for request in ca.asked("POST /new-order")]
    assert sent == ["aki.serial", None]
    assert order.url == f"{ca.base}/order/1"


@pytest.mark.parametrize("refusals", [1, 2])
def test_an_order_refused_for_another_reason_is_not_sent_again(ca: FaultyCA, session: Session, refusals: int) -> None:
    with_renewal_info(ca)
    already = [problem(409, "alreadyReplaced")] * (refusals - 1)
    ca.script("POST /new-order", *already, problem(400, "rejectedIdentifier", "no certificates for a.example.com"))

    with pytest.raises(CARefused, match="rejectedIdentifier"):
        orders.new_order(session, [A], profile=None, replaces="aki.serial")

    assert len(ca.asked("POST /new-order")) == refusals


def test_a_new_order_without_its_location_is_a_protocol_error(ca: FaultyCA, session: Session) -> None:
    ca.script("POST /new-order", Reply(201, ca.order()))

    with pytest.raises(CAProtocolError, match="`Location`"):
        orders.new_order(session, [A], profile=None)


def test_a_session_without_an_account_says_how_to_get_one(session: Session) -> None:
    session.account_url = None

    with pytest.raises(CAError) as caught:
        orders.new_order(session, [A], profile=None)

    assert "account register" in str(caught.value.hint)
    assert session.requests == {"directory": 1}


@pytest.mark.parametrize("status", ["deactivated", "expired", "revoked"])
def test_an_order_state_that_is_none_reads_as_invalid(ca: FaultyCA, session: Session, status: str) -> None:
    ca.script("POST /order/1", Reply(body=ca.order(status)))

    assert orders.fetch_order(session, f"{ca.base}/order/1").status is OrderStatus.INVALID


def test_the_error_of_an_order_is_kept(ca: FaultyCA, session: Session) -> None:
    error = {"type": "urn:ietf:params:acme:error:caa", "detail": "CAA said no"}
    ca.script("POST /order/1", Reply(body=ca.order("invalid", error=error)))

    order = orders.fetch_order(session, f"{ca.base}/order/1")

    assert order.error is not None
    assert (order.error.type, order.error.detail) == ("caa", "CAA said no")


@pytest.mark.parametrize("error", ["text", [], 3, {}])
def test_an_odd_error_does_not_hide_the_state(ca: FaultyCA, session: Session, error: object) -> None:
    ca.script("POST /order/1", Reply(body=ca.order("invalid", error=error)))

    order = orders.fetch_order(session, f"{ca.base}/order/1")

    assert (order.status, order.error) == (OrderStatus.INVALID, None)


@pytest.mark.parametrize("status", list(AuthorizationStatus))
def test_every_state_of_an_authorization_is_read(ca: FaultyCA, session: Session, status: AuthorizationStatus) -> None:
    ca.script("POST /authorization/1", Reply(body=authorization(ca, status.value)))

    assert orders.fetch_authorization(session, f"{ca.base}/authorization/1").status is status


def test_a_wildcard_gets_its_star_back(ca: FaultyCA, session: Session) -> None:
    ca.script("POST /authorization/1", Reply(body=authorization(ca, wildcard=True)))

    assert orders.fetch_authorization(session, f"{ca.base}/authorization/1").identifier == WILDCARD


def test_challenges_of_unknown_types_and_with_odd_errors_are_read(ca: FaultyCA, session: Session) -> None:
    url = f"{ca.base}/challenge/2"
    unknown = {"type": "dns-persist-01", "url": url, "status": "valid", "validated": "2026-05-01T12:00:00.123456789Z"}
    failed = {"type": "http-01", "url": url, "status": "invalid", "token": "x", "error": {"identifier": {"type": "z"}}}
    ca.script("POST /authorization/1", Reply(body=authorization(ca, "valid", challenges=[unknown, failed])))

    found = orders.fetch_authorization(session, f"{ca.base}/authorization/1")

    assert [c.type for c in found.challenges] == ["dns-persist-01", "http-01"]
    assert found.challenges[0].token == ""
    assert found.challenges[1].status is ChallengeStatus.INVALID
    assert found.validated_at == datetime(2026, 5, 1, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.mark.parametrize("token", ["../../etc/passwd", "a/b", "a b", "a\nb", "t\u00f6ken", "."])
def test_a_token_that_could_name_another_file_is_a_protocol_error(ca: FaultyCA, session: Session, token: str) -> None:
    odd = {"type": "http-01", "url": f"{ca.base}/challenge/2", "status": "pending", "token": token}
    ca.script("POST /authorization/1", Reply(body=authorization(ca, challenges=[odd])))

    with pytest.raises(CAProtocolError, match=r"`challenges\[0\]\.token`"):
        orders.fetch_authorization(session, f"{ca.base}/authorization/1")


def test_a_deactivation_asks_for_it(ca: FaultyCA, session: Session) -> None:
    ca.script("POST /authorization/1", Reply(body=authorization(ca, "deactivated")))

    found = orders.deactivate_authorization(session, f"{ca.base}/authorization/1")

    assert found.status is AuthorizationStatus.DEACTIVATED
    assert ca.asked("POST /authorization/1")[0].payload == {"status": "deactivated"}
    assert session.requests["deactivate"] == 1


def test_waiting_ends_when_the_state_does(ca: FaultyCA, session: Session, time: FakeTime) -> None:
    pending = Reply(body=ca.order())
    ca.script("POST /order/1", pending, pending, Reply(body=ca.order("ready")))

    assert wait(session, ca).status is OrderStatus.READY
    assert time.pauses == pytest.approx([0.5, 0.75])
    assert session.requests["order"] == 3
    assert all(r.payload is None for r in ca.asked("POST /order/1"))


def test_waiting_obeys_retry_after_in_both_forms(ca: FaultyCA, session: Session, time: FakeTime) -> None:
    seconds = Reply(body=ca.order(), headers={"Retry-After": "3"})
    date = {"Retry-After": "Sat, 01 May 2027 12:00:09 GMT", "Date": "Sat, 01 May 2027 12:00:00 GMT"}
    ca.script("POST /order/1", seconds, Reply(body=ca.order(), headers=date), Reply(body=ca.order("ready")))

    wait(session, ca)

    assert time.pauses == [3, 9]


def test_waiting_returns_the_last_state_after_its_time_limit(ca: FaultyCA, session: Session, time: FakeTime) -> None:
    ca.script("POST /order/1", Reply(body=ca.order()))

    assert wait(session, ca, 10).status is OrderStatus.PENDING
    assert sum(time.pauses) == pytest.approx(10)


def test_waiting_does_not_outlast_its_limit_for_a_long_retry_after(
    ca: FaultyCA, session: Session, time: FakeTime
) -> None:
    ca.script("POST /order/1", Reply(body=ca.order(), headers={"Retry-After": "600"}))

    assert wait(session, ca, 10).status is OrderStatus.PENDING
    assert time.pauses == []


def test_retry_after_zero_does_not_spin(ca: FaultyCA, session: Session, time: FakeTime) -> None:
    ca.script("POST /order/1", Reply(body=ca.order(), headers={"Retry-After": "0"}))

    wait(session, ca, 5)

    assert len(time.pauses) == 20


def test_an_authorization_is_waited_for_while_it_is_pending(ca: FaultyCA, session: Session, time: FakeTime) -> None:
    ca.script("POST /authorization/1", Reply(body=authorization(ca)), Reply(body=authorization(ca, "invalid")))

    found = orders.wait_for_authorization(session, f"{ca.base}/authorization/1", timeout=timedelta(seconds=10))

    assert found.status is AuthorizationStatus.INVALID
    assert time.pauses == [0.5]


@pytest.mark.parametrize(
    ("member", "value", "said"),
    [
        ("status", None, "`status` is missing"),
        ("status", "baked", "`status` is no state that RFC 8555 knows: `baked`"),
        ("identifiers", None, "`identifiers` is missing"),
        ("identifiers", ["a"], "`identifiers[0]` is a text instead of an object"),
        ("identifiers", [{"type": "dns"}], "`identifiers[0].value` is missing"),
        ("authorizations", {}, "`authorizations` is an object instead of a list"),
        ("authorizations", ["x"], "`authorizations` has an entry that is no URL"),
        ("finalize", None, "`finalize` is missing"),
        ("finalize", "file:///etc/passwd", "`finalize` is no URL"),
        ("certificate", "x", "`certificate` is no URL"),
        ("expires", "tomorrow", "`expires` is no moment (RFC 3339): `tomorrow`"),
        ("expires", "2030-01-01T00:00:00", "`expires` has no time zone"),
        ("expires", "0001-01-01T00:00:00+14:00", "`expires` is no moment"),
    ],
)
def test_an_odd_member_is_named_with_its_url(
    ca: FaultyCA, session: Session, member: str, value: object, said: str
) -> None:
    ca.script("POST /order/1", Reply(body=ca.order() | {member: value}))

    with pytest.raises(CAProtocolError) as caught:
        orders.fetch_order(session, f"{ca.base}/order/1")

    assert said in caught.value.message
    assert f"`{ca.base}/order/1`" in caught.value.message
