"""One certificate to issue, and what that works with; and what is dropped when its order comes to nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from acmectl.model.certificates import CertificateSpec
from acmectl.model.memory import RememberedOrder

if TYPE_CHECKING:
    from acmectl.ca.session import Session
    from acmectl.storage.certificates import Certificates, Draft
    from acmectl.storage.memory import Memory


@dataclass(frozen=True, slots=True)
class Commission:
    """`clock` gives aware UTC, `pause` sleeps for seconds, `grace` is how long a pending order is left alone.

    `directory_url` is the CA's as the configuration writes it, `replaces` the ARI identifier (RFC 9773) of the certificate that the
    new one replaces.
    """

    spec: CertificateSpec
    session: Session
    certificates: Certificates
    memory: Memory
    clock: Callable[[], datetime]
    pause: Callable[[float], None]
    directory_url: str
    grace: timedelta
    replaces: str | None = None

    def order(self) -> RememberedOrder | None:
        """The order that is remembered for it."""
        return self.memory.follower_order(self.spec.label)

    def order_given(self) -> RememberedOrder:
        """The order that was remembered a moment ago."""
        order = self.order()
        assert order is not None  # noqa: S101  # whoever opens an order remembers it first
        return order

    def forget(self) -> None:
        """Forget the order, and drop the draft that it was to be finalized with."""
        order = self.order()
        draft = (
            self.certificates.draft(self.spec.label, order.draft)
            if order is not None and order.draft is not None
            else None
        )
        if draft is not None:
            self.certificates.drop(draft)
        self.memory.forget_follower_order(self.spec.label)

    def abandon(self, draft: Draft) -> None:
        """Drop the draft, and forget the order that it was finalized with."""
        self.certificates.drop(draft)
        self.memory.forget_follower_order(self.spec.label)
