"""One pending authorization on its way to a decision: which challenge is answered, and what the CA's word on it means."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from acmectl.errors import AcmectlError, CAError, Problem
from acmectl.model.orders import Authorization, AuthorizationStatus, Challenge, ChallengeStatus
from acmectl.policy.refresh import Wanted
from acmectl.solvers.base import Response

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from acmectl.ca.session import Session
    from acmectl.master.choosing import Choosing

ORDER_TIMEOUT = timedelta(minutes=3)  # Boulder retries a validation for about a minute and a half


@dataclass(frozen=True, slots=True)
class Proven:
    """A valid authorization, and since when it is known to be; `fresh` if this run proved it.

    `validated_at` is the CA's word; of a fresh one where it says nothing, the moment just before its challenge was answered.
    """

    authorization: Authorization
    expires_at: datetime | None
    lifetime: timedelta | None
    challenge_type: str | None
    fresh: bool
    validated_at: datetime | None = None


class Deactivated(CAError):
    """An authorization was taken away while it was being proven: a follower released a stuck order; order again."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A pending authorization, the solver and the challenge that were chosen for it, and what is published for that."""

    wanted: Wanted
    solver: str
    authorization: Authorization
    challenge: Challenge
    response: Response


def prepared(
    session: Session,
    wanted: Wanted,
    authorization: Authorization,
    choosing: Choosing,
    tried: Mapping[str, AcmectlError],
) -> Attempt:
    """How to prove an authorization, by no solver that was `tried`; raises why it cannot be: Deactivated, CAError, SolverError."""
    from acmectl.ca.proving import key_authorization

    if authorization.status is not AuthorizationStatus.PENDING:
        raise judged(authorization)
    offered = {c.type: c for c in authorization.challenges}
    choice = choosing.first(wanted, offered, tried)
    challenge = offered[choice.type]
    response = Response(wanted.identifier, challenge.type, challenge.token, key_authorization(session, challenge))
    return Attempt(wanted, choice.solver, authorization, challenge, response)


class ValidationFailed(CAError):
    """The CA looked, and did not find what proves the name; another solver may prove it."""


_NOT_THE_SOLVERS = frozenset({"caa", "rateLimited", "rejectedIdentifier", "serverInternal", "userActionRequired"})
"""Problems (RFC 8555 section 6.7) of an authorization that would have come of any challenge."""


def judged(authorization: Authorization) -> CAError:
    """Why an authorization that is not valid is not, in the CA's own words."""
    problem = authorization.error or Problem("", "")
    match authorization.status:
        case AuthorizationStatus.DEACTIVATED:
            return Deactivated("the authorization was deactivated while it was being proven")
        case AuthorizationStatus.PENDING:
            return CAError(f"the CA did not decide within {ORDER_TIMEOUT.total_seconds():g} s")
        case AuthorizationStatus.INVALID if authorization.error:
            kind = CAError if problem.type in _NOT_THE_SOLVERS else ValidationFailed
            return kind(f"the CA's validation failed: {problem}")
        case status:
            return CAError(f"the authorization is `{status}`")


def seen(authorization: Authorization, *, answered_at: datetime | None = None) -> Proven:
    """A valid authorization; `answered_at` is when this run answered its challenge, None where it found it valid.

    Without the CA's `validated` the moment of the answer stands in for it: else L would never be learned there, and
    every run would refresh.
    """
    expires_at, validated_at = authorization.expires_at, authorization.validated_at or answered_at
    lifetime = expires_at - validated_at if expires_at and validated_at else None
    types = [c.type for c in authorization.challenges if c.status is ChallengeStatus.VALID]
    return Proven(
        authorization,
        expires_at,
        lifetime,
        types[0] if types else None,
        fresh=answered_at is not None,
        validated_at=validated_at,
    )


def by_solver(attempts: Iterable[Attempt]) -> dict[str, list[Attempt]]:
    """The attempts of each solver."""
    groups: dict[str, list[Attempt]] = {}
    for one in attempts:
        groups.setdefault(one.solver, []).append(one)
    return groups
