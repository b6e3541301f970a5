"""Whether the services serve what they were given: all of a run are looked at together, and their patience runs together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from acmectl.errors import AcmectlError
from acmectl.follower.targets import Broken, Failures, Work
from acmectl.model.memory import DeployStep

if TYPE_CHECKING:
    from acmectl.deploy.wire.verifying import Request


def verify(
    works: Sequence[Work],
    *,
    now: Callable[[], datetime],
    pause: Callable[[float], None],
    at_once: bool = False,
) -> Failures:
    """Look at every service that is to be looked at; `at_once` has no patience. Returns what does not serve its certificate."""
    works = [work for work in works if work.target.verify is not None]
    if not works:
        return {}
    from acmectl.deploy.wire.verifying import BeyondReload, verify_all

    failed: Failures = {}
    requests: dict[Work, Request] = {}
    for work in works:
        try:
            requests[work] = _request(work)
        except AcmectlError as error:
            failed[work] = Broken(DeployStep.VERIFY, error.message, error.hint)
    if at_once:
        requests = {work: replace(request, patience=timedelta()) for work, request in requests.items()}
    unseen = verify_all(tuple(dict.fromkeys(requests.values())), now=now, pause=pause)
    for work, request in requests.items():
        if (refused := unseen.get(request)) is not None:
            beyond = isinstance(refused, BeyondReload)
            failed[work] = Broken(DeployStep.VERIFY, refused.message, refused.hint, beyond_reload=beyond)
    return failed


def _request(work: Work) -> Request:
    from acmectl.deploy.wire.expected import expected
    from acmectl.deploy.wire.verifying import Request

    options, target = work.target.verify, work.target
    assert options is not None  # noqa: S101  # asked for above
    wanted = expected(work.installed, work.directory, names=work.names, family=target.family)
    return Request(options.endpoints, wanted, options.patience, options.timeout)
