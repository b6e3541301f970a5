"""What a follower does with its order: a row for each state, and when a stuck one is given up."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from acmectl.errors import Problem
from acmectl.model.certificates import CertificateSpec
from acmectl.model.memory import Release, RememberedOrder
from acmectl.model.names import Identifier
from acmectl.model.orders import Authorization, AuthorizationStatus, Challenge, ChallengeStatus, Order, OrderStatus
from acmectl.policy import order_flow
from acmectl.policy.order_flow import Step

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
GRACE = timedelta(minutes=15)
A, B = Identifier("a.test"), Identifier("b.test")
SPEC = CertificateSpec("mail", frozenset({A, B}), "default", "classic")
URL = "https://ca.test/order/1"
HELD = RememberedOrder("mail", URL, "default", "classic", SPEC.names, NOW, first_pending_at=NOW, waiting_since=NOW)


def order(status: OrderStatus, url: str = URL) -> Order:
    return Order(url, status, SPEC.names, (), "https://ca.test/finalize/1")


def authorization(name: Identifier, status: str = "pending", challenge: str = "pending") -> Authorization:
    challenges = (Challenge("dns-01", "c", "t", ChallengeStatus(challenge)),)
    return Authorization(f"https://ca.test/{name}", name, AuthorizationStatus(status), None, challenges)


def test_without_a_remembered_order_a_new_one_is_asked_for() -> None:
    assert order_flow.first_step(None, SPEC) is Step.ORDER
    assert order_flow.first_step(HELD, SPEC) is Step.ORDER


def test_an_order_that_was_about_to_be_finalized_is_resumed() -> None:
    assert order_flow.first_step(replace(HELD, draft=7), SPEC) is Step.RESUME


@pytest.mark.parametrize(
    "spec",
    [replace(SPEC, names=frozenset({A})), replace(SPEC, profile="tlsserver"), replace(SPEC, account="mail")],
)
def test_an_order_that_the_configuration_does_not_want_any_more_is_forgotten(spec: CertificateSpec) -> None:
    assert order_flow.first_step(replace(HELD, draft=7), spec) is Step.FORGET


@pytest.mark.parametrize(
    ("status", "mine", "others"),
    [
        ("pending", Step.WAIT, Step.WAIT),
        ("ready", Step.FINALIZE, Step.FINALIZE),
        ("processing", Step.POLL, Step.REORDER),
        ("valid", Step.DOWNLOAD, Step.REORDER),
        ("invalid", Step.REORDER, Step.REORDER),
    ],
)
def test_every_state_of_an_order_has_one_next_step(status: str, mine: Step, others: Step) -> None:
    assert order_flow.after_answer(order(OrderStatus(status)), finalized=True) is mine
    assert order_flow.after_answer(order(OrderStatus(status)), finalized=False) is others


def verdict(
    *authorizations: Authorization,
    held: RememberedOrder | None = HELD,
    releases: tuple[Release, ...] = (),
    after: timedelta = GRACE,
    url: str = URL,
    of_account: tuple[Release, ...] = (),
) -> order_flow.Verdict:
    listed = authorizations or (authorization(A), authorization(B))
    pending = order(OrderStatus.PENDING, url)
    return order_flow.while_pending(
        pending, listed, held, releases, now=NOW + after, grace=GRACE, of_account=of_account
    )


def test_the_same_pending_order_after_the_grace_period_is_released() -> None:
    decided = verdict(authorization(A, "valid", "valid"), authorization(B))
    assert decided.step is Step.RELEASE
    assert [a.identifier for a in decided.releasable] == [B]


@pytest.mark.parametrize(
    ("why", "given"),
    [
        ("first seen", {"held": None}),
        ("first seen", {"url": "https://ca.test/order/2"}),
        ("first seen", {"held": replace(HELD, first_pending_at=None)}),
        ("within the grace period", {"after": GRACE - timedelta(seconds=1)}),
    ],
)
def test_a_pending_order_is_left_alone_until_it_is_certainly_stuck(why: str, given: dict[str, object]) -> None:
    decided = verdict(**given)  # type: ignore[arg-type]
    assert (decided.step, decided.reason) == (Step.WAIT, why)


def test_an_order_that_a_master_is_proving_right_now_is_left_alone() -> None:
    assert verdict(authorization(A, challenge="processing"), authorization(B)).step is Step.WAIT


def test_an_order_without_pending_authorizations_has_nothing_to_release() -> None:
    assert verdict(authorization(A, "valid", "valid"), authorization(B, "invalid", "invalid")).step is Step.WAIT


def test_after_the_first_day_an_order_is_released_at_most_once_a_day() -> None:
    day = timedelta(days=1)
    recently = (Release("mail", "old", "authz", NOW + timedelta(hours=20)),)
    assert verdict(releases=recently, after=day).step is Step.WAIT
    assert verdict(releases=recently, after=timedelta(hours=44)).step is Step.RELEASE
    assert verdict(releases=recently, after=timedelta(hours=23)).step is Step.RELEASE
    assert verdict(held=replace(HELD, waiting_since=None), releases=recently, after=day).step is Step.WAIT


def test_on_the_first_day_two_releases_are_a_grace_period_apart() -> None:
    """The CA may hand out another old order right after a release, and all hosts of the account share its limit."""
    released = (Release("mail", "old", "authz", NOW + GRACE),)
    assert verdict(releases=released, after=2 * GRACE - timedelta(seconds=1)).step is Step.WAIT
    assert verdict(releases=released, after=2 * GRACE).step is Step.RELEASE


def sibling(name: Identifier | None, at: datetime) -> Release:
    """A release for another certificate of the same host."""
    return Release("xmpp", "other", "authz", at, "default", name)


def test_a_name_is_released_once_an_hour_whichever_certificate_it_is_for() -> None:
    """All hosts of the account share five failed validations per name and hour."""
    hour = timedelta(hours=1)
    just_now = sibling(A, NOW + GRACE)
    assert [a.identifier for a in verdict(of_account=(just_now,)).releasable] == [B]
    both = verdict(of_account=(just_now, sibling(B, NOW)))
    assert (both.step, both.reason) == (Step.WAIT, "its pending names were all released within the last hour")
    later = verdict(of_account=(just_now, sibling(B, NOW)), after=GRACE + hour)
    assert [a.identifier for a in later.releasable] == [A, B]
    assert verdict(of_account=(sibling(A, NOW + 2 * hour), sibling(B, NOW + 2 * hour))).step is Step.RELEASE, "a clock"
    assert verdict(of_account=(sibling(None, NOW),)).step is Step.RELEASE, "an older acmectl did not say which"


def test_a_wildcard_and_its_base_name_are_one_name_for_the_limit() -> None:
    wildcard = authorization(Identifier("*.a.test"))
    assert verdict(wildcard, of_account=(sibling(A, NOW),)).step is Step.WAIT


def look_after(waited: timedelta, *, grace: timedelta = timedelta(days=30), **changes: Any) -> timedelta:
    """How long after the CA was asked it is asked again, by a certificate that waits so long."""
    now = NOW + waited
    releases = changes.pop("releases", ())
    return order_flow.next_look(replace(HELD, **changes), releases, now=now, grace=grace) - now


def test_the_ca_is_asked_again_after_pauses_that_double_up_to_an_hour() -> None:
    looks, waited = [], timedelta()
    for _ in range(9):
        looks.append(look_after(waited) // timedelta(minutes=1))
        waited += look_after(waited)
    assert looks == [1, 1, 2, 4, 8, 16, 32, 60, 60]
    assert look_after(timedelta(minutes=5), waiting_since=None) == timedelta(minutes=5)


def test_the_next_look_is_not_later_than_the_moment_at_which_the_order_may_be_given_up() -> None:
    assert look_after(timedelta(minutes=10), grace=GRACE) == timedelta(minutes=5)
    assert look_after(timedelta(), grace=timedelta()) == timedelta()
    assert look_after(GRACE, grace=GRACE) == timedelta()
    assert look_after(2 * GRACE, grace=GRACE) == 2 * GRACE, "it was not given up at its time, for a reason"
    assert look_after(timedelta(minutes=10), grace=GRACE, first_pending_at=None) == timedelta(minutes=10)


def test_after_the_first_day_the_next_look_is_at_the_daily_release() -> None:
    now = timedelta(hours=30)
    recently = (Release("mail", "old", "authz", NOW + timedelta(hours=6, minutes=20)),)
    assert look_after(now, grace=GRACE, first_pending_at=NOW + now, releases=recently) == timedelta(minutes=20)
    long_ago = (Release("mail", "old", "authz", NOW),)
    assert look_after(now, grace=GRACE, first_pending_at=NOW + now, releases=long_ago) == GRACE


def test_the_ca_is_not_asked_before_the_next_look_unless_a_clock_jumped() -> None:
    at = NOW + timedelta(minutes=4)
    held = replace(HELD, next_look_at=at)
    assert order_flow.may_look(HELD, NOW)
    assert not order_flow.may_look(held, NOW)
    assert order_flow.may_look(held, at)
    assert order_flow.may_look(held, NOW - timedelta(days=1))


def looks_while_waiting(sets: int) -> list[timedelta]:
    """When all of so many sets of names are ordered in a day of `--wait`, from its beginning."""
    moments = [timedelta()]
    while moments[-1] < timedelta(days=1):
        moments.append(moments[-1] + order_flow.pause_while_waiting(len(moments) - 1, sets))
    return moments


def test_a_person_who_waits_for_one_certificate_soon_sees_that_it_may_be_issued() -> None:
    pauses = [order_flow.pause_while_waiting(looks, 1).total_seconds() for looks in (0, 1, 2, 6, 7, 5_000)]
    assert pauses == [5, 10, 20, 320, 600, 600]


@pytest.mark.parametrize("sets", [1, 2, 4, 8, 14, 20, 30, 50, 100, 200])
def test_whoever_waits_leaves_a_third_of_the_new_orders_to_the_others(sets: int) -> None:
    """300 in three hours for the whole account at Let's Encrypt: of the master too, which they all wait for."""
    looks, window = looks_while_waiting(sets), timedelta(hours=3)
    assert max(sum(at <= look < at + window for look in looks) for at in looks) * sets <= 200


@pytest.mark.parametrize(
    ("error", "refused"),
    [
        (None, False),
        (Problem("serverInternal", "Error finalizing order"), False),
        (Problem("caa", "CAA record for a.test prevents issuance"), True),
        (Problem("rejectedIdentifier", "no"), True),
        (Problem("badCSR", "no"), True),
    ],
)
def test_an_order_invalid_after_finalize_was_refused_or_lost_to_another_host(
    error: Problem | None, *, refused: bool
) -> None:
    assert order_flow.is_refusal(error) is refused


def test_a_release_that_never_reached_the_ca_is_none() -> None:
    """The run was killed between the note and the request: the authorization is still pending, and nothing was spent."""
    noted = replace(sibling(A, NOW + GRACE), authorization_url=authorization(A).url)
    assert [a.identifier for a in verdict(of_account=(noted,)).releasable] == [A, B]
    day = timedelta(days=1)
    own = replace(noted, label="mail", at=NOW + day)
    assert verdict(releases=(own,), after=day).step is Step.RELEASE
    assert verdict(releases=(replace(own, authorization_url="other"),), after=day).step is Step.WAIT
