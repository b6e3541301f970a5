"""Orders, authorizations and challenges as RFC 8555 section 7.1 draws them, and the states they can be in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from acmectl.errors import Problem
from acmectl.model.names import Identifier


class OrderStatus(StrEnum):
    """RFC 8555 section 7.1.6. Pebble 2.4's illegal `deactivated` is read as `invalid`."""

    PENDING = "pending"
    READY = "ready"
    PROCESSING = "processing"
    VALID = "valid"
    INVALID = "invalid"


class AuthorizationStatus(StrEnum):
    """RFC 8555 section 7.1.6."""

    PENDING = "pending"
    VALID = "valid"
    INVALID = "invalid"
    DEACTIVATED = "deactivated"
    EXPIRED = "expired"
    REVOKED = "revoked"


class ChallengeStatus(StrEnum):
    """RFC 8555 section 7.1.6."""

    PENDING = "pending"
    PROCESSING = "processing"
    VALID = "valid"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way to fulfil an authorization (RFC 8555 section 8). `token` is empty for types that have none."""

    type: str
    url: str
    token: str
    status: ChallengeStatus
    validated_at: datetime | None = None
    error: Problem | None = None


@dataclass(frozen=True, slots=True)
class Authorization:
    """That an account may (or did) prove control of one identifier (RFC 8555 section 7.1.4).

    `identifier` has its `*.` again where the CA said `"wildcard": true`.
    """

    url: str
    identifier: Identifier
    status: AuthorizationStatus
    expires_at: datetime | None
    challenges: tuple[Challenge, ...]

    @property
    def validated_at(self) -> datetime | None:
        """When control was proven: the `validated` of the challenge that is valid."""
        moments = [c.validated_at for c in self.challenges if c.status is ChallengeStatus.VALID and c.validated_at]
        return max(moments, default=None)

    @property
    def error(self) -> Problem | None:
        """What the CA said of the challenge that failed, if one did."""
        return next((c.error for c in self.challenges if c.error), None)

    @property
    def is_processing(self) -> bool:
        """Whether the CA is looking at an answered challenge right now."""
        return any(c.status is ChallengeStatus.PROCESSING for c in self.challenges)


@dataclass(frozen=True, slots=True)
class Order:
    """A request for a certificate over a set of identifiers (RFC 8555 section 7.1.3).

    `authorization_urls` come in no particular order: match authorizations by their identifier.
    """

    url: str
    status: OrderStatus
    identifiers: frozenset[Identifier]
    authorization_urls: tuple[str, ...]
    finalize_url: str
    certificate_url: str | None = None
    expires_at: datetime | None = None
    profile: str | None = None
    error: Problem | None = None
