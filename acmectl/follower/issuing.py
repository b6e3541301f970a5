"""One certificate's way from newOrder to files: order_flow decides, this acts, and every step can be interrupted.

The order's URL is remembered before anything else is done with it, and the next generation's key is written before finalize
is sent: a run that was killed at any point is resumed by the next one, and one order gives one certificate.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from acmectl import keys
from acmectl.ca import issuing, orders
from acmectl.errors import CAError, CARefused, KeyMaterialError, OrderNotReady
from acmectl.model.certificates import CertificateSpec, Installed, Issuance
from acmectl.model.memory import Release, RememberedOrder
from acmectl.model.names import Identifier
from acmectl.model.orders import Authorization, AuthorizationStatus, Order, OrderStatus
from acmectl.policy import order_flow, renewal
from acmectl.policy.order_flow import Step
from acmectl.policy.renewal import NotDue

if TYPE_CHECKING:
    from acmectl.ca.session import Session
    from acmectl.storage.certificates import Certificates, Draft
    from acmectl.storage.memory import Memory

log = logging.getLogger(__name__)

FRESH_ORDERS = 2  # after lost races, in one run
ISSUE_TIMEOUT = timedelta(minutes=5)
REPLICA_PAUSES = (2.0, 4.0, 8.0)  # Boulder answers from replicas that lag behind a deactivation


@dataclass(frozen=True, slots=True)
class Issued:
    """A new generation is complete and current."""

    installed: Installed


@dataclass(frozen=True, slots=True)
class Waiting:
    """The master has not authorized these names yet: an expected outcome.

    `given_up_at` is set when the CA handed an old order out again: it may be stuck although its names are
    authorized by now, and is given up at that moment (or later, where too many were released already). `next_look_at`
    is set when the CA was not asked, because it was a short while ago: when a run will ask again.
    """

    names: tuple[Identifier, ...]
    since: datetime
    account_url: str
    directory_url: str
    given_up_at: datetime | None = None
    next_look_at: datetime | None = None


class LostRace(CAError):
    """Another host with the same names finalized the order: an order of one's own is needed."""


