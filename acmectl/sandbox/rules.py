"""How one sandbox behaves: Boulder's rules, or Pebble's, and what a rehearsal may want to turn.

Every difference between the two servers is a field, so that a test can name the one fact that it is about.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

from acmectl.policy.ca_rules import LETS_ENCRYPT, LETS_ENCRYPT_LIMITS, PEBBLE, Limits, ProfileRules, rules_at


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """Lifetimes of a profile that replace those of the real CA; None leaves the real one."""

    reuse: timedelta | None = None
    order_lifetime: timedelta | None = None
    pending_lifetime: timedelta | None = None
    certificate_lifetime: timedelta | None = None
    max_names: int | None = None

    def applied(self, rules: ProfileRules) -> ProfileRules:
        """`rules` with these lifetimes."""
        return replace(
            rules,
            reuse=rules.reuse if self.reuse is None else self.reuse,
            order_lifetime=rules.order_lifetime if self.order_lifetime is None else self.order_lifetime,
            pending_lifetime=rules.pending_lifetime if self.pending_lifetime is None else self.pending_lifetime,
            certificate_lifetime=(
                rules.certificate_lifetime if self.certificate_lifetime is None else self.certificate_lifetime
            ),
            max_names=rules.max_names if self.max_names is None else self.max_names,
        )


@dataclass(frozen=True, slots=True)
class Rules:
    """What the sandbox does where CAs differ; the defaults are Boulder's as Let's Encrypt runs it.

    `reuse_percent`: how many valid authorizations of a new order are reused. `replica_lag`: for so long after a deactivation newOrder
    still sees the old state. `issue_delay`: how long a finalized order stays `processing`. `race_invalid_percent`:
    how many orders finalized by two hosts at once end `invalid` (Boulder: 41 of 60). `poll_after`: the Retry-After of
    what is still in work, in whole seconds; None sends none. `new_authz`: whether newAuthz (RFC 8555 section 7.4.1) is offered,
    `refused` if only the directory says so (acme2certifier). `overrides` are by profile, under `""` for Pebble; `cutoff`
    replaces the one that follows from the order's lifetime, which is an hour at least.
    """

    order_reuse: bool = True
    has_cutoff: bool = True
    has_profiles: bool = True
    expiry_is_minimum: bool = True
    hides_expired: bool = True
    lists_orders: bool = False
    reuse_percent: int = 100
    limits: Limits | None = LETS_ENCRYPT_LIMITS
    overrides: Mapping[str, Lifetimes] = field(default_factory=dict)
    cutoff: timedelta | None = None
    nonce_reject_percent: int = 0
    replica_lag: timedelta = timedelta(0)
    issue_delay: timedelta = timedelta(0)
    validation_delay: timedelta = timedelta(0)
    race_invalid_percent: int = 68
    poll_after: timedelta | None = timedelta(seconds=1)
    new_authz: Literal["offered", "refused"] | None = None

    @property
    def profile_names(self) -> tuple[str, ...]:
        """The profiles that the directory lists."""
        return tuple(LETS_ENCRYPT) if self.has_profiles else ()

    def profile(self, name: str, now: datetime) -> ProfileRules:
        """The rules of the profile that an order names (`""`: the default one); KeyError for an unknown one."""
        rules = rules_at(name or None, now) if self.has_profiles else PEBBLE
        override = self.overrides.get(rules.name)
        return override.applied(rules) if override else rules

    def cutoff_of(self, rules: ProfileRules) -> timedelta:
        """What a valid authorization must have left to be put into a new order."""
        if self.cutoff is not None:
            return self.cutoff
        return rules.cutoff if self.has_cutoff else timedelta(0)


BOULDER = Rules()
PEBBLE_RULES = Rules(
    order_reuse=False,
    has_cutoff=False,
    has_profiles=False,
    expiry_is_minimum=False,
    hides_expired=False,
    lists_orders=True,
    reuse_percent=50,
    limits=None,
    race_invalid_percent=0,
)
PRESETS: Mapping[str, Rules] = {"boulder": BOULDER, "pebble": PEBBLE_RULES}
