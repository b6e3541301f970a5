"""What a follower does next with the order it holds: one row a state, RFC 8555 section 7.1.6 and how CAs differ from it.

A follower never answers a challenge. So an order that is born `pending` stays so, on Boulder even after all its names
were validated through other orders, and newOrder hands this same dead order out for up to seven days. The way out
is to deactivate one of its pending authorizations ("release"); the next newOrder is then born from what is valid. It costs one
failed validation of that name, a budget that all hosts of the account share: so only after a grace period, only when newOrder
really returned the same URL, after the first day at most once a day, and no name twice in an hour, whichever
of the host's certificates it is for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import assert_never

from acmectl.errors import Problem
from acmectl.model.certificates import CertificateSpec
from acmectl.model.memory import Release, RememberedOrder
from acmectl.model.orders import Authorization, AuthorizationStatus, Order, OrderStatus

FIRST_LOOK = timedelta(minutes=1)
LONGEST_LOOK = timedelta(hours=1)

_FIRST_PAUSE = timedelta(seconds=5)
_LONGEST_PAUSE = timedelta(minutes=10)
_SHARE = (
    timedelta(hours=3) / 100
)  # of the 300 newOrders in three hours (Let's Encrypt) that master and followers share: a third

FAILURES_COUNT_FOR = timedelta(hours=1)
"""For so long a release counts against its name (Boulder: five failed validations per name, account and hour)."""

_DAY = timedelta(days=1)

_REFUSALS = frozenset(
    {
        "badCSR",
        "badPublicKey",
        "caa",
        "compound",
        "rateLimited",
        "rejectedIdentifier",
        "unauthorized",
        "unsupportedIdentifier",
        "userActionRequired",
    }
)


class Step(StrEnum):
    """What comes next."""

    ORDER = "order"
    RESUME = "resume"
    FORGET = "forget"
    WAIT = "wait"
    RELEASE = "release"
    FINALIZE = "finalize"
    POLL = "poll"
    DOWNLOAD = "download"
    REORDER = "reorder"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do with a pending order, and why; `releasable` are the authorizations of which one is to be deactivated."""

    step: Step
    reason: str
    releasable: tuple[Authorization, ...] = ()


def first_step(remembered: RememberedOrder | None, spec: CertificateSpec) -> Step:
    """Before any request: resume an order that was (about to be) finalized, drop it when it is not wanted any more."""
    if remembered is None:
        return Step.ORDER
    if (remembered.names, remembered.account, remembered.profile) != (spec.names, spec.account, spec.profile):
        return Step.FORGET
    return Step.ORDER if remembered.draft is None else Step.RESUME


def after_answer(order: Order, *, finalized: bool) -> Step:
    """What an order's state asks for; `finalized` says whether this host may have sent the finalize request."""
    match order.status:
        case OrderStatus.PENDING:
            return Step.WAIT
        case OrderStatus.READY:
            return Step.FINALIZE
        case OrderStatus.PROCESSING:
            return Step.POLL if finalized else Step.REORDER
        case OrderStatus.VALID:
            return Step.DOWNLOAD if finalized else Step.REORDER
        case OrderStatus.INVALID:
            return Step.REORDER
        case unreachable:
            assert_never(unreachable)


def is_refusal(error: Problem | None) -> bool:
    """Whether an order that turned invalid after finalize was refused, so that a fresh one would be as well.

    A lost race says otherwise: Boulder ends the order with `serverInternal`, other CAs without any error.
    """
    return error is not None and error.type in _REFUSALS


def while_pending(
    order: Order,
    authorizations: Sequence[Authorization],
    remembered: RememberedOrder | None,
    releases: Sequence[Release],
    *,
    now: datetime,
    grace: timedelta,
    of_account: Sequence[Release] = (),
) -> Verdict:
    """Wait, or give the stuck order up. `remembered` is what was known of `order` before newOrder handed it out.

    `releases` are those for this certificate, `of_account` the latest of this host for the order's account, for any. One whose
    authorization is still pending never came about: it was noted, and the run was killed before the CA heard of it.
    """
    still = {a.url for a in authorizations if a.status is AuthorizationStatus.PENDING}
    releases = [r for r in releases if r.authorization_url not in still]
    of_account = [r for r in of_account if r.authorization_url not in still]
    if too_early := _too_early(order, remembered, releases, now, grace):
        return Verdict(Step.WAIT, too_early)
    pending = tuple(a for a in authorizations if a.status is AuthorizationStatus.PENDING)
    if any(a.is_processing for a in pending):
        return Verdict(Step.WAIT, "the CA is validating a name of it right now")
    if not pending:
        return Verdict(Step.WAIT, "all its authorizations are decided")
    spent = {r.identifier.base for r in of_account if r.identifier and abs(now - r.at) < FAILURES_COUNT_FOR}
    releasable = tuple(a for a in pending if a.identifier.base not in spent)
    if not releasable:
        return Verdict(Step.WAIT, "its pending names were all released within the last hour")
    return Verdict(Step.RELEASE, "the CA hands out the same pending order again", releasable)


def next_look(remembered: RememberedOrder, releases: Sequence[Release], *, now: datetime, grace: timedelta) -> datetime:
    """When it is worth asking the CA again for an order that was pending when it was asked at `now`.

    Each newOrder counts against a limit that all hosts of the account share, so the pause is as long as the certificate has waited:
    it doubles from one minute up to an hour. It never goes beyond the moment at which the order may be given up.
    """
    since = remembered.waiting_since or remembered.first_seen_at
    look_at = now + min(max(now - since, FIRST_LOOK), LONGEST_LOOK)
    given_up_at = (remembered.first_pending_at or now) + grace
    if releases and given_up_at - since >= _DAY:
        given_up_at = max(given_up_at, releases[-1].at + _DAY)
    return min(look_at, given_up_at) if given_up_at >= now else look_at


def pause_while_waiting(looks: int, sets: int) -> timedelta:
    """How long `--wait` pauses after it looked `looks` times again, when so many sets of names are ordered at each look.

    It doubles from five seconds to ten minutes, so that a person soon sees what the master did. More sets are asked for less often: the limit
    on new orders is the account's, and one host that waits for hours must leave most of it to its master.
    """
    first = max(_FIRST_PAUSE, sets**2 * timedelta(seconds=1))
    return min(first * (1 << min(looks, 10)), max(_LONGEST_PAUSE, sets * _SHARE))


def may_look(remembered: RememberedOrder, now: datetime) -> bool:
    """Whether it is time to ask again; a moment farther away than any pause comes of a clock that jumped."""
    at = remembered.next_look_at
    return at is None or not now < at <= now + LONGEST_LOOK


def _too_early(
    order: Order, remembered: RememberedOrder | None, releases: Sequence[Release], now: datetime, grace: timedelta
) -> str | None:
    """Why an order may still be on its way, or a release before it."""
    if remembered is None or remembered.url != order.url or remembered.first_pending_at is None:
        return "first seen"
    if now - remembered.first_pending_at < grace:
        return "within the grace period"
    if _released_enough(remembered, releases, now, grace):
        return "another was released a short while ago"
    return None


def _released_enough(remembered: RememberedOrder, releases: Sequence[Release], now: datetime, grace: timedelta) -> bool:
    since = remembered.waiting_since or remembered.first_seen_at
    pause = _DAY if now - since >= _DAY else grace
    return any(now - release.at < pause for release in releases)