class Issuer:
    """Issues one certificate over one session."""

    def __init__(
        self,
        spec: CertificateSpec,
        *,
        session: Session,
        certificates: Certificates,
        memory: Memory,
        clock: Callable[[], datetime],
        pause: Callable[[float], None],
        directory_url: str,
        grace: timedelta,
    ) -> None:
        """`clock` gives aware UTC, `pause` sleeps for seconds, `grace` is how long a pending order is left alone.

        `directory_url` is the CA's as the configuration writes it.
        """
        self._spec = spec
        self._session = session
        self._certificates = certificates
        self._memory = memory
        self._clock = clock
        self._pause = pause
        self._directory_url = directory_url
        self._grace = grace

    def issue(self) -> Issued | Waiting:
        """Resume or order, and issue if every authorization is valid. Raises CAError, KeyMaterialError, StorageError."""
        resumed = self._resume()
        if resumed is not None:
            return resumed
        for left in reversed(range(FRESH_ORDERS + 1)):
            order = self._open()
            if isinstance(order, Waiting):
                return order
            try:
                return self._finalize(order)
            except LostRace as lost:
                log.info("%s: %s", self._spec.label, lost)
                if not left:
                    raise
                self._pause(random.uniform(0.5, 3))  # noqa: S311  # spreads two hosts, guards nothing
        raise AssertionError  # the loop returns or raises

    # -- what an earlier run left

    def _resume(self) -> Issued | None:
        remembered = self._memory.follower_order(self._spec.label)
        match order_flow.first_step(remembered, self._spec):
            case Step.FORGET:
                self._forget(remembered)
            case Step.RESUME if remembered and remembered.draft is not None:
                complete = self._complete(remembered.draft)
                if complete is not None:
                    return self._use(complete)
                return self._resume_draft(remembered, self._certificates.draft(self._spec.label, remembered.draft))
            case _:
                pass
        return None

    def _complete(self, generation: int) -> Installed | None:
        """The certificate of a run that was killed before it switched to it, if it still serves."""
        current = self._certificates.current(self._spec.label)
        complete = self._certificates.installed(self._spec.label, generation)
        if complete is None or (current is not None and current.generation >= generation):
            return None
        decision = renewal.due(
            self._spec,
            complete,
            None,
            now=self._clock(),
            directory_url=self._directory_url,
            issuance=self._issuance(complete),  # the remembered order is for what is wanted now
        )
        return complete if isinstance(decision, NotDue) else None

    def _resume_draft(self, remembered: RememberedOrder, draft: Draft | None) -> Issued | None:
        if (
            draft is None
            or keys.key_type_of(keys.from_pem(draft.key_pem, what="the draft's key")) is not self._spec.key_type
        ):
            self._forget(remembered)
            return None
        try:
            order = orders.fetch_order(self._session, remembered.url)
        except CARefused as refused:
            if refused.problem.status != 404 and not isinstance(refused, OrderNotReady):  # acme2certifier knows it not
                raise
            self._forget(remembered)  # expired: no certificate came of it that we could still fetch
            return None
        try:
            if order.status is OrderStatus.READY:
                return self._send(order, draft)
            return self._collect(order, draft)
        except LostRace as lost:
            log.info("%s: the order of an interrupted run is of no use: %s", self._spec.label, lost)
            return None

    def _forget(self, remembered: RememberedOrder | None) -> None:
        label = self._spec.label
        if remembered and remembered.draft is not None:
            draft = self._certificates.draft(label, remembered.draft)
            if draft is not None:
                self._certificates.drop(draft)
        self._memory.forget_follower_order(label)

    # -- an order that is ready, or what it waits for

    def _open(self) -> Order | Waiting:
        before, asked_at = self._memory.follower_order(self._spec.label), self._clock()
        order = self._new_order(before)
        if order.status is not OrderStatus.PENDING:
            return order
        authorizations = [orders.fetch_authorization(self._session, url) for url in order.authorization_urls]
        if all(a.status is AuthorizationStatus.VALID for a in authorizations):  # by now, or once asked (acme2certifier)
            order = orders.fetch_order(self._session, order.url)
            if order.status is not OrderStatus.PENDING:
                return order
        releases = self._memory.releases(self._spec.label)
        verdict = order_flow.while_pending(
            order, authorizations, before, releases, now=self._clock(), grace=self._grace
        )
        log.info("%s: the order is pending: %s", self._spec.label, verdict.reason)
        if verdict.step is Step.RELEASE:
            return self._release(order, verdict.releasable)
        waiting = self._waiting(authorizations, asked_at)
        if before is None or before.url != order.url or before.first_pending_at is None:
            return waiting
        return replace(waiting, given_up_at=before.first_pending_at + self._grace)

    def _new_order(self, before: RememberedOrder | None) -> Order:
        profile = self._session.directory.profile_for(self._spec.profile)
        order = orders.new_order(self._session, self._spec.names, profile=profile)
        now = self._clock()
        pending = order.status is OrderStatus.PENDING
        same = before if before and before.url == order.url else None
        self._memory.save_follower_order(
            RememberedOrder(
                label=self._spec.label,
                url=order.url,
                account=self._spec.account,
                profile=self._spec.profile,
                names=self._spec.names,
                first_seen_at=same.first_seen_at if same else now,
                first_pending_at=((same.first_pending_at if same else None) or now) if pending else None,
                waiting_since=((before.waiting_since if before else None) or now) if pending else None,
            )
        )
        return order

    def _release(self, order: Order, releasable: tuple[Authorization, ...]) -> Order | Waiting:
        """Give a stuck order up, and order anew until the CA's replicas have noticed."""
        chosen = random.choice(releasable)  # noqa: S311  # spreads the cost over the names, guards nothing
        log.info("%s: releasing the stuck order by deactivating %s", self._spec.label, chosen.identifier)
        self._memory.add_release(Release(self._spec.label, order.url, chosen.url, self._clock()))
        orders.deactivate_authorization(self._session, chosen.url)
        for pause in (*REPLICA_PAUSES, None):
            before, asked_at = self._memory.follower_order(self._spec.label), self._clock()
            fresh = self._new_order(before)
            if fresh.url != order.url or pause is None:
                break
            self._pause(pause)
        if fresh.status is not OrderStatus.PENDING:
            return fresh
        authorizations = [orders.fetch_authorization(self._session, url) for url in fresh.authorization_urls]
        return self._waiting(authorizations, asked_at)

    def _waiting(self, authorizations: list[Authorization], asked_at: datetime) -> Waiting:
        names = sorted(a.identifier for a in authorizations if a.status is not AuthorizationStatus.VALID)
        remembered = self._memory.follower_order(self._spec.label)
        assert remembered is not None  # noqa: S101  # _new_order saved it
        releases = self._memory.releases(self._spec.label)
        account_url = self._session.account_url or ""
        self._memory.save_follower_order(
            replace(
                remembered,
                missing=frozenset(names),
                account_url=account_url,
                next_look_at=order_flow.next_look(remembered, releases, now=asked_at, grace=self._grace),
            )
        )
        return Waiting(tuple(names), remembered.waiting_since or asked_at, account_url, self._session.directory.url)

    # -- from ready to files

    def _finalize(self, order: Order) -> Issued:
        key_pem = keys.to_pem(keys.generate(self._spec.key_type))
        draft = self._certificates.begin(self._spec.label, key_pem)
        remembered = self._memory.follower_order(self._spec.label)
        assert remembered is not None  # noqa: S101  # _new_order saved it
        self._memory.save_follower_order(replace(remembered, draft=draft.generation))
        return self._send(order, draft)

    def _send(self, order: Order, draft: Draft) -> Issued:
        key = keys.from_pem(draft.key_pem, what="the draft's key")
        try:
            order = issuing.finalize(self._session, order, keys.csr_der(key, self._spec.names))
        except OrderNotReady:
            order = orders.fetch_order(self._session, order.url)
        except CARefused:
            self._certificates.drop(draft)
            self._memory.forget_follower_order(self._spec.label)
            raise
        return self._collect(order, draft)

    def _collect(self, order: Order, draft: Draft) -> Issued:
        if order.status is OrderStatus.PROCESSING:
            order = orders.wait_for_order(
                self._session, order.url, while_in=frozenset({OrderStatus.PROCESSING}), timeout=ISSUE_TIMEOUT
            )
        match order_flow.after_answer(order, finalized=True):
            case Step.DOWNLOAD:
                return self._install(order, draft)
            case Step.POLL:
                raise CAError(
                    f"the CA has not issued the certificate within {ISSUE_TIMEOUT.total_seconds():g} s",
                    hint="the next run goes on with this order",
                )
            case _:
                self._abandon(draft)
                reason = f": {order.error}" if order.error else ""
                raise LostRace(f"the order is `{order.status}` after finalization{reason}")

    def _install(self, order: Order, draft: Draft) -> Issued:
        chain = issuing.download(self._session, order)
        try:
            self._check_names(draft, keys.read_chain(chain.pem).names)
            installed = self._certificates.complete(draft, chain.pem)
        except KeyMaterialError as mismatch:
            self._abandon(draft)
            raise LostRace("the order holds another host's certificate") from mismatch
        return self._use(installed)

    def _check_names(self, draft: Draft, certified: frozenset[Identifier]) -> None:
        """A certificate without a wanted name is none, and would be due again at once; more names do no harm."""
        lacking = sorted(self._spec.names - certified)
        if lacking:
            self._abandon(draft)
            raise CAError(
                f"the CA issued a certificate without {', '.join(f'`{name}`' for name in lacking)}",
                hint="ask the CA why it leaves out what was ordered, or take the names out of the certificate",
            )
        if certified != self._spec.names:
            log.info("%s: the CA added %s", self._spec.label, ", ".join(map(str, sorted(certified - self._spec.names))))

    def _issuance(self, installed: Installed) -> Issuance:
        return Issuance(
            label=installed.label,
            generation=installed.generation,
            fingerprint=installed.fingerprint,
            directory_url=self._directory_url,
            profile=self._spec.profile,
            names=self._spec.names,
        )

    def _use(self, complete: Installed) -> Issued:
        self._memory.save_issuance(self._issuance(complete))
        self._certificates.switch(self._spec.label, complete.generation)
        self._memory.forget_follower_order(self._spec.label)
        return Issued(complete)

    def _abandon(self, draft: Draft) -> None:
        self._certificates.drop(draft)
        self._memory.forget_follower_order(self._spec.label)
