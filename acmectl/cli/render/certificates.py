"""Words about a follower's certificates."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from acmectl.cli.render.tlsa import key_news, published_lines, record_json
from acmectl.cli.render.words import (
    GREEN,
    RED,
    YELLOW,
    clock_warning,
    counted,
    failure_json,
    hint,
    iso,
    moment,
    requests,
    say,
    table,
    until,
)
from acmectl.model.certificates import KIND, title_of
from acmectl.model.memory import DeployStep
from acmectl.policy.deployment import pause_after

if TYPE_CHECKING:
    from acmectl.config import Config
    from acmectl.follower import CertificateResult, CertificateStatus, FollowerReport, Waiting
    from acmectl.follower.targets import DeployResult
    from acmectl.model.certificates import Installed
    from acmectl.model.memory import Deployment
    from acmectl.model.names import Identifier
    from acmectl.policy.renewal import NotDue


def follower_report(report: FollowerReport, config: Config, now: datetime, *, talks: bool) -> None:
    """What a run did with each certificate; what needs a person on stderr in any case."""
    clock_warning(report.clock_offset)
    for alike in _failed_alike(report.results):
        _failed_certificates(alike, now)
    for result in report.results:
        _certificate_result(result, config, now, talks=talks)
        deployments(result.deployments, talks=talks)
    deployments(report.onchange, talks=talks)
    key_news(report.key_news, talks=talks)
    if talks:
        click.echo(requests(report.requests))


def _certificate_result(result: CertificateResult, config: Config, now: datetime, *, talks: bool) -> None:
    from acmectl.follower import Issued, Waiting
    from acmectl.policy.renewal import NotDue

    outcome = result.outcome
    if isinstance(outcome, NotDue) and talks and result.installed:
        click.echo(f"{title_of(result.label)}: valid {until(result.installed.not_after, now)}; {_due(outcome)}")
    elif isinstance(outcome, Issued) and talks:
        new = outcome.installed
        click.echo(f"{title_of(result.label)}: issued ({result.due}), generation {new.generation}, serial {new.serial}")
        click.echo(f"  valid {until(new.not_after, now)}")
    if isinstance(outcome, Issued) and outcome.warning:
        say("warning", f"certificate `{title_of(result.label)}`: {outcome.warning}", YELLOW)
    if isinstance(outcome, Waiting) and (talks or result.running_out):
        _waiting(result, outcome, config, now)


def _waiting(result: CertificateResult, waiting: Waiting, config: Config, now: datetime) -> None:
    """The expected outcome of an early follower, with all that the master's admin needs to know."""
    names = ", ".join(map(str, waiting.names))
    if result.running_out:
        say("error", f"certificate `{title_of(result.label)}` waits for the master, and its time is running out", RED)
    lines = [
        f"{title_of(result.label)}: not authorized yet: {names}",
        f"  waiting since {moment(waiting.since)} ({result.due})",
        *_stuck(result.label, waiting, now),
        f"  account {waiting.account_url} at {waiting.directory_url}, profile {waiting.profile or 'none'}",
        *_other_profile(waiting),
        f"  {_installed_left(result.installed, now)}",
        *(_for_the_master(waiting.names) if config.master is None else ()),
    ]
    click.echo("\n".join(lines), err=result.running_out)


def _other_profile(waiting: Waiting) -> Iterable[str]:
    """The likely cause, where the master proves under another profile."""
    if waiting.is_under_another_profile:
        yield (
            f"  the account came with profile {waiting.account_profile}, and the CA reuses nothing across profiles: this is the likely "
            f"cause; set `profile: {waiting.account_profile}`, or change it on the master too"
        )


def _for_the_master(names: Iterable[Identifier]) -> Iterable[str]:
    """What the admin of the master can paste; a host that is its own master has it."""
    yield "  the master must list, for this account and profile:"
    yield "    authorize:"
    yield f"      - names: [{', '.join(_yaml(str(name)) for name in names)}]"
    yield "        solver: ..."


def _stuck(label: str, waiting: Any, now: datetime) -> list[str]:
    """When the CA is asked again; that the names may be authorized by now, and only the order is in the way."""
    if waiting.next_look_at is not None:
        when = moment(waiting.next_look_at)
        at_once = f"`acmectl follower run {configured(label)}` at once"
        return [f"  asked a short while ago; a run after {when} asks again, {at_once}"]
    if waiting.given_up_at is None:
        return []
    when = f"at {moment(waiting.given_up_at)}" if waiting.given_up_at > now else "by a later run"
    return [f"  the CA hands out the order of an earlier run again; if this goes on, it is given up {when}"]


def _yaml(name: str) -> str:
    return f'"{name}"' if name.startswith("*") else name


