"""How long we wait for a CA: what `Retry-After` asks for, growing pauses where it asks for nothing, and an upper bound.

A run is not the place to sit out a rate limit of hours. Inside one request at most `WITHIN_A_REQUEST` is waited; what a
CA asks for beyond that goes to the caller in the error, who remembers it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

PAUSES = (1.0, 2.0, 4.0, 8.0)  # seconds between the tries of one request that may be repeated
WITHIN_A_REQUEST = 60.0  # seconds that one request waits in all, whatever is asked for
_LEAST_SECONDS = 0.25  # `Retry-After: 0` must not make us spin
_LONGEST = timedelta(days=366)  # what a CA can ask for; more is a mistake of somebody's


@dataclass(frozen=True, slots=True)
class Clocks:
    """The three clocks of a session, so that a test need not wait: `pause` sleeps, `monotonic` counts, `now` is UTC."""

    pause: Callable[[float], object] = time.sleep
    monotonic: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


class Patience:
    """The waiting of one request."""

    def __init__(self, clocks: Clocks) -> None:
        """Patience that has not been used yet."""
        self._clocks = clocks
        self._pauses = iter(PAUSES)
        self._left = WITHIN_A_REQUEST

    def wait(self, demanded: timedelta | None = None) -> bool:
        """Pause before another try, as long as `demanded` or a little longer each time; False where it is used up."""
        seconds = next(self._pauses, None)
        if seconds is None:
            return False
        if demanded is not None:
            seconds = max(demanded.total_seconds(), _LEAST_SECONDS)
        if seconds > self._left:
            return False
        self._left -= seconds
        self._clocks.pause(seconds)
        return True


class Polling:
    """The pauses between two looks at something that the CA works on: half a second, growing to five.

    A pause is never shorter than `Retry-After`; where that, or the `timeout`, ends the waiting, `wait` says so.
    """

    def __init__(self, clocks: Clocks, timeout: timedelta) -> None:
        """Start to wait now, for at most `timeout`."""
        self._clocks = clocks
        self._until = clocks.monotonic() + timeout.total_seconds()
        self._next = 0.5

    def wait(self, demanded: timedelta | None) -> bool:
        """Pause until the next look is due; False where that would be after the time limit."""
        left = self._until - self._clocks.monotonic()
        if demanded is None:
            seconds, self._next = min(self._next, left), min(self._next * 1.5, 5.0)
        else:
            seconds = max(demanded.total_seconds(), _LEAST_SECONDS)
        if left <= 0 or seconds > left:
            return False
        self._clocks.pause(seconds)
        return True


def retry_after(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """`Retry-After` (RFC 9110 section 10.2.3) as a duration, None where it is missing or no such thing.

    A date is compared with the `Date` of the same answer where there is one, else with `now`: a host whose clock is
    wrong waits as long as the others do.
    """
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return min(timedelta(seconds=int(value[:10])), _LONGEST)
    until = http_date(value)
    if until is None:
        return None
    return min(max(until - (http_date(headers.get("Date", "")) or now), timedelta(0)), _LONGEST)


def http_date(text: str) -> datetime | None:
    """An HTTP date (RFC 9110 section 5.6.7) in UTC, None where it is none."""
    try:
        moment = parsedate_to_datetime(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        return None
