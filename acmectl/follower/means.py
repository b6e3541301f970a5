"""What the parts of a follower work with: state, clocks, settings, and the sessions of one run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from acmectl.model.certificates import KIND
from acmectl.model.memory import Event

if TYPE_CHECKING:
    from acmectl.ca.session import Session
    from acmectl.deploy.tlsa.publisher import Publisher
    from acmectl.errors import AcmectlError
    from acmectl.follower.results import Settings
    from acmectl.storage.certificates import Certificates
    from acmectl.storage.clock import CAClock
    from acmectl.storage.memory import Memory
    from acmectl.storage.previous_files import PreviousFiles
    from acmectl.storage.revocations import Revocations


class Sessions:
    """The sessions of one run: one for each account, opened when it is first needed."""

    def __init__(self, connect: Callable[[str], Session]) -> None:
        """`connect` opens a session for an account by name."""
        self._connect = connect
        self._open: dict[str, Session] = {}

    def of(self, account: str) -> Session:
        """The session of an account. Raises StorageError where it is missing, or belongs to another CA."""
        if account not in self._open:
            self._open[account] = self._connect(account)
        return self._open[account]

    def close(self) -> None:
        """Close all connections."""
        for session in self._open.values():
            session.close()

    def counts(self) -> dict[str, int]:
        """How many requests were sent, by kind."""
        counts: dict[str, int] = {}
        for session in self._open.values():
            for kind, count in session.requests.items():
                counts[kind] = counts.get(kind, 0) + count
        return counts

    def clock_offset(self) -> timedelta | None:
        """The CA's clock minus ours; None where no CA was asked."""
        return next((s.clock_offset for s in self._open.values() if s.clock_offset is not None), None)


@dataclass(frozen=True, slots=True)
class Means:
    """The collaborators of a follower; `pause` sleeps for seconds, `directory_url` is as the configuration writes it.

    `account_error` tells why an account cannot be used, if so. `publishers` are those of certificates whose keys are published, by
    configured label, `kinds` the labels of all kinds of each.
    """

    certificates: Certificates
    revocations: Revocations
    previous_files: PreviousFiles
    memory: Memory
    clock: CAClock
    pause: Callable[[float], None]
    directory_url: str
    settings: Settings
    sessions: Sessions
    account_error: Callable[[str], AcmectlError | None]
    publishers: Mapping[str, Publisher] = field(default_factory=dict)
    kinds: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def log(self, label: str, kind: str, text: str) -> None:
        """Add a line to the log that `acmectl log` shows, where all kinds of a certificate tell one story."""
        subject, _, key = label.partition(KIND)
        self.memory.add_event(Event(self.clock(), subject, kind, f"{key}: {text}" if key else text))
