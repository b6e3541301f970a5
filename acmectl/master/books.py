"""What a master writes down: authorizations, orders, and how many it has sent; what fills a book of its own has one.

A run can be killed at any moment: what came of a name, or of an order, is written down before anything is built on it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from acmectl.master.departed import Departed
from acmectl.master.failures import Failures
from acmectl.master.litter import Litter
from acmectl.master.lore import Lore
from acmectl.master.validations import Validations
from acmectl.model.memory import Event, RememberedAuthorization, failure_key
from acmectl.model.names import Identifier
from acmectl.model.orders import AuthorizationStatus, Order
from acmectl.policy.ca_rules import LETS_ENCRYPT_LIMITS
from acmectl.policy.refresh import Wanted

if TYPE_CHECKING:
    from acmectl.storage.memory import Memory

_KEPT_AFTER_ITS_END = timedelta(days=1)
_TOLERANCE = timedelta(minutes=1)  # between two answers of a CA about what time it is
NEW_ORDERS = LETS_ENCRYPT_LIMITS.new_orders


class Books:
    """A master's side of the state database."""

    def __init__(
        self,
        memory: Memory,
        *,
        directory_url: str,
        new_orders: int,
        may_wait: bool = True,
        marks: Mapping[str, str] | None = None,
    ) -> None:
        """For one run. What is learned is of the CA at `directory_url`; an account may send `new_orders` in three hours.

        `marks` are those of `Litter`, `may_wait` is that of `Failures`.
        """
        self._memory = memory
        self.lore = Lore(memory, directory_url)
        self.litter = Litter(memory, marks or {})
        self.failures = Failures(memory, may_wait=may_wait)
        self.departed = Departed(memory)
        self.validations = Validations(memory)
        self._limit = new_orders

    # -- orders

    def order(self, account: str, profile: str | None, order: Order, *, now: datetime) -> None:
        """An order that the CA handed out, new or known."""
        self._memory.remember_order(
            order.url,
            account=account,
            profile=profile,
            names=order.identifiers,
            role="master",
            status=order.status,
            expires_at=order.expires_at,
            authorization_urls=order.authorization_urls,
            at=now,
        )

    def sent_order(self, account: str, now: datetime) -> None:
        """One newOrder more, before it is sent: refused and reused ones count as well."""
        sent = [*self._sent(account, now), now.timestamp()]
        self._memory.set_fact(f"new-orders/{account}", json.dumps(sent))

    def orders_left(self, account: str, now: datetime) -> int:
        """How many newOrders the account may still send now."""
        return self._limit - len(self._sent(account, now))

    def _sent(self, account: str, now: datetime) -> list[float]:
        since = (now - NEW_ORDERS.per).timestamp()
        until = (now + _TOLERANCE).timestamp()  # what is later was written by a clock that was ahead
        return [at for at in json.loads(self._memory.fact(f"new-orders/{account}") or "[]") if since < at <= until]

    def authorizations(self, account: str, profile: str | None) -> list[RememberedAuthorization]:
        """Those of an account that are remembered as valid under a profile."""
        known = self._memory.authorizations(account)
        return [a for a in known if a.profile == profile and a.status is AuthorizationStatus.VALID]

    # -- names

    def valid(self, authorizations: Iterable[RememberedAuthorization]) -> None:
        """Authorizations that are valid, and the failures that are over with that."""
        authorizations = list(authorizations)
        if not authorizations:
            return
        self._memory.remember_authorizations(authorizations)
        self._forget_dead(authorizations)
        self.failures.over(authorizations)

    def with_lifetime(self, authorization: RememberedAuthorization) -> RememberedAuthorization:
        """With the L that was learned when it was proven, where the CA does not show when that was."""
        known = self._memory.authorization(authorization.url) if authorization.lifetime is None else None
        if known is None:
            return authorization
        return replace(authorization, validated_at=known.validated_at, lifetime=known.lifetime)

    def _forget_dead(self, successors: Iterable[RememberedAuthorization]) -> None:
        """What ended a day ago or more, and has a successor: a refresh every few hours would else fill the state."""
        since = {failure_key(a.account, a.profile, a.identifier): a.seen_at - _KEPT_AFTER_ITS_END for a in successors}
        dead = [
            a.url
            for a in self._memory.authorizations()
            if a.expires_at
            and (limit := since.get(failure_key(a.account, a.profile, a.identifier)))
            and a.expires_at < limit
        ]
        if dead:
            self._memory.forget_authorizations(dead)

    def seen(self, authorizations: Iterable[RememberedAuthorization]) -> None:
        """Authorizations as the CA shows them; what failed before stays remembered."""
        self._memory.remember_authorizations(authorizations)

    def giving_up(self, authorizations: Iterable[RememberedAuthorization], now: datetime) -> None:
        """Authorizations that are about to be deactivated: lost, for a run that comes after one that was killed here."""
        authorizations = list(authorizations)
        lost = AuthorizationStatus.DEACTIVATED
        self._memory.remember_authorizations(replace(a, status=lost) for a in authorizations)
        self.say(
            (
                (a.identifier, "deactivate", f"{a.url}, valid until {a.expires_at}, to be replaced")
                for a in authorizations
            ),
            now,
        )

    def forget(self, authorizations: Iterable[RememberedAuthorization], now: datetime) -> None:
        """Authorizations that are given up for good, with the failures of their names."""
        authorizations = list(authorizations)
        self.departed.strike(authorizations, now)
        self._memory.forget_authorizations(a.url for a in authorizations)
        self._memory.clear_failures("name", [failure_key(a.account, a.profile, a.identifier) for a in authorizations])
        self.say(((a.identifier, "forgotten", f"{a.url} was deactivated") for a in authorizations), now)

    def say(self, events: Iterable[tuple[Identifier, str, str]], now: datetime) -> None:
        """Into the log: name, what, and the words."""
        lines = [Event(now, name.value, kind, text) for name, kind, text in events]
        if lines:
            self._memory.add_events(lines)


def remembered(
    wanted: Wanted,
    url: str,
    *,
    expires_at: datetime | None,
    validated_at: datetime | None,
    lifetime: timedelta | None,
    challenge_type: str | None,
    now: datetime,
) -> RememberedAuthorization:
    """A valid authorization as it is remembered."""
    return RememberedAuthorization(
        account=wanted.account,
        profile=wanted.profile,
        identifier=wanted.identifier,
        url=url,
        status=AuthorizationStatus.VALID,
        expires_at=expires_at,
        validated_at=validated_at,
        lifetime=lifetime,
        challenge_type=challenge_type,
        seen_at=now,
    )
