"""newOrder as Boulder answers it, under a clock that is moved."""

from __future__ import annotations

from datetime import timedelta

import pytest

from acmectl.model.orders import AuthorizationStatus, OrderStatus
from acmectl.sandbox.problems import Refused
from acmectl.sandbox.rules import Lifetimes
from tests.unit.sandbox.conftest import MakeDesk
from tests.unit.sandbox.desk import Desk

PENDING, READY, INVALID = OrderStatus.PENDING, OrderStatus.READY, OrderStatus.INVALID


def _refusal(desk: Desk, *names: str, profile: str = "classic") -> Refused:
    with pytest.raises(Refused) as caught:
        desk.order(*names, profile=profile)
    return caught.value


@pytest.mark.parametrize(
    ("profile", "reuse", "cutoff"), [("classic", "30d", "21h"), ("tlsserver", "7h", "1h"), ("shortlived", "7h", "1h")]
)
def test_a_valid_authorization_is_reused_until_the_cutoff_of_its_profile(
    desk: Desk, profile: str, reuse: str, cutoff: str
) -> None:
    first = desk.proven("a.example.com", profile=profile)
    proven = desk.parts(first)["a.example.com"]
    desk.wait(reuse)
    desk.state.clock.advance(-_duration(cutoff) - timedelta(seconds=1))
    assert desk.parts(desk.order("a.example.com", "b.example.com", profile=profile))["a.example.com"] is proven
    desk.wait("1s")
    assert desk.parts(desk.order("a.example.com", "c.example.com", profile=profile))["a.example.com"] is not proven


def _duration(text: str) -> timedelta:
    return timedelta(hours=int(text.removesuffix("h")))


def test_the_empty_profile_and_classic_are_different_strings(desk: Desk) -> None:
    desk.proven("a.example.com", profile="")
    assert desk.status(desk.order("a.example.com", profile="classic")) is PENDING


def test_without_a_profile_a_later_authorization_of_another_profile_hides_the_valid_one(desk: Desk) -> None:
    desk.proven("a.example.com", profile="")
    assert desk.status(desk.order("a.example.com", "a.example.com", profile="")) is READY
    desk.wait("1m")
    desk.proven("a.example.com", profile="classic")
    assert desk.parts(desk.order("a.example.com", "b.example.com", profile=""))["a.example.com"].status is (
        AuthorizationStatus.PENDING
    )


def test_without_a_profile_an_earlier_expiring_authorization_of_another_profile_hides_nothing(desk: Desk) -> None:
    desk.proven("a.example.com", profile="")
    desk.proven("a.example.com", profile="tlsserver")
    assert desk.parts(desk.order("a.example.com", "b.example.com", profile=""))["a.example.com"].status is (
        AuthorizationStatus.VALID
    )


@pytest.mark.parametrize("later", ["", "classic"])
def test_with_a_profile_a_later_authorization_of_another_profile_hides_nothing(desk: Desk, later: str) -> None:
    earlier = "tlsserver" if later else "classic"
    proven = desk.parts(desk.proven("a.example.com", profile=earlier))["a.example.com"]
    desk.wait("1m")
    desk.proven("a.example.com", profile=later)
    assert desk.parts(desk.order("a.example.com", "b.example.com", profile=earlier))["a.example.com"] is proven


def test_pending_authorizations_are_not_shared(desk: Desk) -> None:
    first, second = desk.order("a.example.com"), desk.order("a.example.com", "b.example.com")
    assert not set(first.authorization_ids) & set(second.authorization_ids)
    desk.prove(first)
    assert (desk.status(first), desk.status(second)) == (READY, PENDING)


def test_the_early_follower_is_trapped_for_seven_days_and_no_longer(desk: Desk) -> None:
    early = desk.order("a.example.com", "b.example.com")
    desk.proven("a.example.com", "b.example.com", "c.example.com")
    desk.wait("6d23h59m59s")
    assert desk.ordered("b.example.com", "a.example.com") == (early, PENDING)
    desk.wait("1s")
    free, status = desk.ordered("a.example.com", "b.example.com")
    assert free is not early
    assert status is READY


