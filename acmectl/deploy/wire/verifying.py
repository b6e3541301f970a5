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


class BeyondReload(DeployError):
    """A service does not serve what it should, though it has what it was given."""


@dataclass(frozen=True, slots=True)
class Request:
    """One target to verify: where to look, and for what."""

    endpoints: tuple[Endpoint, ...]
    expected: Expected
    patience: timedelta = PATIENCE
    timeout: timedelta = TIMEOUT


_Place = tuple[Request, Endpoint]


def verify_all(
    requests: Sequence[Request],
    *,
    now: Callable[[], datetime] = utc_now,
    monotonic: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = workers.pause,
) -> dict[Request, DeployError]:
    """Return when every target serves what is expected, or patience ended, which runs for all together.

    The errors are those of the targets that do not: they name each place that does not, and what it serves. Raises Interrupted.
    """
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
    places = [(request, endpoint) for request in dict.fromkeys(requests) for endpoint in request.endpoints]
    seen: dict[_Place, tuple[Sighting, ...]] = {}
    began, pending, interval = monotonic(), places, _FIRST_PAUSE
    while pending:
        looked, failed = workers.each(pending, lambda place: _look(*place, now()), workers=_AT_ONCE)
        for error in failed.values():
            raise error
        seen |= looked
        left = {place: place[0].patience.total_seconds() - (monotonic() - began) for place in pending}
        pending = [place for place in pending if left[place] > 0 and any(s.fault for s in seen[place])]
        if pending:
            pause(min(interval, *(left[place] for place in pending)))
            interval = min(2 * interval, _LONGEST_PAUSE)
    return {
        request: tuple(s for place in places if place[0] == request for s in seen[place])
        for request in dict.fromkeys(requests)
    }


def _look(request: Request, endpoint: Endpoint, now: datetime) -> tuple[Sighting, ...]:
    return look(endpoint, request.expected, timeout=request.timeout, now=now)


def _error(sightings: Sequence[Sighting]) -> DeployError | None:
    """All that is wrong in one error; the hints are often the same."""
    faults = [(sighting.place, sighting.fault) for sighting in sightings if sighting.fault]
    if not faults:
        return None
    hints = dict.fromkeys(fault.hint for _, fault in faults if fault.hint)
    kind = BeyondReload if all(fault.as_installed for _, fault in faults) else DeployError
    return kind("; ".join(f"{place} {fault.words}" for place, fault in faults), hint="; ".join(hints) or None)
