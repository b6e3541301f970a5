"""Words about how certificates stand, and what a run would do with them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from acmectl.cli.render.deployments import deployment_json, target_behind, wait_json
from acmectl.cli.render.tlsa import published_lines, record_json
from acmectl.cli.render.words import GREEN, RED, YELLOW, counted, failure_json, iso, lines, moment, table, valid

if TYPE_CHECKING:
    from acmectl.follower import CertificateStatus
    from acmectl.follower.targets import Wait
    from acmectl.policy.renewal import NotDue


def follower_plan(statuses: Iterable[CertificateStatus], now: datetime) -> None:
    """What a run would do with each certificate."""
    from acmectl.policy.renewal import Due

    rows = []
    for status in statuses:
        action, why = _planned(status, now)
        left = _left_waiting(status)
        colour = YELLOW if isinstance(status.decision, Due) else GREEN
        rows.append([(status.spec.title, None), (action, colour), (why, None)])
        for target in status.behind:
            wait = left.get(target)
            what = ("deploy", target) if wait is None else ("wait", f"{target}: {wait.reason}")
            rows.append([(status.spec.title, None), (what[0], YELLOW), (what[1], None)])
    table(rows)


def due(decision: NotDue) -> str:
    """When a certificate that is not due will be."""
    return f"due {moment(decision.at)}{f' ({decision.held})' if decision.held else ''}"


def _planned(status: CertificateStatus, now: datetime) -> tuple[str, str]:
    from acmectl.policy.backoff import may_try
    from acmectl.policy.renewal import NotDue

    if status.key_error is not None:
        return "fail", status.key_error.message
    if isinstance(status.decision, NotDue):
        return "keep", due(status.decision)
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
    left = _left_waiting(status)
    return {
        "label": status.spec.label,
        "action": action,
        "reason": why,
        "deploy": [target for target in status.behind if target not in left],
        "wait": {target: wait.reason for target, wait in left.items()},
    }


def _left_waiting(status: CertificateStatus) -> dict[str, Wait]:
    """What a run would leave as it is."""
    return {target: wait for target, wait in status.waits.items() if wait.is_left}


def follower_status(statuses: Iterable[CertificateStatus], now: datetime) -> None:
    """How each certificate stands."""
    for status in statuses:
        click.echo(f"certificate {status.spec.title}: {', '.join(map(str, sorted(status.spec.names)))}")
        lines(status_lines(status, now), margin=2)


def status_lines(status: CertificateStatus, now: datetime) -> Iterable[tuple[str, str | None]]:
    """How one certificate stands, as lines with their colours."""
    from acmectl.policy.renewal import NotDue

    have = status.installed
    if have:
        colour = GREEN if have.not_before <= now < have.not_after else RED
        early = "" if have.not_before <= now else f" (from {moment(have.not_before)} on: is the clock right?)"
        yield f"{valid(have.not_after, now)}{early}", colour
        yield f"generation {have.generation}, {have.key_type}, serial {have.serial}, issued by {have.issuer}", None
    else:
        yield status.damage or "no certificate yet", RED
    if isinstance(status.decision, NotDue):
        yield due(status.decision), None
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
    if status.key_ready_at is not None:
        yield f"waiting until every client accepts its key: {moment(status.key_ready_at)}", YELLOW
    if status.failure:
        yield f"failed {counted(status.failure.count, 'time')}: {status.failure.reason}", RED
        yield f"next attempt after {moment(status.failure.retry_at)}", None
    yield from published_lines(status.announced, now)
    known = {d.target: d for d in status.deployments}
    for target in dict.fromkeys((*status.behind, *status.waits)):
        changed, wait = target in status.changed, status.waits.get(target)
        yield from target_behind(target, known.get(target), now, changed=changed, wait=wait)


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
        "targets_waiting": {target: wait_json(wait) for target, wait in status.waits.items()},
        "deployments": [deployment_json(d) for d in status.deployments],
        "tlsa": [record_json(record) for record in status.announced],
    }
