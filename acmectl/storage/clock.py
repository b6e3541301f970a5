"""The CA's time, as far as this host knows it.

Every lifetime is the CA's word, so it is judged by the CA's clock: ours, corrected by the `Date` of the CA's last answer. A host
that is a year ahead would otherwise take each certificate for expired, and ask for a new one at every run, until the rate
limit ends it for a week. A correction is not believed any more once our clock has jumped back behind the moment at which it was learned:
somebody has set it right, or wrong: a host that is 20 days behind takes everything for fresh, has nothing to ask the CA, and would not
notice. So each run leaves its time behind, and one that comes before the last asks for the CA's first.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from acmectl.model.tlsa import Uptime

if TYPE_CHECKING:
    from acmectl.storage.memory import Memory

_FACT = "clock-offset"
_LATEST = "clock-latest"
TOLERANCE = timedelta(minutes=1)  # a smaller difference is the way of the answer, and not corrected


def uptime() -> Uptime | None:
    """How long this host has run, suspended times included; None where that cannot be known."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return Uptime(boot, time.clock_gettime(time.CLOCK_BOOTTIME))
    except OSError:
        return None


class CAClock:
    """Calling it gives the CA's time, aware UTC."""

    def __init__(self, memory: Memory, clock: Callable[[], datetime]) -> None:
        """`clock` is this host's own."""
        self._memory = memory
        self._clock = clock

    def __call__(self) -> datetime:
        """Our time, and the remembered correction if it still holds."""
        now = self._clock()
        fact = self._memory.fact(_FACT)
        if fact is None:
            return now
        offset, learned_at = json.loads(fact)
        if now < datetime.fromtimestamp(learned_at, UTC):
            return now
        return now + timedelta(seconds=offset)

    @property
    def jumped_back(self) -> bool:
        """Whether our clock was later in an earlier run, and the CA has not told the time since."""
        latest = self._memory.fact(_LATEST)
        return latest is not None and self._clock() < datetime.fromtimestamp(float(latest), UTC) - TOLERANCE

    def review(self) -> None:
        """Forget a correction that our clock has disproved; for runs, which hold the lock, before they decide anything.

        The time of the run is written down, but no earlier one in place of a later one.
        """
        fact = self._memory.fact(_FACT)
        if fact is not None and self._clock() < datetime.fromtimestamp(json.loads(fact)[1], UTC):
            self._memory.set_fact(_FACT, None)
        if not self.jumped_back:
            self._leave_time()

    def _leave_time(self) -> None:
        self._memory.set_fact(_LATEST, str(self._clock().timestamp()))

    def learn(self, offset: timedelta | None) -> None:
        """The CA's clock minus ours, as a session has seen it; None where it has seen nothing."""
        if offset is None:
            return
        if self.jumped_back:
            self._leave_time()
        if abs(offset) <= TOLERANCE:
            if self._memory.fact(_FACT) is not None:
                self._memory.set_fact(_FACT, None)
        else:
            self._memory.set_fact(_FACT, json.dumps([offset.total_seconds(), self._clock().timestamp()]))
