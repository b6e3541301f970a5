"""What certificate authorities do with orders and authorizations: lifetimes by profile and date, the cutoff, the limits.

No RFC promises any of this; it is read in Boulder's source (Let's Encrypt's server), in Let's Encrypt's documentation, and
from Pebble. The refresh policy estimates with it, the forecast plays a schedule against it, and the sandbox behaves by
it, so that the three cannot drift apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

_SHORTEST_CUTOFF = timedelta(hours=1)
_LONGEST_CUTOFF = timedelta(hours=24)


def cutoff(order_lifetime: timedelta) -> timedelta:
    """What a valid authorization must still have left for Boulder to put it into a new order: an eighth, 1 h to 24 h."""
    return max(_SHORTEST_CUTOFF, min(order_lifetime / 8, _LONGEST_CUTOFF))


@dataclass(frozen=True, slots=True)
class ProfileRules:
    """One profile of a CA at one time. `reuse` is how long a fresh authorization stays valid ("L").

    `has_addresses` says whether it certifies IP addresses (RFC 8738).
    """

    name: str
    reuse: timedelta
    order_lifetime: timedelta
    pending_lifetime: timedelta
    max_names: int
    certificate_lifetime: timedelta
    has_addresses: bool = True

    @property
    def cutoff(self) -> timedelta:
        """What an authorization must still have left to be reused in a new order ("C")."""
        return cutoff(self.order_lifetime)


_CLASSIC = ProfileRules(
    name="classic",
    reuse=timedelta(days=30),
    order_lifetime=timedelta(days=7),
    pending_lifetime=timedelta(days=7),
    max_names=100,
    certificate_lifetime=timedelta(days=90),
    has_addresses=False,
)
_TLSSERVER = ProfileRules(
    name="tlsserver",
    reuse=timedelta(hours=7),
    order_lifetime=timedelta(hours=8),
    pending_lifetime=timedelta(hours=1),
    max_names=25,
    certificate_lifetime=timedelta(days=45),
    has_addresses=False,
)
_SHORTLIVED = replace(
    _TLSSERVER, name="shortlived", certificate_lifetime=timedelta(hours=160), has_addresses=True
)  # the only one for addresses: what has an address changes fast
_ALWAYS = datetime.min.replace(tzinfo=UTC)

# Let's Encrypt announced the reuse periods and the certificates' lifetimes of 2027 and 2028, not the orders'. For 2027 those of
# today stand in; with them nothing could be reused in 2028 (C = 21 h of L = 7 h), so there those of `tlsserver` stand in.
LETS_ENCRYPT: Mapping[str, tuple[tuple[datetime, ProfileRules], ...]] = MappingProxyType(
    {
        "classic": (
            (_ALWAYS, _CLASSIC),
            (
                datetime(2027, 2, 10, tzinfo=UTC),
                replace(_CLASSIC, reuse=timedelta(days=10), certificate_lifetime=timedelta(days=64)),
            ),
            (
                datetime(2028, 2, 16, tzinfo=UTC),
                replace(
                    _CLASSIC,
                    reuse=timedelta(hours=7),
                    order_lifetime=timedelta(hours=8),
                    pending_lifetime=timedelta(hours=1),
                    certificate_lifetime=timedelta(days=45),
                ),
            ),
        ),
        "tlsserver": ((_ALWAYS, _TLSSERVER),),
        "shortlived": ((_ALWAYS, _SHORTLIVED),),
    }
)
"""Let's Encrypt's profiles; of each, the moments from which rules hold, earliest first."""

DEFAULT_PROFILE = "classic"
"""What Let's Encrypt takes for an order that names no profile."""

PEBBLE = ProfileRules(
    name="",
    reuse=timedelta(hours=1),
    order_lifetime=timedelta(days=1),
    pending_lifetime=timedelta(hours=1),
    max_names=100,
    certificate_lifetime=timedelta(days=90),
)
"""Pebble's lifetimes, which are constants of its source. It knows no cutoff."""


def rules_at(profile: str | None, when: datetime) -> ProfileRules:
    """The rules of Let's Encrypt's `profile` (None: its default) at `when`; KeyError for one that it does not have."""
    eras = LETS_ENCRYPT[profile or DEFAULT_PROFILE]
    return [rules for since, rules in eras if since <= when][-1]


@dataclass(frozen=True, slots=True)
class Limit:
    """So many events in a sliding window; Let's Encrypt gives one back every `per / count`."""

    count: int
    per: timedelta


@dataclass(frozen=True, slots=True)
class Limits:
    """Let's Encrypt's rate limits, as far as one account meets them.

    `new_orders` counts by account, `failed_validations` by account and identifier, the other two by registered domain and by exact
    set of names, over all accounts.
    """

    new_orders: Limit = field(default=Limit(300, timedelta(hours=3)))
    failed_validations: Limit = field(default=Limit(5, timedelta(hours=1)))
    certificates_per_domain: Limit = field(default=Limit(50, timedelta(days=7)))
    certificates_per_set: Limit = field(default=Limit(5, timedelta(days=7)))


LETS_ENCRYPT_LIMITS = Limits()