def test_the_early_follower_with_a_short_profile_is_trapped_for_an_hour(desk: Desk) -> None:
    early = desk.order("a.example.com", profile="tlsserver")
    desk.proven("a.example.com", "b.example.com", profile="tlsserver")
    desk.wait("59m59s")
    assert desk.order("a.example.com", profile="tlsserver") is early
    desk.wait("1s")
    assert desk.ordered("a.example.com", profile="tlsserver")[1] is READY


def test_one_deactivated_pending_authorization_releases_the_early_follower(desk: Desk) -> None:
    early = desk.order("a.example.com", "b.example.com")
    desk.proven("a.example.com", "b.example.com", "c.example.com")
    desk.deactivate(early, "b.example.com")
    assert desk.status(early) is INVALID
    assert desk.ordered("a.example.com", "b.example.com")[1] is READY


def test_an_invalid_order_that_expires_first_switches_reuse_off_until_it_expires(desk: Desk) -> None:
    early = desk.order("a.example.com")
    desk.deactivate(early, "a.example.com")
    desk.wait("1h")
    second = desk.order("a.example.com")
    assert second is not early
    assert desk.order("a.example.com") is not second
    desk.wait("6d23h")
    assert desk.order("a.example.com") is second, "the older pending ones come back"


def test_the_earliest_expiring_order_decides_also_when_it_is_anothers(desk: Desk) -> None:
    other = desk.account()
    desk.order("a.example.com", account=other)
    desk.wait("1m")
    ours = desk.order("a.example.com")
    assert desk.order("a.example.com") is not ours
    assert desk.parts(ours)["a.example.com"].account_id == desk.us.id


def test_the_earliest_expiring_order_decides_also_when_it_has_another_profile(desk: Desk) -> None:
    desk.order("a.example.com", profile="tlsserver")
    ours = desk.order("a.example.com")
    assert desk.order("a.example.com") is not ours
    desk.wait("1h")
    assert desk.order("a.example.com") is ours


def test_a_reused_order_has_no_cutoff(desk: Desk) -> None:
    desk.proven("a.example.com")
    desk.wait("29d1h")  # 23 h left: above the cutoff of 21 h
    late = desk.order("a.example.com")
    desk.wait("22h")
    assert desk.ordered("a.example.com") == (late, READY)
    assert desk.left(late) == timedelta(hours=1)


def test_a_finalized_order_is_not_handed_out_again(desk: Desk) -> None:
    order = desk.finalize(desk.proven("a.example.com"))
    again, status = desk.ordered("a.example.com")
    assert again is not order
    assert status is READY
    assert desk.order("a.example.com") is again, "the finalized one no longer stands in the way"


@pytest.mark.parametrize(
    ("age", "left"), [("0s", timedelta(days=7)), ("25d", timedelta(days=5)), ("29d", timedelta(days=1))]
)
def test_an_order_lives_no_longer_than_its_shortest_authorization(desk: Desk, age: str, left: timedelta) -> None:
    desk.proven("a.example.com")
    desk.wait(age)
    assert desk.left(desk.order("a.example.com", "b.example.com")) == left


def test_an_order_with_new_names_lives_no_longer_than_pending_authorizations(desk: Desk) -> None:
    assert desk.left(desk.order("a.example.com", profile="tlsserver")) == timedelta(hours=1)
    desk.prove(desk.order("b.example.com", profile="tlsserver"))
    assert desk.left(desk.order("b.example.com", "b.example.com", profile="tlsserver")) == timedelta(hours=1)
    desk.finalize(desk.order("b.example.com", profile="tlsserver"))
    assert desk.left(desk.order("b.example.com", profile="tlsserver")) == timedelta(hours=7)


