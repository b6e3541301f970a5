"""One certificate's way from newOrder to files: order_flow decides, this acts, and every step can be interrupted.

The order's URL is remembered before anything else is done with it, and the next generation's key is written before finalize
is sent: a run that was killed at any point is resumed by the next one, and one order gives one certificate.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from acmectl.ca import orders
from acmectl.errors import CARefused, OrderNotReady
from acmectl.follower import finishing, key_making
from acmectl.follower.commission import Commission
from acmectl.follower.opening import open_order
from acmectl.follower.outcomes import Issued, LostRace, Waiting
from acmectl.model.certificates import CertificateSpec, Installed
from acmectl.model.orders import OrderStatus
from acmectl.policy import key_choice, order_flow, renewal
from acmectl.policy.order_flow import Step
from acmectl.policy.renewal import NotDue

if TYPE_CHECKING:
    from acmectl.ca.session import Session
    from acmectl.model.memory import RememberedOrder
    from acmectl.storage.certificates import Certificates, Draft
    from acmectl.storage.memory import Memory

log = logging.getLogger(__name__)

# Seconds, at random, before a fresh order after a lost race. Two hosts that meet again lose both: issuing takes the CA about a
# second, so the second pause is long enough that a third meeting is rare. No more than these fresh orders in one run.
RACE_PAUSES = ((0.5, 5.0), (5.0, 30.0))


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
        replaces: str | None = None,
    ) -> None:
        """`clock` gives aware UTC, `pause` sleeps for seconds, `grace` is how long a pending order is left alone.

        `directory_url` is the CA's as the configuration writes it, `replaces` the ARI identifier (RFC 9773 section 5) of the
        certificate that the new one replaces.
        """
        self._commission = Commission(spec, session, certificates, memory, clock, pause, directory_url, grace, replaces)

    def issue(self) -> Issued | Waiting:
        """Resume or order, and issue if every authorization is valid. Raises CAError, KeyMaterialError, StorageError."""
        commission = self._commission
        key_making.check(commission.certificates, commission.spec)
        resumed = self._resume()
        if resumed is not None:
            return resumed
        for pause in (*RACE_PAUSES, None):
            order = open_order(commission)
            if isinstance(order, Waiting):
                return order
            try:
                return finishing.finish(commission, order)
            except LostRace as lost:
                log.info("%s: %s", commission.spec.title, lost)
                if pause is None:
                    raise
                commission.pause(random.uniform(*pause))  # noqa: S311  # spreads two hosts, guards nothing
        raise AssertionError  # the loop returns or raises

    def _resume(self) -> Issued | None:
        """Go on with what an earlier run left, if that is of use."""
        commission = self._commission
        remembered, spec = commission.order(), commission.spec
        match order_flow.first_step(remembered, spec):
            case Step.FORGET:
                commission.forget()
            case Step.RESUME if remembered and remembered.draft is not None:
                complete = self._complete(remembered.draft)
                if complete is not None:
                    return finishing.use(commission, complete)
                return self._resume_draft(remembered, commission.certificates.draft(spec.label, remembered.draft))
            case _:
                pass
        return None

    def _complete(self, generation: int) -> Installed | None:
        """The certificate of a run that was killed before it switched to it, if it still serves."""
        commission = self._commission
        spec, certificates = commission.spec, commission.certificates
        current, complete = certificates.current(spec.label), certificates.installed(spec.label, generation)
        if complete is None or (current is not None and current.generation >= generation):
            return None
        decision = renewal.due(
            spec,
            complete,
            None,
            now=commission.clock(),
            directory_url=commission.directory_url,
            issuance=finishing.issuance(commission, complete),  # the remembered order is for what is wanted now
            imposed=certificates.keys.imposed(spec),
        )
        at_hand = certificates.keys.at_hand(spec)
        may_serve = complete.spki not in at_hand.distrusted and key_choice.may_serve(at_hand, complete.spki)
        return complete if isinstance(decision, NotDue) and may_serve else None

    def _resume_draft(self, remembered: RememberedOrder, draft: Draft | None) -> Issued | None:
        commission = self._commission
        if draft is None or not key_making.fits(commission.certificates, commission.spec, draft):
            commission.forget()
            return None
        try:
            order = orders.fetch_order(commission.session, remembered.url)
        except CARefused as refused:
            if refused.problem.status != 404 and not isinstance(refused, OrderNotReady):  # acme2certifier knows it not
                raise
            commission.forget()  # expired: no certificate came of it that we could still fetch
            return None
        try:
            if order.status is OrderStatus.READY:
                return finishing.send(commission, order, draft)
            return finishing.collect(commission, order, draft)
        except LostRace as lost:
            log.info("%s: the order of an interrupted run is of no use: %s", commission.spec.title, lost)
            return None


__all__ = ["Issued", "Issuer", "LostRace", "Waiting"]
