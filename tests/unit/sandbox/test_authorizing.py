"""Authorizations after their order was made."""

from __future__ import annotations

from datetime import timedelta

import pytest

from acmectl.errors import Problem
from acmectl.model.orders import AuthorizationStatus, ChallengeStatus, OrderStatus
from acmectl.sandbox.problems import Refused
from tests.unit.sandbox.conftest import MakeDesk
from tests.unit.sandbox.desk import Desk

_PROBLEM = Problem("unauthorized", "not what was expected", 403)


def test_a_validated_authorization_lives_for_the_reuse_period_and_shows_one_challenge(desk: Desk) -> None:
    part = desk.parts(desk.proven("a.example.com"))["a.example.com"]
    assert part.expires_at - desk.now == timedelta(days=30)
    assert [(c.type, c.status, c.validated_at) for c in part.challenges] == [
        ("dns-01", ChallengeStatus.VALID, desk.now)
    ]


def test_a_failed_authorization_says_why(desk: Desk) -> None:
    order = desk.order("a.example.com")
    desk.fail(order, "a.example.com")
    part = desk.parts(order)["a.example.com"]
    assert part.status is AuthorizationStatus.INVALID
    assert part.challenges[0].error == _PROBLEM


def test_an_answer_to_a_deactivated_authorization_is_refused_in_boulders_words(desk: Desk) -> None:
    order = desk.order("a.example.com")
    part = desk.deactivate(order, "a.example.com")
    with pytest.raises(Refused, match="authorization must be pending") as caught:
        desk.authority.authorizing.begin(desk.us, part.id, "http-01")
    assert (caught.value.problem.type, caught.value.problem.status) == ("malformed", 400)


def test_an_answer_to_a_failed_authorization_is_refused(desk: Desk) -> None:
    order = desk.order("a.example.com")
    desk.fail(order, "a.example.com")
    with pytest.raises(Refused, match="authorization must be pending"):
        desk.authority.authorizing.begin(desk.us, desk.parts(order)["a.example.com"].id, "dns-01")


def test_an_answer_to_a_valid_authorization_starts_nothing(desk: Desk) -> None:
    part = desk.parts(desk.proven("a.example.com"))["a.example.com"]
    assert desk.authority.authorizing.begin(desk.us, part.id, "dns-01")[2] is False


def test_a_second_answer_while_the_first_is_judged_starts_nothing(desk: Desk) -> None:
    part = desk.parts(desk.order("a.example.com"))["a.example.com"]
    _, challenge, starts = desk.authority.authorizing.begin(desk.us, part.id, "http-01")
    assert starts
    assert challenge.status is ChallengeStatus.PROCESSING
    assert desk.authority.authorizing.begin(desk.us, part.id, "http-01")[2] is False


@pytest.mark.parametrize("problem", [None, _PROBLEM])
def test_what_was_deactivated_while_it_was_judged_stays_deactivated(desk: Desk, problem: Problem | None) -> None:
    order = desk.order("a.example.com")
    part = desk.parts(order)["a.example.com"]
    _, challenge, _ = desk.authority.authorizing.begin(desk.us, part.id, "http-01")
    desk.deactivate(order, "a.example.com")
    desk.authority.authorizing.settle(part, challenge, problem)
    assert part.status is AuthorizationStatus.DEACTIVATED
    assert desk.ordered("a.example.com")[1] is OrderStatus.PENDING


def test_deactivating_twice_is_no_error(desk: Desk) -> None:
    order = desk.proven("a.example.com")
    assert desk.deactivate(order, "a.example.com") is desk.deactivate(order, "a.example.com")


def test_a_failed_authorization_cannot_be_deactivated(desk: Desk) -> None:
    order = desk.order("a.example.com")
    desk.fail(order, "a.example.com")
    with pytest.raises(Refused, match="cannot be deactivated"):
        desk.deactivate(order, "a.example.com")


def test_expired_orders_and_authorizations_are_not_found(desk: Desk) -> None:
    order = desk.order("a.example.com")
    part = desk.parts(order)["a.example.com"]
    desk.wait("7d")
    for look in (
        lambda: desk.authority.authorizing.find(desk.us, part.id),
        lambda: desk.authority.issuing.find_order(desk.us, order.id),
    ):
        with pytest.raises(Refused) as caught:
            look()
        assert (caught.value.problem.type, caught.value.problem.status) == ("malformed", 404)


def test_pebble_shows_an_expired_authorization(make_desk: MakeDesk) -> None:
    desk = make_desk("pebble")
    part = desk.parts(desk.order("a.example.com"))["a.example.com"]
    desk.wait("1h")
    assert desk.authority.authorizing.find(desk.us, part.id) is part
    assert desk.state.authorization_status(part, desk.now) is AuthorizationStatus.EXPIRED


def test_anothers_authorization_and_order_are_out_of_reach(desk: Desk) -> None:
    order, stranger = desk.order("a.example.com"), desk.account()
    with pytest.raises(Refused) as caught:
        desk.authority.authorizing.find(stranger, order.authorization_ids[0])
    assert caught.value.problem.status == 403
    with pytest.raises(Refused) as caught:
        desk.authority.issuing.find_order(stranger, order.id)
    assert caught.value.problem.status == 404


def test_an_unknown_authorization_or_challenge_is_not_found(desk: Desk) -> None:
    order = desk.order("*.example.com")
    with pytest.raises(Refused, match="No such authorization"):
        desk.authority.authorizing.find(desk.us, 1)
    with pytest.raises(Refused, match="No such challenge"):
        desk.authority.authorizing.find_challenge(desk.us, order.authorization_ids[0], "http-01")


@pytest.mark.parametrize(
    ("status", "shown"),
    [
        (AuthorizationStatus.REVOKED, AuthorizationStatus.REVOKED),
        (AuthorizationStatus.EXPIRED, AuthorizationStatus.EXPIRED),
    ],
)
def test_a_ca_can_take_authorizations_back(desk: Desk, status: AuthorizationStatus, shown: AuthorizationStatus) -> None:
    order = desk.proven("a.example.com", "b.example.com")
    assert desk.authority.set_status(["a.example.com", "unknown.example.com"], status) == 1
    assert desk.state.authorization_status(desk.parts(order)["a.example.com"], desk.now) is shown
    assert desk.status(order) is OrderStatus.INVALID
    assert desk.ordered("b.example.com")[1] is OrderStatus.READY
    assert desk.ordered("a.example.com")[1] is OrderStatus.PENDING


@pytest.mark.parametrize("accounts", [False, True])
def test_a_ca_can_forget_everything(desk: Desk, *, accounts: bool) -> None:
    order = desk.proven("a.example.com")
    desk.authority.forget(accounts=accounts)
    with pytest.raises(Refused, match="No order found"):
        desk.authority.issuing.find_order(desk.us, order.id)
    assert (desk.authority.accounts.by_key(desk.us.thumbprint) is None) is accounts
    assert desk.ordered("a.example.com")[1] is OrderStatus.PENDING