def test_a_deactivated_valid_authorization_takes_all_unfinalized_orders_with_it(desk: Desk) -> None:
    master = desk.proven("a.example.com", "b.example.com")
    follower, done = desk.order("a.example.com"), desk.order("b.example.com", "c.example.com")
    desk.prove(done)
    desk.finalize(done)
    desk.deactivate(master, "a.example.com")
    desk.deactivate(master, "b.example.com")
    assert (desk.status(master), desk.status(follower), desk.status(done)) == (INVALID, INVALID, OrderStatus.VALID)
    assert desk.ordered("a.example.com")[1] is PENDING


def test_a_lagging_replica_shows_the_old_state_for_a_while(make_desk: MakeDesk) -> None:
    desk = make_desk(replica_lag=timedelta(seconds=5))
    order = desk.proven("a.example.com")
    desk.deactivate(order, "a.example.com")
    assert desk.ordered("a.example.com") == (order, READY)
    assert desk.status(order) is INVALID
    desk.wait("5s")
    fresh, status = desk.ordered("a.example.com")
    assert fresh is not order
    assert status is PENDING


def test_a_failed_name_leaves_its_siblings_provable_and_reusable(desk: Desk) -> None:
    order = desk.order("a.example.com", "b.example.com", "c.example.com")
    desk.fail(order, "b.example.com")
    assert desk.status(order) is INVALID
    desk.prove(order, "a.example.com", "c.example.com")
    assert desk.ordered("a.example.com", "c.example.com")[1] is READY


def test_an_authorization_of_another_account_is_of_no_use(desk: Desk) -> None:
    desk.proven("a.example.com")
    assert desk.ordered("a.example.com", account=desk.account())[1] is PENDING


def test_a_wildcard_and_its_base_are_two_and_only_dns_proves_the_wildcard(desk: Desk) -> None:
    parts = desk.parts(desk.order("*.example.com", "example.com"))
    assert [c.type for c in parts["*.example.com"].challenges] == ["dns-01"]
    assert [c.type for c in parts["example.com"].challenges] == ["dns-01", "http-01", "tls-alpn-01"]


def test_a_wildcard_is_refused_beside_a_name_that_it_covers(desk: Desk) -> None:
    refusal = _refusal(desk, "*.example.com", "a.example.com")
    assert (refusal.problem.type, refusal.problem.status) == ("malformed", 400)
    assert '"a.example.com" is redundant with a wildcard' in refusal.problem.detail
    desk.order("*.example.com", "example.com", "a.b.example.com")


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("bad_name.example.com", "invalid character"),
        ("example", "at least one dot"),
        ("a..example.com", "label"),
        ("-a.example.com", "label"),
        ("a" * 64 + ".example.com", "label"),
        ("a.*.example.com", "wildcard"),
        ("*.*.example.com", "wildcard"),
        ("*.", "is empty"),
        ("192.0.2.256", "IP address is invalid"),
        ("2001:db8:0::1", "canonical form"),
        ("*.192.0.2.1", "IP address"),
        ("host.local", "public suffix"),
        ("a." * 130 + "example.com", "253"),
    ],
)
def test_a_name_that_no_ca_takes_is_refused_with_a_reason(desk: Desk, name: str, fault: str) -> None:
    refusal = _refusal(desk, "good.example.com", name)
    assert refusal.problem.type == "rejectedIdentifier"
    assert refusal.problem.detail.startswith(f'Cannot issue for "{name}": ')
    assert fault in refusal.problem.detail
    assert not refusal.problem.subproblems


def test_addresses_are_ordered_under_the_short_profile_alone(desk: Desk) -> None:
    with pytest.raises(Refused, match='Profile "tlsserver" does not permit ip type identifiers'):
        desk.order("192.0.2.1", "a.example.com", profile="tlsserver")
    parts = desk.parts(desk.order("192.0.2.1", "2001:db8::1", "a.example.com", profile="shortlived"))
    assert {c.type for c in parts["192.0.2.1"].challenges} == {"http-01", "tls-alpn-01"}
    assert {c.type for c in parts["2001:db8::1"].challenges} == {"http-01", "tls-alpn-01"}
    assert "dns-01" in {c.type for c in parts["a.example.com"].challenges}


