"""Let's Encrypt's rate limits: buckets that refill steadily, and Boulder's words when one is empty.

Boulder counts with GCRA (a token bucket that stores one moment): of five failures an hour one comes back every 12 minutes. The
wording matters, because clients read the name that is over its limit from it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Hashable, Iterable
from datetime import datetime, timedelta

from acmectl.model.names import Identifier
from acmectl.policy.ca_rules import Limit, Limits
from acmectl.sandbox.problems import Refused, rate_limited

_DOCUMENTATION = "https://letsencrypt.org/docs/rate-limits/"
# Registries that register below a second level; the sandbox carries no public suffix list.
_SECOND_LEVELS = frozenset({"ac", "co", "com", "edu", "gov", "net", "org"})


def registered_domain(identifier: Identifier) -> str:
    """The domain that was bought: the last two labels, or three under the likes of `co.uk`.

    For an address what Boulder counts instead (`coveringIdentifiers`): the address itself, of IPv6 its /64.
    """
    if identifier.is_address:
        return str(ipaddress.ip_network(f"{identifier}/{64 if ':' in identifier.value else 32}", strict=False))
    labels = identifier.base.split(".")
    deep = len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in _SECOND_LEVELS
    return ".".join(labels[-3:] if deep else labels[-2:])


class RateLimits:
    """All buckets. `limits` None switches them off, and nothing is counted. Not thread-safe."""

    def __init__(self, limits: Limits | None) -> None:
        self.limits = limits
        self._full_at: dict[Hashable, datetime] = {}

    def admit_order(
        self, account_id: int, names: frozenset[Identifier], now: datetime, *, is_renewal: bool, is_replacement: bool
    ) -> None:
        """Count a newOrder, or raise 429. A replacement (ARI) is exempt from all, a renewal of a set from two limits."""
        limits = self.limits
        if limits is None or is_replacement:
            return
        self._check_failures(limits.failed_validations, account_id, names, now)
        if not is_renewal:
            self._check_domains(limits.certificates_per_domain, names, now)
        self._check_set(limits.certificates_per_set, names, now)
        if not is_renewal:
            self._count_order(limits.new_orders, account_id, now)

    def admit_validation(self, account_id: int, names: Iterable[Identifier], now: datetime) -> None:
        """Raise 429 where too many validations of a name have failed."""
        if self.limits is not None:
            self._check_failures(self.limits.failed_validations, account_id, names, now)

    def failed(self, account_id: int, identifier: Identifier, now: datetime) -> None:
        """Count a failed validation, or a pending authorization that was deactivated."""
        if self.limits is not None:
            self._spend(("failed", account_id, identifier.base), self.limits.failed_validations, now)

    def issued(self, names: frozenset[Identifier], now: datetime, *, is_renewal: bool, is_replacement: bool) -> None:
        """Count an issued certificate."""
        if self.limits is None or is_replacement:
            return
        self._spend(("set", names), self.limits.certificates_per_set, now)
        if not is_renewal:
            for domain in {registered_domain(name) for name in names}:
                self._spend(("domain", domain), self.limits.certificates_per_domain, now)

    def reset(self) -> None:
        """Forget all events."""
        self._full_at.clear()

    def _check_failures(self, limit: Limit, account_id: int, names: Iterable[Identifier], now: datetime) -> None:
        for name in sorted(names):
            wait = self._wait(("failed", account_id, name.base), limit, now)
            if wait:
                what = f'too many failed authorizations ({limit.count}) for "{name.base}" in the last'
                raise _refusal(what, limit, now, wait, "authorization-failures-per-identifier-per-account")

    def _check_domains(self, limit: Limit, names: Iterable[Identifier], now: datetime) -> None:
        for domain in sorted({registered_domain(name) for name in names}):
            wait = self._wait(("domain", domain), limit, now)
            if wait:
                what = f'too many certificates ({limit.count}) already issued for "{domain}" in the last'
                raise _refusal(what, limit, now, wait, "new-certificates-per-registered-domain")

    def _check_set(self, limit: Limit, names: frozenset[Identifier], now: datetime) -> None:
        wait = self._wait(("set", names), limit, now)
        if wait:
            what = f"too many certificates ({limit.count}) already issued for this exact set of identifiers in the last"
            raise _refusal(what, limit, now, wait, "new-certificates-per-exact-set-of-identifiers")

    def _count_order(self, limit: Limit, account_id: int, now: datetime) -> None:
        wait = self._wait(("orders", account_id), limit, now)
        if wait:
            what = f"too many new orders ({limit.count}) from this account in the last"
            raise _refusal(what, limit, now, wait, "new-orders-per-account")
        self._spend(("orders", account_id), limit, now)

    def _wait(self, bucket: Hashable, limit: Limit, now: datetime) -> timedelta:
        """How long until one more event fits; zero if it fits now."""
        if limit.count <= 0:
            return limit.per
        earliest = self._full_at.get(bucket, now) + limit.per / limit.count - limit.per
        return max(earliest - now, timedelta(0))

    def _spend(self, bucket: Hashable, limit: Limit, now: datetime) -> None:
        if limit.count > 0:
            later = max(self._full_at.get(bucket, now), now) + limit.per / limit.count
            self._full_at[bucket] = min(later, now + limit.per)


def _refusal(what: str, limit: Limit, now: datetime, wait: timedelta, anchor: str) -> Refused:
    moment = (now + wait).strftime("%Y-%m-%d %H:%M:%S UTC")
    detail = f"{what} {_go_duration(limit.per)}, retry after {moment}: see {_DOCUMENTATION}#{anchor}"
    return rate_limited(detail, wait)


def _go_duration(duration: timedelta) -> str:
    """As Go prints it: `1h0m0s`."""
    seconds = int(duration.total_seconds())
    hours, minutes = seconds // 3600, seconds // 60 % 60
    text = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{text}{seconds % 60}s"
