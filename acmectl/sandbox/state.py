"""What every part of the sandbox's authority works on: one store, one clock, one set of rules, one lock.

The injections are a rehearsal's: what makes this CA say no.
"""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from acmectl.errors import Problem
from acmectl.model.names import Identifier
from acmectl.model.orders import AuthorizationStatus, OrderStatus
from acmectl.sandbox.clock import Clock
from acmectl.sandbox.limits import RateLimits
from acmectl.sandbox.objects import Authorization, Order, Store
from acmectl.sandbox.rules import Rules

CaaOutcome = Literal["ready", "invalid"]


@dataclass(frozen=True, slots=True)
class Window:
    """When a certificate should be renewed (RFC 9773 section 4.2), and a page that says why."""

    start: datetime
    end: datetime
    explanation_url: str | None = None


@dataclass(slots=True)
class Injections:
    """What goes wrong because somebody asked for it, by name (and account where it is an account's).

    `caa` says what becomes of the order whose finalization fails: Boulder leaves some ready, and others invalid.
    """

    rejected: dict[str, str] = field(default_factory=dict)
    failing: dict[str, Problem] = field(default_factory=dict)
    caa: dict[str, CaaOutcome] = field(default_factory=dict)
    paused: set[str] = field(default_factory=set)
    windows: dict[str, Window] = field(default_factory=dict)


@dataclass(slots=True)
class State:
    """The shared state. `lock` guards `store`, `limits` and `injections`; take it around every look and change."""

    rules: Rules
    clock: Clock
    limits: RateLimits
    store: Store = field(default_factory=Store)
    injections: Injections = field(default_factory=Injections)
    lock: threading.RLock = field(default_factory=threading.RLock)
    # Which nonce is refused and which race is lost is chance, not a secret.
    chance: random.Random = field(default_factory=random.Random)

    def happens(self, percent: int) -> bool:
        """True in `percent` of the calls."""
        return self.chance.random() * 100 < percent

    def authorization_status(self, authorization: Authorization, now: datetime) -> AuthorizationStatus:
        """The status as of `now`."""
        if authorization.expires_at <= now and authorization.status in {
            AuthorizationStatus.PENDING,
            AuthorizationStatus.VALID,
        }:
            return AuthorizationStatus.EXPIRED
        return authorization.status

    def lagged_status(self, authorization: Authorization, now: datetime) -> AuthorizationStatus:
        """The status as a replica shows it, which learns of deactivations late."""
        fresh = authorization.deactivated_at
        if fresh and authorization.deactivated_from and now < fresh + self.rules.replica_lag:
            return authorization.deactivated_from
        return self.authorization_status(authorization, now)

    def order_status(self, order: Order, now: datetime, *, lagged: bool = False) -> OrderStatus:
        """The status of an order, from its own fields and its authorizations (Boulder: `statusForOrder`)."""
        if order.error is not None:
            return OrderStatus.INVALID
        if order.serial is not None:
            return OrderStatus.VALID
        if order.processing:
            return OrderStatus.PROCESSING
        if order.expires_at <= now:
            return OrderStatus.INVALID
        return self._status_by_authorizations(order, now, lagged=lagged)

    def _status_by_authorizations(self, order: Order, now: datetime, *, lagged: bool) -> OrderStatus:
        look = self.lagged_status if lagged else self.authorization_status
        found = {look(self.store.authorizations[number], now) for number in order.authorization_ids}
        if found <= {AuthorizationStatus.VALID}:
            return OrderStatus.READY
        if found <= {AuthorizationStatus.VALID, AuthorizationStatus.PENDING}:
            return OrderStatus.PENDING
        return OrderStatus.INVALID

    def is_paused(self, names: frozenset[Identifier]) -> list[str]:
        """The names among `names` that are paused."""
        return sorted(name.value for name in names if name.value in self.injections.paused)
