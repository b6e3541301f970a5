"""Let's Encrypt's limits: what counts, what they say, and what they let through."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from acmectl.model.names import Identifier
from acmectl.model.orders import OrderStatus
from acmectl.policy.ca_rules import Limit, Limits
from acmectl.sandbox.limits import registered_domain
from acmectl.sandbox.objects import Account
from acmectl.sandbox.problems import Refused
from tests.unit.sandbox.conftest import MakeDesk
from tests.unit.sandbox.desk import Desk


def _denied(desk: Desk, *names: str, replaces: str | None = None, account: Account | None = None) -> Refused:
    with pytest.raises(Refused) as caught:
        desk.order(*names, replaces=replaces, account=account)
    assert (caught.value.problem.type, caught.value.problem.status) == ("rateLimited", 429)
    return caught.value


def _exhaust(desk: Desk, name: str) -> None:
    for attempt in range(5):
        order = desk.order(name, "other.example.com")
        desk.fail(order, name) if attempt % 2 else desk.deactivate(order, name)


@pytest.mark.parametrize(
    ("address", "counted"), [("192.0.2.1", "192.0.2.1/32"), ("2001:db8:0:1:2::3", "2001:db8:0:1::/64")]
)
def test_certificates_for_addresses_are_counted_by_network(address: str, counted: str) -> None:
    assert registered_domain(Identifier(address)) == counted


def test_five_failures_and_pending_deactivations_exhaust_a_name_for_the_whole_account(desk: Desk) -> None:
    _exhaust(desk, "a.example.com")
    refusal = _denied(desk, "a.example.com", "c.example.com")
    assert refusal.problem.detail.startswith(
        'too many failed authorizations (5) for "a.example.com" in the last 1h0m0s, '
        "retry after 2026-08-01 12:12:00 UTC: see https://letsencrypt.org/docs/rate-limits/"
    )
    assert refusal.retry_after == timedelta(minutes=12)
    assert not refusal.problem.subproblems
    desk.order("c.example.com", "d.example.com")
    desk.order("a.example.com", account=desk.account())


def test_failures_come_back_one_every_twelve_minutes(desk: Desk) -> None:
    _exhaust(desk, "a.example.com")
    desk.wait("11m59s")
    _denied(desk, "a.example.com")
    desk.wait("1s")
    desk.deactivate(desk.order("a.example.com"), "a.example.com")
    _denied(desk, "a.example.com")


def test_deactivating_a_valid_authorization_costs_nothing(desk: Desk) -> None:
    for _ in range(10):
        desk.deactivate(desk.proven("a.example.com"), "a.example.com")
    desk.order("a.example.com")


def test_three_hundred_orders_in_three_hours_reused_ones_counted_too(desk: Desk) -> None:
    first = desk.order("a.example.com")
    for _ in range(299):
        assert desk.order("a.example.com") is first
    refusal = _denied(desk, "a.example.com")
    assert refusal.problem.detail.startswith("too many new orders (300) from this account in the last 3h0m0s, retry")
    assert refusal.retry_after == timedelta(seconds=36)
    desk.order("a.example.com", account=desk.account())
    desk.wait("36s")
    desk.order("a.example.com")


def test_fifty_certificates_for_a_registered_domain_and_then_not_even_a_master_may_order(make_desk: MakeDesk) -> None:
    desk = make_desk(limits=Limits(certificates_per_domain=Limit(3, timedelta(days=7))))
    for number in range(3):
        desk.finalize(desk.proven(f"n{number}.example.co.uk"))
    valid = desk.proven("a.example.com")
    desk.deactivate(valid, "a.example.com")
    refusal = _denied(desk, "a.example.co.uk", account=desk.account())
    assert refusal.problem.detail.startswith(
        'too many certificates (3) already issued for "example.co.uk" in the last 168h0m0s, retry after '
    )
    assert desk.ordered("n1.example.co.uk")[1] is OrderStatus.READY, "a renewal of the same set is exempt"


def test_five_certificates_for_the_exact_set_unless_they_replace_another(desk: Desk) -> None:
    for _ in range(5):
        order = desk.order("a.example.com", "b.example.com")
        desk.prove(order)
        desk.finalize(order)
    refusal = _denied(desk, "b.example.com", "a.example.com")
    assert "too many certificates (5) already issued for this exact set of identifiers" in refusal.problem.detail
    newest = list(desk.state.store.certificates.values())[-1]
    assert desk.ordered("a.example.com", "b.example.com", replaces=newest.ari_id)[1] is OrderStatus.READY
    desk.order("a.example.com", "c.example.com")


def test_a_paused_name_is_refused_without_a_time_to_come_back(desk: Desk) -> None:
    desk.state.injections.paused.add("a.example.com")
    refusal = _denied(desk, "a.example.com", "b.example.com")
    assert refusal.retry_after is None
    assert "temporarily prevented from requesting certificates for a.example.com" in refusal.problem.detail
    assert "unpause" in refusal.problem.detail


def test_without_limits_nothing_is_counted(make_desk: MakeDesk) -> None:
    desk = make_desk(limits=None)
    for _ in range(20):
        desk.fail(desk.order("a.example.com", "b.example.com"), "a.example.com")
    desk.order("a.example.com")


def test_a_limit_of_none_at_all_denies_at_once(make_desk: MakeDesk) -> None:
    limits = replace(Limits(), failed_validations=Limit(0, timedelta(minutes=5)))
    desk = make_desk(limits=limits)
    assert "in the last 5m0s" in _denied(desk, "a.example.com").problem.detail


def test_reset_forgets_what_was_counted(desk: Desk) -> None:
    _exhaust(desk, "a.example.com")
    desk.state.limits.reset()
    desk.order("a.example.com")


@pytest.mark.parametrize(
    ("name", "domain"),
    [
        ("example.com", "example.com"),
        ("*.example.com", "example.com"),
        ("a.b.example.com", "example.com"),
        ("a.example.co.uk", "example.co.uk"),
        ("a.co.uk", "a.co.uk"),
        ("co.uk", "co.uk"),
    ],
)
def test_a_registered_domain_is_what_a_person_bought(name: str, domain: str) -> None:
    assert registered_domain(Identifier(name)) == domain
