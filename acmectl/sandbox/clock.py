"""The sandbox's clock, which a rehearsal moves: a month of renewals in a second."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Clock:
    """The time that the sandbox believes in: the host's, and what it was moved by. `source` replaces the host's."""

    def __init__(self, source: Callable[[], datetime] = _utc_now) -> None:
        self._source = source
        self._lock = threading.Lock()
        self._offset = timedelta(0)

    def now(self) -> datetime:
        """The moved time, aware UTC."""
        return self._source() + self._offset

    def advance(self, by: timedelta) -> datetime:
        """Move by a duration (a negative one goes back) and return the new time; OverflowError beyond the calendar."""
        with self._lock:
            moved = self._source() + self._offset + by
            self._offset += by
            return moved

    def set(self, to: datetime) -> datetime:
        """Move to a moment, from which time goes on."""
        with self._lock:
            self._offset = to - self._source()
            return to
