"""Which authorizations a master proves again, and when.

Decided from the `expires` that was seen, never from "daily". Followers can use an authorization until the cutoff C; a master that
waits for that leaves a hole until its next run. So what would pass C before the run after this one is refreshed now: the CA is asked
first (the answer may be a fresher authorization, or a pending one to prove), and only what is still the old one is
deactivated and proven again. `lapse` never deactivates, and has the hole.
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
from acmectl.policy.lifetimes import Schedule, cutoff_from_above, threshold

ZERO = timedelta()


class Action(StrEnum):
    """What the next run does with a name."""

    KEEP = "keep"
    PROVE = "prove"
    REFRESH = "refresh"
    WAIT = "wait"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A name that the configuration asks to keep authorized, for one account under one profile.

    `solver` is the one to prove it by; where it cannot, `fallbacks` are tried in their order.
    """

    identifier: Identifier
    account: str
    profile: str | None
    solver: str
    fallbacks: tuple[str, ...] = ()

    @property
    def solvers(self) -> tuple[str, ...]:
        """All that may prove it, the preferred one first."""
        return (self.solver, *self.fallbacks)

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
    """What happens to one name, why, and the moment of the next action (None: now, or when a person has acted).

    `failure` is what it waits for: its own, or that of its account.
    """

    wanted: Wanted
    action: Action
    reason: str
    at: datetime | None = None
    authorization: RememberedAuthorization | None = None
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """A decision for each wanted name, in the order of the configuration, and what is no longer wanted."""

    decisions: tuple[Decision, ...]
    forget: tuple[RememberedAuthorization, ...]

    @property
    def due(self) -> tuple[Wanted, ...]:
        """The names to ask the CA about now: to prove, or to refresh."""
        return tuple(d.wanted for d in self.decisions if d.action in {Action.PROVE, Action.REFRESH})


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What is known of a CA for one profile: its published C, and the longest span of a wholly new order seen."""

    cutoff: timedelta | None = None
    span: timedelta | None = None


def plan(
    wanted: Sequence[Wanted],
    remembered: Iterable[RememberedAuthorization],
    failures: Mapping[str, Failure],
    *,
    now: datetime,
    knowledge: Mapping[str | None, Knowledge],
    schedule: Schedule,
    forced: frozenset[Identifier] = frozenset(),
    blocked: Mapping[str, Failure] | None = None,
) -> Plan:
    """Decide for each name of `wanted`; `now` is the CA's time.

    `failures` are those of kind `name`, by their key, and `blocked` those of kinds `outage` and `account`; `knowledge` is by profile; `forced`
    names are asked for whatever is remembered of them, unless the CA has asked to leave their account alone.
    """
    blocked = blocked or {}
    best = _latest(remembered)
    decisions = tuple(
        _forced(w, best.get(w.key), blocked.get(w.account), now)
        if w.identifier in forced
        else _decide(
            w,
            best.get(w.key),
            (failures.get(w.failure_key), blocked.get(w.account)),
            now,
            _horizon(best.get(w.key), knowledge, schedule),
        )
        for w in wanted
    )
    keys = {w.key for w in wanted}
    return Plan(decisions, tuple(a for a in best.values() if _key(a) not in keys))


@dataclass(frozen=True, slots=True)
class Horizon:
    """The two moments in the life of an authorization: when to refresh it, and when followers stop getting it."""

    refresh_at: datetime
    cutoff_at: datetime


def horizon(authorization: RememberedAuthorization, known: Knowledge, schedule: Schedule) -> Horizon | None:
    """Of a valid authorization whose end is known; else None."""
    if authorization.expires_at is None or authorization.status is not AuthorizationStatus.VALID:
        return None
    lifetime = authorization.lifetime
    cutoff = cutoff_from_above(known=known.cutoff, span=known.span, lifetime=lifetime)
    early = threshold(cutoff=cutoff, lifetime=lifetime, schedule=schedule)
    if known.cutoff is not None and lifetime is not None and cutoff >= lifetime:
        early = timedelta()  # nothing is ever reused: proving more often would help nobody
    return Horizon(authorization.expires_at - early, authorization.expires_at - min(cutoff, early))


def _horizon(
    authorization: RememberedAuthorization | None, knowledge: Mapping[str | None, Knowledge], schedule: Schedule
) -> Horizon | None:
    if authorization is None:
        return None
    return horizon(authorization, knowledge.get(authorization.profile, Knowledge()), schedule)


def is_stale(authorization: RememberedAuthorization, known: Knowledge, schedule: Schedule, now: datetime) -> bool:
    """Whether a valid authorization that the CA handed out is still the one to replace, not a fresher one."""
    ends = horizon(authorization, known, schedule)
    return schedule.early and ends is not None and ends.refresh_at <= now


def _forced(wanted: Wanted, known: RememberedAuthorization | None, blocked: Failure | None, now: datetime) -> Decision:
    if blocked is not None and blocked.asked_until is not None and now < blocked.asked_until:
        reason = f"the CA asked to leave the account `{wanted.account}` alone: {blocked.reason}"
        return Decision(wanted, Action.WAIT, reason, blocked.asked_until, known, blocked)
    return Decision(wanted, Action.PROVE, "asked for by name", None, known)


def _decide(
    wanted: Wanted,
    known: RememberedAuthorization | None,
    failures: tuple[Failure | None, Failure | None],
    now: datetime,
    ends: Horizon | None,
) -> Decision:
    if ends is not None and now < ends.refresh_at:
        return Decision(wanted, Action.KEEP, "authorized", ends.refresh_at, known)
    words = {
        "name": "failed before",
        "account": f"the account `{wanted.account}` was refused",
        "outage": "the CA is away",
    }
    for failure in failures:
        if failure is not None and not backoff.may_try(failure, now):
            reason = f"{words[failure.kind]}: {failure.reason}"
            return Decision(wanted, Action.WAIT, reason, failure.retry_at, known, failure)
    if ends is not None and now < ends.cutoff_at:
        return Decision(wanted, Action.REFRESH, "would lapse before the run after this one", None, known)
    return Decision(wanted, Action.PROVE, _reason(known, now), None, known)


def _reason(known: RememberedAuthorization | None, now: datetime) -> str:
    if known is None:
        return "new"
    has_ended = known.expires_at is not None and known.expires_at <= now
    if known.status is not AuthorizationStatus.VALID and not has_ended:
        return f"lost: the CA says `{known.status}`"
    return "lapsed: the CA does not reuse it any more"


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
