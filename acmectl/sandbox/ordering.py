"""newOrder: the heart of what a master and a follower stand on.

What comes back is an order that exists already (same names, account and profile), or a new one over reused and fresh
authorizations. Each step is Boulder's, quirks included, because the quirks are what clients must survive.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from acmectl.model.names import Identifier
from acmectl.model.orders import AuthorizationStatus, OrderStatus
from acmectl.policy.ca_rules import ProfileRules
from acmectl.sandbox.identifiers import accepted, refuse_overlap
from acmectl.sandbox.objects import Account, Authorization, Certificate, Challenge, Order, new_token
from acmectl.sandbox.problems import rate_limited, refuse, unauthorized
from acmectl.sandbox.state import State

_REUSABLE = frozenset({OrderStatus.PENDING, OrderStatus.READY})
_WILDCARD_TYPES = ("dns-01",)
_ADDRESS_TYPES = ("http-01", "tls-alpn-01")  # RFC 8738 section 7
_TYPES = ("dns-01", "http-01", "tls-alpn-01")


@dataclass(frozen=True, slots=True)
class Wish:
    """What a newOrder asks for."""

    names: tuple[str, ...]
    profile: str = ""
    replaces: str | None = None


class Ordering:
    """Creates orders, or hands out old ones."""

    def __init__(self, state: State) -> None:
        self._state = state

    def new_order(self, account: Account, wish: Wish) -> tuple[Order, OrderStatus]:
        """The order for `wish`, and its status as the answer shows it. Raises Refused."""
        with self._state.lock:
            now = self._state.clock.now()
            names = accepted(wish.names, self._state.injections.rejected)
            rules = self._rules(wish.profile, names, now)
            refuse_overlap(names)
            replaced = self._replaced(account, names, wish.replaces, now) if wish.replaces else None
            self._admit(account, names, now, is_replacement=replaced is not None)
            profile = wish.profile if self._state.rules.has_profiles else ""
            order = self._same_set(account, names, profile, now) or self._create(account, names, profile, rules, now)
            if replaced is not None:
                replaced.replaced_by, order.replaces = order.id, replaced.serial
            return order, self._state.order_status(order, now, lagged=True)

    def new_authorization(self, account: Account, name: str) -> Authorization:
        """A pending authorization of no order; it belongs to no profile. Raises Refused."""
        with self._state.lock:
            now = self._state.clock.now()
            (identifier,) = names = accepted((name,), self._state.injections.rejected)
            if identifier.is_wildcard:
                raise refuse("malformed", "a new authorization is for no wildcard")
            self._state.limits.admit_validation(account.id, names, now)
            return self._fresh(account, identifier, "", self._state.rules.profile("", now), now)

    def _rules(self, profile: str, names: frozenset[Identifier], now: datetime) -> ProfileRules:
        """The profile's rules. A server without profiles, as Debian's Pebble, ignores the field."""
        try:
            rules = self._state.rules.profile(profile, now)
        except KeyError:
            offered = ", ".join(self._state.rules.profile_names)
            raise refuse("invalidProfile", f'profile "{profile}" is not offered; choose one of: {offered}') from None
        if len(names) > rules.max_names:
            raise refuse("malformed", f"Order cannot contain more than {rules.max_names} identifiers")
        if not rules.has_addresses and any(name.is_address for name in names):
            raise refuse("rejectedIdentifier", f'Profile "{rules.name}" does not permit ip type identifiers')
        return rules

    def _replaced(self, account: Account, names: frozenset[Identifier], ari_id: str, now: datetime) -> Certificate:
        """The certificate that the order replaces (RFC 9773 section 5), if nothing replaces it yet."""
        found = self._state.store.by_ari_id.get(ari_id)
        if found is None:
            raise refuse("malformed", "certificate being replaced by this order does not exist", 404)
        if found.account_id != account.id:
            raise unauthorized("requester account did not request the certificate being replaced by this order")
        if not found.names & names:
            raise refuse(
                "malformed", "identifiers in this order do not match any identifiers in the certificate being replaced"
            )
        earlier = self._state.store.orders.get(found.replaced_by or 0)
        if earlier and self._state.order_status(earlier, now) is not OrderStatus.INVALID:
            raise refuse(
                "alreadyReplaced",
                f"cannot indicate an order replaces certificate with serial {found.serial!r}, "
                "which already has a replacement order",
                409,
            )
        return found

    def _admit(self, account: Account, names: frozenset[Identifier], now: datetime, *, is_replacement: bool) -> None:
        paused = self._state.is_paused(names)
        if paused:
            raise rate_limited(
                f"Your account is temporarily prevented from requesting certificates for {', '.join(paused)} "
                "and possibly others. Please visit: https://sandbox.invalid/unpause",
                retry_after=None,
            )
        is_renewal = names in self._state.store.issued_sets
        self._state.limits.admit_order(account.id, names, now, is_renewal=is_renewal, is_replacement=is_replacement)

    def _same_set(self, account: Account, names: frozenset[Identifier], profile: str, now: datetime) -> Order | None:
        """The order to hand out again (CA-wide look-up of one row, the earliest-expiring of this set).

        Where that row is invalid, another account's or another profile's, nothing is reused, however many better rows there are.
        """
        if not self._state.rules.order_reuse:
            return None
        rows = self._state.store.open_orders(names, now)
        row = min(rows, key=lambda order: (order.expires_at, order.id), default=None)
        if row is None or row.account_id != account.id or row.profile != profile:
            return None
        return row if self._state.order_status(row, now, lagged=True) in _REUSABLE else None

    def _create(
        self, account: Account, names: Iterable[Identifier], profile: str, rules: ProfileRules, now: datetime
    ) -> Order:
        parts = [
            self._reusable(account, name, profile, rules, now) or self._fresh(account, name, profile, rules, now)
            for name in sorted(names)
        ]
        expires_at = now + rules.order_lifetime
        if self._state.rules.expiry_is_minimum:
            expires_at = min(expires_at, *(part.expires_at for part in parts))
        order = Order(
            id=self._state.store.number(),
            account_id=account.id,
            names=frozenset(names),
            profile=profile,
            authorization_ids=tuple(part.id for part in parts),
            expires_at=expires_at.replace(microsecond=0),
        )
        self._state.store.add_order(order)
        return order

    def _reusable(
        self, account: Account, name: Identifier, profile: str, rules: ProfileRules, now: datetime
    ) -> Authorization | None:
        """The valid authorization to put into a new order, if any.

        With a profile, only that profile's count. Without one, the latest-expiring of any profile is looked at, and
        taken only if it has none itself: a later one of another profile hides it (Boulder).
        """
        until = now + self._state.rules.cutoff_of(rules)
        candidates = [
            a
            for a in self._state.store.authorized(account.id, name, now)
            if a.expires_at > until
            and self._state.lagged_status(a, now) is AuthorizationStatus.VALID
            and (not profile or a.profile == profile)
        ]
        best = max(candidates, key=lambda a: (a.expires_at, a.id), default=None)
        if best is None or best.profile != profile or not self._state.happens(self._state.rules.reuse_percent):
            return None
        return best

    def _fresh(
        self, account: Account, name: Identifier, profile: str, rules: ProfileRules, now: datetime
    ) -> Authorization:
        types = _WILDCARD_TYPES if name.is_wildcard else _ADDRESS_TYPES if name.is_address else _TYPES
        token = new_token()
        authorization = Authorization(
            id=self._state.store.number(),
            account_id=account.id,
            identifier=name,
            profile=profile,
            expires_at=(now + rules.pending_lifetime).replace(microsecond=0),
            challenges=[Challenge(kind, token) for kind in types],
        )
        self._state.store.authorizations[authorization.id] = authorization
        return authorization