def test_several_refused_names_come_as_subproblems(desk: Desk) -> None:
    refusal = _refusal(desk, "good.example.com", "a.local", "b.invalid", "c_.example.com")
    assert [sub.identifier for sub in refusal.problem.subproblems] == ["a.local", "b.invalid", "c_.example.com"]
    assert "(and 2 more problems." in refusal.problem.detail


def test_a_name_can_be_rejected_on_request(desk: Desk) -> None:
    desk.state.injections.rejected["a.example.com"] = "forbidden by policy"
    assert _refusal(desk, "a.example.com", "b.example.com").problem.detail == (
        'Cannot issue for "a.example.com": forbidden by policy'
    )
    desk.order("b.example.com")


def test_an_unknown_profile_is_refused_with_the_known_ones(desk: Desk) -> None:
    refusal = _refusal(desk, "a.example.com", profile="fancy")
    assert refusal.problem.type == "invalidProfile"
    assert "classic, tlsserver, shortlived" in refusal.problem.detail


@pytest.mark.parametrize(("profile", "most"), [("classic", 100), ("tlsserver", 25)])
def test_a_profile_takes_so_many_names_and_no_more(desk: Desk, profile: str, most: int) -> None:
    names = [f"n{number}.example.com" for number in range(most + 1)]
    desk.order(*names[:most], profile=profile)
    assert f"more than {most} identifiers" in _refusal(desk, *names, profile=profile).problem.detail


def test_an_order_without_names_is_malformed(desk: Desk) -> None:
    assert _refusal(desk).problem.type == "malformed"


def test_lifetimes_follow_the_moved_clock(desk: Desk) -> None:
    desk.wait("300d")
    part = desk.parts(desk.proven("a.example.com"))["a.example.com"]
    assert part.expires_at - desk.now == timedelta(days=10)


def test_lifetimes_can_be_replaced(make_desk: MakeDesk) -> None:
    desk = make_desk(overrides={"classic": Lifetimes(reuse=timedelta(seconds=90))}, cutoff=timedelta(seconds=10))
    proven = desk.proven("a.example.com")
    desk.wait("79s")
    assert desk.ordered("a.example.com", "b.example.com")[0].authorization_ids[0] == proven.authorization_ids[0]
    desk.wait("1s")
    assert desk.ordered("a.example.com", "c.example.com")[0].authorization_ids[0] != proven.authorization_ids[0]


def test_pebble_reuses_no_order_and_knows_neither_cutoff_nor_profile(make_desk: MakeDesk) -> None:
    desk = make_desk("pebble", reuse_percent=100)
    proven = desk.proven("a.example.com", profile="anything")
    desk.wait("59m59s")
    again, status = desk.ordered("a.example.com")
    assert again is not proven
    assert status is READY
    assert desk.left(again) == timedelta(days=1)
    assert again.profile == ""


@pytest.mark.parametrize(("percent", "status"), [(0, PENDING), (100, READY)])
def test_pebble_reuses_with_the_given_probability(make_desk: MakeDesk, percent: int, status: OrderStatus) -> None:
    desk = make_desk("pebble", reuse_percent=percent)
    desk.proven("a.example.com")
    assert desk.ordered("a.example.com")[1] is status


def test_pebbles_order_outlives_its_authorizations_and_turns_invalid(make_desk: MakeDesk) -> None:
    desk = make_desk("pebble", reuse_percent=100)
    order = desk.proven("a.example.com")
    desk.wait("1h")
    assert desk.authority.issuing.find_order(desk.us, order.id) is order
    assert desk.status(order) is INVALID


def test_a_thousand_names_take_no_quadratic_time(make_desk: MakeDesk) -> None:
    desk = make_desk(limits=None)
    names = [f"n{number}.example.com" for number in range(1000)]
    for start in range(0, 1000, 100):
        desk.proven(*names[start : start + 100])
    for name in names:
        assert desk.ordered(name)[1] is READY
