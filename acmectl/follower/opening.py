"""From newOrder to an order that is ready, or to what it waits for; a stuck one is given up as `order_flow` says.

The order's URL is remembered before anything else is done with it. An order is always asked for by newOrder: looking at a
pending one never helps, because on Boulder it stays so although all its names were authorized since.
"""

from __future__ import annotations

import logging
import random
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from acmectl.ca import orders
from acmectl.follower.outcomes import Waiting
from acmectl.model.memory import Release, RememberedOrder
from acmectl.model.orders import Authorization, AuthorizationStatus, Order, OrderStatus
from acmectl.policy import order_flow
from acmectl.policy.order_flow import Step

if TYPE_CHECKING:
    from acmectl.follower.commission import Commission

log = logging.getLogger(__name__)

REPLICA_PAUSES = (2.0, 4.0, 8.0)  # Boulder answers from replicas that lag behind a deactivation


def open_order(commission: Commission) -> Order | Waiting:
    """An order that is not pending, or what it waits for. Raises CAError, StorageError."""
    held, asked_at = commission.order(), commission.clock()
    order, before = _new_order(commission, held)
    if order.status is not OrderStatus.PENDING:
        return order
    authorizations = _authorizations(commission, order)
    if all(a.status is AuthorizationStatus.VALID for a in authorizations):  # by now, or once asked (acme2certifier)
        order = orders.fetch_order(commission.session, order.url)
        if order.status is not OrderStatus.PENDING:
            return order
    verdict = order_flow.while_pending(
        order,
        authorizations,
        before,
        commission.memory.releases(commission.spec.label),
        now=commission.clock(),
        grace=commission.grace,
        of_account=commission.memory.releases_since(
            commission.spec.account, commission.clock() - order_flow.FAILURES_COUNT_FOR
        ),
    )
    log.info("%s: the order is pending: %s", commission.spec.title, verdict.reason)
    if verdict.step is Step.RELEASE:
        return _release(commission, order, verdict.releasable)
    waiting = _waiting(commission, authorizations, asked_at)
    if before is None or before.url != order.url or before.first_pending_at is None:
        return waiting
    return replace(waiting, given_up_at=before.first_pending_at + commission.grace)


def _new_order(commission: Commission, before: RememberedOrder | None) -> tuple[Order, RememberedOrder | None]:
    """What newOrder answers, and what was known of that order before."""
    spec, session = commission.spec, commission.session
    profile = session.directory.profile_for(spec.profile)
    order = orders.new_order(session, spec.names, profile=profile, replaces=commission.replaces)
    now = commission.clock()
    pending = order.status is OrderStatus.PENDING
    before = _as_known(commission, before, order)
    same = before if before and before.url == order.url else None
    commission.memory.save_follower_order(
        RememberedOrder(
            label=spec.label,
            url=order.url,
            account=spec.account,
            profile=spec.profile,
            names=spec.names,
            first_seen_at=same.first_seen_at if same else now,
            first_pending_at=((same.first_pending_at if same else None) or now) if pending else None,
            waiting_since=((before.waiting_since if before else None) or now) if pending else None,
        )
    )
    if pending:
        _note_pending(commission, order)
    return order, before


def _as_known(commission: Commission, before: RememberedOrder | None, order: Order) -> RememberedOrder | None:
    """`before`, of the order that the CA hands out again after others in between.

    After a release Boulder makes a new pending order at each look for as long as the released one would have lived; then it hands
    these out, one after the other, as each becomes the earliest to expire. A run in a day sees none of them twice in a row.
    """
    if before is None or before.url == order.url:
        return before
    seen = commission.memory.order(order.url)
    if seen is None or seen.role != "follower" or seen.status is not OrderStatus.PENDING:
        return before
    return replace(before, url=order.url, first_seen_at=seen.first_seen_at, first_pending_at=seen.first_seen_at)


def _note_pending(commission: Commission, order: Order) -> None:
    """Remember when this order was first seen, also after another one took its place; a master part's own stays that."""
    spec, seen = commission.spec, commission.memory.order(order.url)
    if seen is not None and seen.role != "follower":
        return
    commission.memory.remember_order(
        order.url,
        account=spec.account,
        profile=spec.profile,
        names=spec.names,
        role="follower",
        status=order.status,
        expires_at=order.expires_at,
        authorization_urls=(),
        at=commission.clock(),
    )


def _release(commission: Commission, order: Order, releasable: tuple[Authorization, ...]) -> Order | Waiting:
    """Give a stuck order up, and order anew until the CA's replicas have noticed."""
    chosen = random.choice(releasable)  # noqa: S311  # spreads the cost over the names, guards nothing
    spec = commission.spec
    log.info("%s: releasing the stuck order by deactivating %s", spec.title, chosen.identifier)
    commission.memory.add_release(
        Release(spec.label, order.url, chosen.url, commission.clock(), spec.account, chosen.identifier)
    )
    orders.deactivate_authorization(commission.session, chosen.url)
    for pause in (*REPLICA_PAUSES, None):
        before, asked_at = commission.order(), commission.clock()
        fresh, _ = _new_order(commission, before)
        if fresh.url != order.url or pause is None:
            break
        commission.pause(pause)
    if fresh.status is not OrderStatus.PENDING:
        return fresh
    return _waiting(commission, _authorizations(commission, fresh), asked_at)


def _authorizations(commission: Commission, order: Order) -> list[Authorization]:
    return [orders.fetch_authorization(commission.session, url) for url in order.authorization_urls]


def _waiting(commission: Commission, authorizations: list[Authorization], asked_at: datetime) -> Waiting:
    names = sorted(a.identifier for a in authorizations if a.status is not AuthorizationStatus.VALID)
    remembered, memory = commission.order_given(), commission.memory
    releases = memory.releases(commission.spec.label)
    account_url = commission.session.account_url or ""
    memory.save_follower_order(
        replace(
            remembered,
            missing=frozenset(names),
            account_url=account_url,
            next_look_at=order_flow.next_look(remembered, releases, now=asked_at, grace=commission.grace),
        )
    )
    since = remembered.waiting_since or asked_at
    return Waiting(tuple(names), since, account_url, commission.session.directory.url, profile=remembered.profile)
