"""Services are told to read their files again: each once a run, however many certificates changed, and after all files are in place."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Iterable

from acmectl import programs
from acmectl.errors import DeployError
from acmectl.follower import environment
from acmectl.follower.targets import Failures, Work, attempt
from acmectl.model.memory import DeployStep

log = logging.getLogger(__name__)


def reload(works: Iterable[Work]) -> Failures:
    """Run the reload command of each service once, and the command of each target that is one; returns what failed.

    A service whose check is its reload has read its files by now.
    """
    groups: dict[object, list[Work]] = {}
    for work in works:
        if work.target.is_reloaded_by_check:
            continue
        groups.setdefault(work.target.reload_command or work, []).append(work)
    failed: Failures = {}
    for group in groups.values():
        step = DeployStep.RUN if group[0].target.run else DeployStep.RELOAD
        if broken := attempt(step, lambda g=group: _tell(g)):  # type: ignore[misc]
            failed |= dict.fromkeys(group, broken)
    return failed


def _tell(works: list[Work]) -> None:
    first = works[0].target
    if first.run:
        log.info("running: %s", shlex.join(first.run))
        timeout, told = first.run_timeout, environment.of_one(works[0])
        programs.run(first.run, timeout=timeout, limit="timeout", environment=told, error=DeployError)
    elif first.reload_command:
        log.info("reloading: %s", shlex.join(first.reload_command))
        timeout, told = max(work.target.reload_timeout for work in works), environment.of_all(works)
        programs.run(first.reload_command, timeout=timeout, limit="reload_timeout", environment=told, error=DeployError)
