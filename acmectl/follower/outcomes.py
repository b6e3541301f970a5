"""What issuing one certificate can come to, besides an error."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from acmectl.errors import CAError, KeyMaterialError
from acmectl.model.certificates import Installed
from acmectl.model.names import Identifier


@dataclass(frozen=True, slots=True)
class Issued:
    """A new generation is complete and current. `warning` is what the person should know of it, if anything."""

    installed: Installed
    warning: str | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """The master has not authorized these names yet: an expected outcome.

    `given_up_at` is set when the CA handed an old order out again: it may be stuck although its names are
    authorized by now, and is given up at that moment (or later, where too many were released already). `next_look_at`
    is set when the CA was not asked, because it was a short while ago: when a run will ask again. `profile` is that of the order,
    `account_profile` the one under which the account was registered or exported, where that is known.
    """

    names: tuple[Identifier, ...]
    since: datetime
    account_url: str
    directory_url: str
    given_up_at: datetime | None = None
    next_look_at: datetime | None = None
    profile: str | None = None
    account_profile: str | None = None

    @property
    def is_under_another_profile(self) -> bool:
        """Whether the master proves under another profile, most likely: the CA reuses nothing across profiles then (Boulder)."""
        return self.account_profile is not None and self.account_profile != self.profile


@dataclass(frozen=True, slots=True)
class KeyWaits:
    """Every client accepts the key from `until` on, if the zone stays as it is, and it must not be used before: an expected outcome."""

    reason: str
    until: datetime


class KeyNotAccepted(KeyMaterialError):
    """Not every client accepts the key yet; `until` is from when on they do, None where the zone lacks records."""

    def __init__(self, message: str, *, hint: str | None, until: datetime | None) -> None:
        super().__init__(message, hint=hint)
        self.until = until


class LostRace(CAError):
    """Another host with the same names finalized the order: an order of one's own is needed."""
