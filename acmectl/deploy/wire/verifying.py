"""Wait until services serve what they should: looks at growing intervals, until all are seen or patience ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from acmectl import workers
from acmectl.deploy.wire.expected import Expected
from acmectl.deploy.wire.looking import Sighting, look
from acmectl.deploy.wire.options import PATIENCE, TIMEOUT, Endpoint
from acmectl.errors import DeployError

_FIRST_PAUSE = 0.25  # seconds; a reload that is done takes no longer
_LONGEST_PAUSE = 4.0
_AT_ONCE = 8  # endpoints that are looked at concurrently


def utc_now() -> datetime:
    """The clock of this host, aware."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Request:
    """One target to verify: where to look, and for what."""

    endpoints: tuple[Endpoint, ...]
    expected: Expected
    patience: timedelta = PATIENCE
    timeout: timedelta = TIMEOUT


def verify(
    endpoints: Sequence[Endpoint],
    expected: Expected,
    *,
    patience: timedelta = PATIENCE,
    timeout: timedelta = TIMEOUT,
    now: Callable[[], datetime] = utc_now,
    monotonic: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = workers.pause,
) -> None:
    """Return when every endpoint serves what is expected; raises DeployError, which names those that do not and what they serve."""
    request = Request(tuple(endpoints), expected, patience, timeout)
    for error in verify_all([request], now=now, monotonic=monotonic, pause=pause).values():
        raise error


def verify_all(
    requests: Sequence[Request],
    *,
    now: Callable[[], datetime] = utc_now,
    monotonic: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = workers.pause,
) -> dict[Request, DeployError]:
    """As `verify`, for all targets of a run at the same time; returns the failed ones. Their patience runs together."""
    seen = observe(requests, now=now, monotonic=monotonic, pause=pause)
    return {request: error for request, sightings in seen.items() if (error := _error(sightings))}


def observe(
    requests: Sequence[Request],
    *,
    now: Callable[[], datetime] = utc_now,
    monotonic: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = workers.pause,
) -> dict[Request, tuple[Sighting, ...]]:
    """What is seen at every address of every request in the end, in the order of their endpoints."""
    places = [_Place(request, endpoint) for request in dict.fromkeys(requests) for endpoint in request.endpoints]
    seen: dict[_Place, tuple[Sighting, ...]] = {}
    began, pending, interval = monotonic(), places, _FIRST_PAUSE
    while pending:
        looked, failed = workers.each(pending, lambda place: place.look(now()), workers=_AT_ONCE)
        for error in failed.values():
            raise error
        seen |= looked
        left = {place: place.request.patience.total_seconds() - (monotonic() - began) for place in pending}
        pending = [place for place in pending if left[place] > 0 and any(s.fault for s in seen[place])]
        if pending:
            pause(min(interval, *(left[place] for place in pending)))
            interval = min(2 * interval, _LONGEST_PAUSE)
    return {
        request: tuple(s for place in places if place.request == request for s in seen[place])
        for request in dict.fromkeys(requests)
    }


@dataclass(frozen=True, slots=True)
class _Place:
    request: Request
    endpoint: Endpoint

    def look(self, now: datetime) -> tuple[Sighting, ...]:
        return look(self.endpoint, self.request.expected, timeout=self.request.timeout, now=now)


def _error(sightings: Sequence[Sighting]) -> DeployError | None:
    """All that is wrong in one error; the hints are often the same."""
    faults = [(sighting.place, sighting.fault) for sighting in sightings if sighting.fault]
    if not faults:
        return None
    hints = dict.fromkeys(fault.hint for _, fault in faults if fault.hint)
    return DeployError("; ".join(f"{place} {fault.words}" for place, fault in faults), hint="; ".join(hints) or None)
