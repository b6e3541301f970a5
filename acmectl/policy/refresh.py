"""Which authorizations a master proves (again), and when.

Decided from the `expires` that was seen, never from "daily". A CA reuses a valid authorization only while more than a
cutoff C is left of it (Boulder: an eighth of the order's lifetime, within 1 h and 24 h); from then on followers get
nothing, and a new order brings a pending authorization that can be proven. So C is estimated from above: asking too early costs one
newOrder that hands the valid authorization back, asking too late leaves followers without.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from acmectl.model.memory import Failure, RememberedAuthorization, failure_key
from acmectl.model.names import Identifier
from acmectl.model.orders import AuthorizationStatus
from acmectl.policy import backoff


class Action(StrEnum):
    """What the next run does with a name."""

    KEEP = "keep"
    PROVE = "prove"
    WAIT = "wait"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A name that the configuration asks to keep authorized, for one account under one profile, by one solver."""

    identifier: Identifier
    account: str
    profile: str | None
    solver: str

    @property
    def key(self) -> tuple[str, str | None, Identifier]:
        """What makes it one authorization: the same name under two accounts or profiles is two."""
        return (self.account, self.profile, self.identifier)

    @property
    def failure_key(self) -> str:
        """The key of its remembered failures."""
        return failure_key(self.account, self.profile, self.identifier)


@dataclass(frozen=True, slots=True)
class Decision:
    """What happens to one name, why, and the moment of the next action (None: now, or when a person has acted)."""

    wanted: Wanted
    action: Action
    reason: str
    at: datetime | None = None
    authorization: RememberedAuthorization | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """A decision for each wanted name, in the order of the configuration, and what is no longer wanted."""

    decisions: tuple[Decision, ...]
    forget: tuple[RememberedAuthorization, ...]

    @property
    def due(self) -> tuple[Wanted, ...]:
        """The names to prove now."""
        return tuple(d.wanted for d in self.decisions if d.action is Action.PROVE)


def plan(
    wanted: Sequence[Wanted],
    remembered: Iterable[RememberedAuthorization],
    failures: Mapping[str, Failure],
    *,
    now: datetime,
    cutoff: Mapping[str | None, timedelta],
    forced: frozenset[Identifier] = frozenset(),
) -> Plan:
    """Decide for each name of `wanted` whether to keep, to prove, or to wait after a failure.

    `failures` are those of kind `name`, by their key; `cutoff` is the known C of each profile (absent: estimated from the
    lifetime seen); `forced` names are proven whatever is remembered.
    """
    best = _latest(remembered)
    decisions = tuple(
        Decision(w, Action.PROVE, "asked for by name", None, best.get(w.key))
        if w.identifier in forced
        else _decide(w, best.get(w.key), failures.get(w.failure_key), now, cutoff.get(w.profile))
        for w in wanted
    )
    keys = {w.key for w in wanted}
    return Plan(decisions, tuple(a for a in best.values() if _key(a) not in keys))


def estimated_cutoff(lifetime: timedelta | None) -> timedelta:
    """C for a CA whose rules are unknown: 24 h where authorizations live 3 days or more, else a seventh, 1 h at least."""
    if lifetime is None or lifetime >= timedelta(days=3):
        return timedelta(hours=24)
    return max(timedelta(hours=1), lifetime / 7)


def refresh_at(authorization: RememberedAuthorization, cutoff: timedelta | None) -> datetime | None:
    """When followers stop getting anything from `authorization`; None if its end is unknown (then at once).

    Never earlier than a tenth of its life, or a CA whose lifetimes are shorter than C would be asked at every run.
    """
    if authorization.expires_at is None:
        return None
    threshold = estimated_cutoff(authorization.lifetime) if cutoff is None else cutoff
    if authorization.lifetime is not None:
        threshold = min(threshold, 0.9 * authorization.lifetime)
    return authorization.expires_at - threshold


def _decide(
    wanted: Wanted,
    known: RememberedAuthorization | None,
    failure: Failure | None,
    now: datetime,
    cutoff: timedelta | None,
) -> Decision:
    due_at, reason = _due(known, cutoff)
    if due_at is not None and due_at > now:
        return Decision(wanted, Action.KEEP, "authorized", due_at, known)
    if not backoff.may_try(failure, now):
        assert failure is not None  # noqa: S101  # may_try allows where there is none
        return Decision(wanted, Action.WAIT, f"failed before: {failure.reason}", failure.retry_at, known)
    return Decision(wanted, Action.PROVE, reason, None, known)


def _due(known: RememberedAuthorization | None, cutoff: timedelta | None) -> tuple[datetime | None, str]:
    if known is None:
        return None, "new"
    if known.status is not AuthorizationStatus.VALID:
        return None, f"lost: the CA says `{known.status}`"
    return refresh_at(known, cutoff), "expiring"


def _latest(
    remembered: Iterable[RememberedAuthorization],
) -> dict[tuple[str, str | None, Identifier], RememberedAuthorization]:
    """Of several authorizations for one name, the one that is valid longest (else the one seen last)."""
    best: dict[tuple[str, str | None, Identifier], RememberedAuthorization] = {}
    for authorization in remembered:
        other = best.get(_key(authorization))
        if other is None or _worth(authorization) > _worth(other):
            best[_key(authorization)] = authorization
    return best


def _worth(authorization: RememberedAuthorization) -> tuple[bool, float, datetime]:
    expires = authorization.expires_at.timestamp() if authorization.expires_at else 0.0
    return authorization.status is AuthorizationStatus.VALID, expires, authorization.seen_at


def _key(authorization: RememberedAuthorization) -> tuple[str, str | None, Identifier]:
    return (authorization.account, authorization.profile, authorization.identifier)
