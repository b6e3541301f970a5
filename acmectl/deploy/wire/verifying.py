"""Wait until services serve what they should: looks at growing intervals, until all are seen or patience ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from acmectl import workers
from acmectl.deploy.wire.expected import Expected
from acmectl.deploy.wire.options import PATIENCE, TIMEOUT, Endpoint
from acmectl.errors import DeployError


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
    raise NotImplementedError
