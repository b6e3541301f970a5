"""How orders of one account are sent in one run: counted, again while the CA is away, and none where it wants none."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from acmectl.ca.patience import Patience
from acmectl.errors import AcmectlError, CARefused, CAUnreachable
from acmectl.master.books import Books
from acmectl.master.ordering import Unordered
from acmectl.model.orders import Order
from acmectl.policy import batching

if TYPE_CHECKING:
    from acmectl.ca.session import Session


class Sending:
    """The newOrders of one account, over one session."""

    def __init__(
        self, session: Session, account: str, *, books: Books, new_orders: int, now: Callable[[], datetime]
    ) -> None:
        """`new_orders` may be sent in three hours; `now` gives the CA's time."""
        self._session = session
        self._account = account
        self._books = books
        self._new_orders = new_orders
        self._now = now
        self._refusal: Unordered | None = None
        self._refused_until: datetime | None = None

    def budget(self) -> int:
        """How many newOrders are left."""
        return self._books.orders_left(self._account, self._now())

    def persist(self, send: Callable[[], Order]) -> Order:
        """The answer to an order, sent again while the CA is away and patience lasts: each time it counts as one more."""
        patience = Patience(self._session.clocks)
        while True:
            self._check_limits()
            self._books.sent_order(self._account, self._now())
            try:
                return send()
            except CAUnreachable as away:
                if self.budget() <= 0 or not patience.wait(away.retry_after):
                    raise

    def _check_limits(self) -> None:
        """Raises Unordered where the account may send no order now."""
        if self._refusal is not None:
            if self._refused_until is None or self._now() < self._refused_until:
                raise self._refusal
            self._refusal = None
            self._books.failures.unblock(self._account)
        if self.budget() <= 0:
            raise Unordered(
                f"{self._new_orders} orders were sent in the last three hours, as many as the CA allows",
                hint="a later run goes on",
            )

    def stopped(self, reason: AcmectlError) -> Unordered:
        """What is held against no name: the CA refuses the account, or does not answer."""
        if isinstance(reason, Unordered):
            return reason
        if isinstance(reason, CARefused) and batching.is_about_account(reason.problem):
            blocked = self._books.failures.block(self._account, reason, self._now())
            after = reason.retry_after
            self._refusal = Unordered(reason.message, hint=reason.hint, retry_at=blocked.retry_at, retry_after=after)
            self._refused_until = None if after is None else self._now() + after
            return self._refusal
        if isinstance(reason, CAUnreachable):
            self._books.failures.away(self._account, reason, self._now())
        return Unordered(reason.message, hint=reason.hint, is_away=isinstance(reason, CAUnreachable))