def _installed_left(installed: Installed | None, now: datetime) -> str:
    if installed is None:
        return "no certificate is installed"
    return f"the installed certificate is valid {until(installed.not_after, now)}"


def _failed_alike(results: Iterable[CertificateResult]) -> Iterable[list[CertificateResult]]:
    """The certificates that failed, those with the same reason together."""
    from acmectl.follower import Failed

    groups: dict[Failed, list[CertificateResult]] = {}
    for result in results:
        if isinstance(result.outcome, Failed):
            groups.setdefault(result.outcome, []).append(result)
    return groups.values()


def _failed_certificates(alike: list[CertificateResult], now: datetime) -> None:
    failed: Any = alike[0].outcome
    again = f"; next attempt after {moment(failed.retry_at)}" if failed.retry_at else ""
    labels = ", ".join(f"`{title_of(result.label)}`" for result in alike)
    one = len(alike) == 1
    was, left = ("was", "is") if one else ("were", "are")
    verb = f"{was} not issued" if failed.attempted else f"{left} left alone after an earlier failure"
    say("error", f"certificate{'' if one else 's'} {labels} {verb}: {failed.reason}{again}", RED)
    hint(failed.hint if failed.attempted else _at_once(result.label for result in alike))
    for result in alike:
        if result.running_out:
            left_now = _installed_left(result.installed, now)
            say("error", f"certificate `{title_of(result.label)}`: time is running out: {left_now}", RED)


def deployments(results: Iterable[DeployResult], *, talks: bool) -> None:
    """What became of each target; a failure is said in any case."""
    for result in results:
        _deployment(result, talks=talks)


def _deployment(deployment: DeployResult, *, talks: bool) -> None:
    title, target = title_of(deployment.label), deployment.target
    if deployment.error:
        what = f"certificate `{title}`" if title else "this host"
        state = f": {target} failed" if is_command(target) else f" is not deployed to {target}" if target else ""
        say("error", f"{what}{state}: {deployment.error}{_next_attempt(deployment)}", RED)
        hint(deployment.hint or (_at_once([deployment.label]) if title else None))
    elif talks:
        done = "ran" if is_command(target) else "deployed to"
        why = " again: its files were changed or removed by somebody since" if deployment.changed else ""
        click.echo(f"{f'{title}: ' if title else ''}{done} {target}{why}")


def is_command(target: str) -> bool:
    """Whether a target, by its name, is a command that is run, rather than a service that gets files."""
    return target.startswith(("command[", "onchange["))


def _next_attempt(deployment: DeployResult) -> str:
    """When a run tries again: the first failures are tried again by the very next one."""
    if deployment.retry_at is None or not pause_after(deployment.attempts, deployment.step):
        return "; the next run tries again"
    return f"; next attempt after {moment(deployment.retry_at)}"


def _at_once(labels: Iterable[str]) -> str:
    named = dict.fromkeys(map(configured, labels))
    return f"once it is mended, `acmectl follower run {' '.join(named)}` tries again at once"


def configured(label: str) -> str:
    """The label that people use in commands: that of all kinds of a certificate."""
    return label.partition(KIND)[0]


def follower_plan(statuses: Iterable[CertificateStatus], now: datetime) -> None:
    """What a run would do with each certificate."""
    from acmectl.policy.renewal import Due

    rows = []
    for status in statuses:
        action, why = _planned(status, now)
        colour = YELLOW if isinstance(status.decision, Due) else GREEN
        rows.append([(status.spec.title, None), (action, colour), (why, None)])
        rows += [[(status.spec.title, None), ("deploy", YELLOW), (target, None)] for target in status.behind]
    table(rows)


def _due(decision: NotDue) -> str:
    """When a certificate that is not due will be."""
    return f"due {moment(decision.at)}{f' ({decision.held})' if decision.held else ''}"


def _planned(status: CertificateStatus, now: datetime) -> tuple[str, str]:
    from acmectl.policy.backoff import may_try
    from acmectl.policy.renewal import NotDue

    if status.key_error is not None:
        return "fail", status.key_error.message
    if isinstance(status.decision, NotDue):
        return "keep", _due(status.decision)
    if status.account_error is not None:
        return "fail", status.account_error.message
    if status.failure and not may_try(status.failure, now):
        again = (
            f"next attempt after {moment(status.failure.retry_at)}" if status.failure.retry_at else "waits for a person"
        )
        return "wait", f"failed before: {status.failure.reason}; {again}"
    if status.next_look_at is not None:
        return "wait", f"not authorized yet; asks the CA again after {moment(status.next_look_at)}"
    return "issue", status.decision.reason


def certificate_plan_json(status: CertificateStatus, now: datetime) -> dict[str, Any]:
    """What a run would do with one certificate."""
    action, why = _planned(status, now)
    return {"label": status.spec.label, "action": action, "reason": why, "deploy": list(status.behind)}


