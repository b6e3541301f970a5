"""Moments and spans of time in files of ours: as text and seconds, and read back only where one can reckon with them.

A damaged file may hold the year 9999, or as many seconds, and whoever adds anything to that gets an error that nobody expects.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

_YEARS = range(1970, 9000)
_LONGEST = 2**32  # seconds: as long as a time to live can be said to be (RFC 1035 section 3.2.1)


def text(at: datetime | None) -> str | None:
    """The moment, in UTC (ISO 8601)."""
    return at.astimezone(UTC).isoformat() if at else None


def moment(text: str | None) -> datetime | None:
    """The moment that `text` wrote. Raises ValueError or TypeError for what is none."""
    if text is None:
        return None
    at = datetime.fromisoformat(text)
    if at.year not in _YEARS:
        raise ValueError(f"no year to reckon with: {at.year}")
    return at.astimezone(UTC)


def seconds(value: Any) -> float:
    """As many seconds as a time to live can have, or a host can run. Raises ValueError, TypeError or OverflowError for anything else."""
    number = float(value)
    if not 0 <= number < _LONGEST:
        raise ValueError(f"no number of seconds to reckon with: {number}")
    return number


def span(value: Any) -> timedelta:
    """The span of so many `seconds`. Raises as that does."""
    return timedelta(seconds=seconds(value))
