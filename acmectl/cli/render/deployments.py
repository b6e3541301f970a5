"""Words about what became of targets, and of commands that are run after them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any

import click

from acmectl.cli.render.words import RED, YELLOW, counted, hint, iso, lines, moment, say
from acmectl.model.certificates import KIND, title_of
from acmectl.model.memory import DeployStep
from acmectl.policy.deployment import pause_after

if TYPE_CHECKING:
    from acmectl.follower.onchange import Once
    from acmectl.follower.settling import Unsettled
    from acmectl.follower.targets import DeployResult, Wait
    from acmectl.model.memory import Deployment


def deployments(results: Iterable[DeployResult], *, talks: bool) -> None:
    """What became of each target; a failure is said in any case, and what to do once for failures that are alike."""
    for advice, alike in groupby(results, key=_advice):
        for result in alike:
            _deployment(result, talks=talks)
        hint(advice)


def _advice(deployment: DeployResult) -> str | None:
    if not deployment.error:
        return None
    return deployment.hint or (at_once([deployment.label]) if deployment.label else None)


def _deployment(deployment: DeployResult, *, talks: bool) -> None:
    title, target = title_of(deployment.label), deployment.target
    if deployment.error:
        what = f"certificate `{title}`" if title else "this host"
        state = f": {target} failed" if is_command(target) else f" is not deployed to {target}" if target else ""
        say("error", f"{what}{state}: {deployment.error}{_next_attempt(deployment)}", RED)
    elif talks:
        done = "ran" if is_command(target) else "deployed to"
        why = " again: its files were changed or removed by somebody since" if deployment.changed else ""
        click.echo(f"{f'{title}: ' if title else ''}{done} {target}{why}")


def _next_attempt(deployment: DeployResult) -> str:
    """When a run tries again: the first failures are tried again by the very next one."""
    if deployment.retry_at is None or not pause_after(deployment.attempts, deployment.step):
        return "; the next run tries again"
    return f"; next attempt after {moment(deployment.retry_at)}"


def onchange_status(once: Iterable[Once], now: datetime) -> None:
    """What is to be run once after all, and was not."""
    for one in once:
        if one.is_owed:
            lines(target_behind(one.deployment.target, one.deployment, now))


def target_behind(
    target: str, last: Deployment | None, now: datetime, *, changed: bool = False, wait: Wait | None = None
) -> Iterable[tuple[str, str | None]]:
    """Why a target does not have what it should, as lines with their colours; `wait` is what it waits for, if it does."""
    undone = f"{target} was not run" if is_command(target) else f"not deployed to {target}"
    if wait is not None:
        yield from _waits(undone, wait)
        return
    if last is None or last.error is None:
        yield (
            f"{undone}{': its files were changed or removed by somebody since' if changed else ': the next run does that'}",
            RED,
        )
        if changed and last is not None and last.retry_at is not None and last.retry_at > now:
            times = counted(last.changes, "time")
            yield f"  deployed again {times} because of that; next attempt after {moment(last.retry_at)}", None
        return
    yield f"{f'{target} failed' if is_command(target) else undone}: {last.error}", RED
    later = last.retry_at is not None and last.retry_at > now
    when = f"next attempt after {moment(last.retry_at)}" if later else "the next run tries again"
    times = counted(last.attempts, "time")
    rewritten = last.failed_step is DeployStep.KEEP
    failed = f"changed {times} after the reload" if rewritten else f"failed {times} to {last.failed_step}"
    yield f"  {failed} since {moment(last.failing_since)}; {when}", None


def _waits(what: str, wait: Wait) -> Iterable[tuple[str, str | None]]:
    yield f"{what}: {wait.reason}", RED if wait.is_failure else YELLOW
    if wait.hint:
        yield f"  {wait.hint}", None


def wait_json(wait: Wait) -> dict[str, Any]:
    """What a target waits for, for programs."""
    return {"reason": wait.reason, "hint": wait.hint, "is_failure": wait.is_failure}


def unsettled_status(found: Iterable[Unsettled]) -> None:
    """What killed runs left at places that are no configured target's."""
    for one in found:
        title = title_of(one.label)
        what = f"certificate {title}{f', {one.target}' if one.target else ''}" if title else "this host"
        lines(_waits(what, one.wait))


def unsettled_json(one: Unsettled) -> dict[str, Any]:
    """The same for programs."""
    return {"label": one.label or None, "target": one.target or None, **wait_json(one.wait)}


def is_command(target: str) -> bool:
    """Whether a target, by its name, is a command that is run, rather than a service that gets files."""
    return target.startswith(("command[", "onchange["))


def at_once(labels: Iterable[str]) -> str:
    """What makes the next run try again, whatever pause there is."""
    named = dict.fromkeys(map(configured, labels))
    return f"once it is mended, `acmectl follower run {' '.join(named)}` tries again at once"


def configured(label: str) -> str:
    """The label that people use in commands: that of all kinds of a certificate."""
    return label.partition(KIND)[0]


def deployment_json(deployment: Deployment) -> dict[str, Any]:
    """How far one target is, for programs."""
    d = deployment
    return {
        "target": d.target,
        "wanted": {"generation": d.generation, "fingerprint_sha256": d.fingerprint},
        "installed": d.installed_fingerprint
        and {"generation": d.installed_generation, "fingerprint_sha256": d.installed_fingerprint},
        "installed_at": iso(d.installed_at),
        "reloaded": iso(d.reloaded_at),
        "verified": iso(d.verified_at),
        "deployed": iso(d.deployed_at),
        "failed_step": d.failed_step,
        "error": d.error,
        "attempts": d.attempts,
        "failing_since": iso(d.failing_since),
        "retry": iso(d.retry_at),
        "files": sorted(d.places),
    }


def once_json(once: Once) -> dict[str, Any]:
    """How a command stands that is run once for all certificates, for programs."""
    return {**deployment_json(once.deployment), "behind": once.is_owed}