def follower_status(statuses: Iterable[CertificateStatus], now: datetime) -> None:
    """How each certificate stands."""
    for status in statuses:
        click.echo(f"certificate {status.spec.title}: {', '.join(map(str, sorted(status.spec.names)))}")
        for line, colour in status_lines(status, now):
            click.echo(f"  {click.style(line, fg=colour) if colour else line}")


def onchange_status(once: Iterable[Deployment], now: datetime) -> None:
    """What is to be run once after all, and was not."""
    for deployment in once:
        if deployment.error:
            for line, colour in target_behind(deployment.target, deployment, now):
                click.echo(click.style(line, fg=colour) if colour else line)


def status_lines(status: CertificateStatus, now: datetime) -> Iterable[tuple[str, str | None]]:
    """How one certificate stands, as lines with their colours."""
    from acmectl.policy.renewal import NotDue

    have = status.installed
    if have:
        valid = have.not_before <= now < have.not_after
        early = "" if have.not_before <= now else f" (from {moment(have.not_before)} on: is the clock right?)"
        yield f"valid {until(have.not_after, now)}{early}", GREEN if valid else RED
        yield f"generation {have.generation}, {have.key_type}, serial {have.serial}, issued by {have.issuer}", None
    else:
        yield status.damage or "no certificate yet", RED
    if isinstance(status.decision, NotDue):
        yield _due(status.decision), None
    else:
        yield f"due now: {status.decision.reason}", YELLOW
    if status.key_error is not None:
        yield f"its key cannot be used: {status.key_error.message}", RED
    if status.published_error is not None:
        yield f"its key cannot change: {status.published_error.message}", RED
        yield f"  {status.published_error.hint}", None
    if status.account_error is not None:
        yield f"its account cannot be used: {status.account_error.message}", RED
    if status.waiting_since:
        yield f"waiting for the master since {moment(status.waiting_since)}", RED if status.running_out else YELLOW
    if status.failure:
        yield f"failed {counted(status.failure.count, 'time')}: {status.failure.reason}", RED
        yield f"next attempt after {moment(status.failure.retry_at)}", None
    yield from published_lines(status.announced, now)
    known = {d.target: d for d in status.deployments}
    for target in status.behind:
        yield from target_behind(target, known.get(target), now, changed=target in status.changed)


def target_behind(
    target: str, last: Deployment | None, now: datetime, *, changed: bool = False
) -> Iterable[tuple[str, str | None]]:
    """Why a target does not have what it should, as lines with their colours."""
    undone = f"{target} was not run" if is_command(target) else f"not deployed to {target}"
    if last is None or last.error is None:
        yield f"{undone}{': its files were changed or removed by somebody since' if changed else ''}", RED
        if changed and last is not None and last.retry_at is not None and last.retry_at > now:
            times = counted(last.changes, "time")
            yield f"  deployed again {times} because of that; next attempt after {moment(last.retry_at)}", None
        return
    yield f"{undone}: {last.error}", RED
    later = last.retry_at is not None and last.retry_at > now
    when = f"next attempt after {moment(last.retry_at)}" if later else "the next run tries again"
    times = counted(last.attempts, "time")
    rewritten = last.failed_step is DeployStep.KEEP
    failed = f"changed {times} after the reload" if rewritten else f"failed {times} to {last.failed_step}"
    yield f"  {failed} since {moment(last.failing_since)}; {when}", None


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


def certificate_json(status: CertificateStatus) -> dict[str, Any]:
    """How one certificate stands."""
    from acmectl.policy.renewal import Due

    have = status.installed
    return {
        "label": status.spec.label,
        "names": sorted(map(str, status.spec.names)),
        "account": status.spec.account,
        "profile": status.spec.profile,
        "installed": None
        if have is None
        else {
            "generation": have.generation,
            "serial": have.serial,
            "fingerprint_sha256": have.fingerprint,
            "issuer": have.issuer,
            "key": have.key_type,
            "not_before": iso(have.not_before),
            "not_after": iso(have.not_after),
        },
        "damage": status.damage,
        "key_error": None if status.key_error is None else status.key_error.message,
        "published_keys_error": None if status.published_error is None else status.published_error.message,
        "account_error": None if status.account_error is None else status.account_error.message,
        "due": isinstance(status.decision, Due),
        "reason": status.decision.reason if isinstance(status.decision, Due) else None,
        "due_at": None if isinstance(status.decision, Due) else iso(status.decision.at),
        "waiting_since": iso(status.waiting_since),
        "running_out": status.running_out,
        "failure": failure_json(status.failure),
        "targets_behind": list(status.behind),
        "deployments": [deployment_json(d) for d in status.deployments],
        "tlsa": [record_json(record) for record in status.announced],
    }
