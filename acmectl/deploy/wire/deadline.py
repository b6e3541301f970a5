"""The moment at which something is over, waited for in slices: Ctrl-C and SIGTERM reach only the main thread, and nobody sits out a look."""

from __future__ import annotations

import time
from datetime import timedelta

from acmectl import workers
from acmectl.errors import Interrupted

SLICE_SECONDS = 0.5  # how often to look whether the run was given up


class Deadline:
    """A moment; `limit` is how long it was until then, for messages."""

    def __init__(self, limit: timedelta) -> None:
        """The time begins to run."""
        self.limit = limit
        self._at = time.monotonic() + limit.total_seconds()

    def left(self) -> float:
        """Seconds; none any more when it is over. Raises Interrupted when the run was given up."""
        if workers.is_abandoned():
            raise Interrupted("interrupted")
        return max(0.0, self._at - time.monotonic())

    def slice(self) -> float:
        """How many seconds to wait before this is asked again. Raises Interrupted as `left` does."""
        return min(self.left(), SLICE_SECONDS)

    def __str__(self) -> str:
        return f"{self.limit.total_seconds():g} s"
