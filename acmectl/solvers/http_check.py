"""Seen by the CA, as far as this host can tell: the URL of every http-01 challenge answers its key authorization.

Asked at the name itself, as the CA does, or at `check_address` where this host cannot reach its own public address (NAT without
hairpin, or a firewall). `check: no` is for hosts where neither works: the first who looks is then the CA itself, and
what it does not find counts as a failed validation (five in an hour stop the name, Let's Encrypt).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import timedelta

from acmectl.dns.endpoints import Endpoint
from acmectl.dns.options import TimeLimit
from acmectl.errors import SolverError
from acmectl.options import Options
from acmectl.solvers.base import Failures, Response
from acmectl.solvers.failures import solver_error
from acmectl.solvers.option_types import HttpEndpoint
from acmectl.workers import each, pause

_WORKERS = 32
_PAUSE_SECONDS = 0.5
_REQUEST_SECONDS = 5.0


class HttpCheckOptions(Options):
    """How a solver for http-01 looks at its own answers before the CA does."""

    check: bool = True
    """Whether the URL is asked before the CA is told to; without that a mistake counts as a failed validation."""

    check_address: HttpEndpoint | None = None
    """Where to ask instead of at the name itself, for hosts that cannot reach their own public address."""

    check_timeout: TimeLimit = timedelta(seconds=10)
    """How long to wait until the URL answers."""


class HttpCheck:
    """Waits until the URLs of challenges answer."""

    def __init__(self, options: HttpCheckOptions) -> None:
        self._options = options

    def seen(self, responses: Sequence[Response]) -> Failures:
        """Ask until each answers, or `check_timeout` is over; each is asked once at least."""
        if not self._options.check:
            return {}
        address = self._options.check_address
        return look_until_seen(responses, lambda one: _look(one, address), timeout=self._options.check_timeout)


def look_until_seen(responses: Sequence[Response], look: Callable[[Response], None], *, timeout: timedelta) -> Failures:
    """Look at each response in parallel until `look` raises no AcmectlError, or the time is over; once at least."""
    pending = list(dict.fromkeys(responses))
    end = time.monotonic() + timeout.total_seconds()
    while True:
        _, failed = each(pending, look, workers=_WORKERS)
        pending = list(failed)
        if not pending or time.monotonic() + _PAUSE_SECONDS > end:
            return {response: solver_error(error) for response, error in failed.items()}
        pause(_PAUSE_SECONDS)


def _look(response: Response, address: Endpoint | None) -> None:
    from acmectl.solvers.http_fetch import fetch

    url = f"http://{response.identifier.url_host}{response.url_path}"
    body = fetch(url, address=address, seconds=_REQUEST_SECONDS)
    if body.rstrip() != response.key_authorization.encode("ascii"):
        raise SolverError(
            f"`{url}`{_at(address)} answers something else than the key authorization",
            hint="another web server or a default page answers for this name: see its configuration",
        )


def _at(address: Endpoint | None) -> str:
    return f" (asked at `{address}`)" if address else ""
