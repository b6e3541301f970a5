"""What a master is told, and what it says of a run: values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from acmectl.errors import AcmectlError
from acmectl.master.books import NEW_ORDERS
from acmectl.model.memory import RememberedAuthorization
from acmectl.policy.lifetimes import Schedule
from acmectl.policy.refresh import Wanted


class Outcome(StrEnum):
    """What a run did with a name."""

    KEPT = "kept"
    PROVEN = "proven"
    FOUND = "found valid"
    FAILED = "failed"
    WAITING = "waiting"


@dataclass(frozen=True, slots=True)
class NameResult:
    """A name, what became of it, until when it is authorized (None: it is not, or nobody knows), and why.

    `is_paused` says that no later run tries it before a person has acted; `is_firm` that the CA itself has said until when it is to
    be left alone, so that asking by name changes nothing.
    """

    wanted: Wanted
    outcome: Outcome
    expires_at: datetime | None = None
    reason: str = ""
    hint: str | None = None
    retry_at: datetime | None = None
    is_paused: bool = False
    is_firm: bool = False

    @property
    def is_missing(self) -> bool:
        """Whether followers cannot use it after this run."""
        return self.outcome in {Outcome.FAILED, Outcome.WAITING} and self.expires_at is None


class Found(StrEnum):
    """What the CA says of a remembered authorization, when it is asked (`--verify`); `LAPSED` is one whose time was over."""

    VALID = "valid"
    LAPSED = "lapsed"
    LOST = "lost"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Looked:
    """A remembered authorization that the CA was asked about; `words` say what it answered."""

    authorization: RememberedAuthorization
    found: Found
    words: str


@dataclass(frozen=True, slots=True)
class Forgotten:
    """A remembered authorization that is to be given up; `error` says why it could not be."""

    authorization: RememberedAuthorization
    error: AcmectlError | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """Something about the CA that a person should know, and what to do about it."""

    text: str
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class MasterReport:
    """The result of each name in the order of the configuration, and how many requests of each kind it took.

    `looked` is filled by `--verify`.
    """

    results: tuple[NameResult, ...]
    requests: Mapping[str, int]
    clock_offset: timedelta | None = None
    looked: tuple[Looked, ...] = ()
    notes: tuple[Note, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether any name failed in this run, or waits after an earlier failure and is not authorized."""
        return any(r.outcome is Outcome.FAILED or r.is_missing for r in self.results)


@dataclass(frozen=True, slots=True)
class Settings:
    """How a master works; the configuration's `master:` says what each means.

    `may_wait`: whether a person can ask for a name (`master run NAME`), so that what the CA has paused may wait for that.
    """

    schedule: Schedule
    workers: int = 16
    new_orders: int = NEW_ORDERS.count
    may_wait: bool = True
