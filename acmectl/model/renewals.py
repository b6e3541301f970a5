"""What speaks for or against a renewal beside the certificate itself: the CA's advice, a rollback, a revocation."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class RenewalInfo:
    """When the CA suggests to renew one certificate (ARI, RFC 9773), as it was last asked.

    `fingerprint` is that of `Installed`: advice for another certificate is none. The window is None until the CA gave one, and
    stays as it was when a later question failed, which `error` tells. `ask_again_at` is when to ask again.
    """

    label: str
    fingerprint: str
    certificate_id: str
    asked_at: datetime
    ask_again_at: datetime
    start_at: datetime | None = None
    end_at: datetime | None = None
    explanation_url: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Rollback:
    """That a person put an older certificate back into use; it is not renewed away before `held_until`.

    `fingerprint` is that of `Installed`, so that a rollback ends with the next switch. `wish` identifies what the configuration asked for
    at that moment: once it asks for something else, the person has decided anew.
    """

    label: str
    fingerprint: str
    wish: str
    at: datetime
    held_until: datetime


class Reason(StrEnum):
    """Why a certificate is revoked: those of RFC 5280 section 5.3.1 that subscribers may give."""

    UNSPECIFIED = "unspecified"
    KEY_COMPROMISE = "keyCompromise"
    AFFILIATION_CHANGED = "affiliationChanged"
    SUPERSEDED = "superseded"
    CESSATION_OF_OPERATION = "cessationOfOperation"

    @property
    def code(self) -> int:
        """The number that ACME sends (RFC 8555 section 7.6)."""
        return _CODES[self]


_CODES = {
    Reason.UNSPECIFIED: 0,
    Reason.KEY_COMPROMISE: 1,
    Reason.AFFILIATION_CHANGED: 3,
    Reason.SUPERSEDED: 4,
    Reason.CESSATION_OF_OPERATION: 5,
}


@dataclass(frozen=True, slots=True)
class Revocation:
    """That a generation was revoked, as its folder says. `spki` is the pin of its key, as in `Installed`.

    `distrusts_key` says that the key may never be used again: it was told to be compromised.
    """

    generation: int
    serial: str
    spki: str
    reason: Reason
    at: datetime
    distrusts_key: bool
