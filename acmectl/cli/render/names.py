"""Words about a master's names."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from acmectl.cli.render.lookups import notes
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
from acmectl.policy import health
from acmectl.policy.refresh import Action

if TYPE_CHECKING:
    from acmectl.app import MissingKey
    from acmectl.errors import AcmectlError
    from acmectl.master import MasterReport, NameResult, Note
    from acmectl.model.certificates import CertificateSpec
    from acmectl.model.memory import Failure
    from acmectl.policy.refresh import Decision, Plan

_FEW = 5  # names that a command to paste repeats


def master_report(
    report: MasterReport, *, talks: bool, told: Collection[Note] = (), by_name: bool = True, asked: bool = False
) -> None:
    """What a run did with each name; failures on stderr in any case, the rest only where somebody looks.

    `told` are notes of an earlier report; `by_name`: whether `master run NAME` can try a name at once; `asked`: whether a person
    asked for these names, and is told which of them the CA wants left alone.
    """
    clock_warning(report.clock_offset)
    notes([note for note in report.notes if note not in told])
    for alike in _grouped(r for r in report.results if r.outcome == "failed" or r.is_missing or (asked and r.is_firm)):
        _failed_names(alike, by_name=by_name)
    if not talks:
        return
    table([_name_row(result) for result in report.results])
    click.echo(requests(report.requests))
    waiting = [r for r in report.results if r.outcome == "waiting" and not r.is_missing and not r.is_firm]
    if waiting and by_name:
        hint(f"once it is mended, {_at_once(waiting)}")


def held(spec: CertificateSpec, missing: Collection[MissingKey], *, running_out: bool, talks: bool) -> None:
    """Why a certificate was not ordered; the names' own errors are told already, so only time that runs out is an error."""
    without = [name for name in sorted(spec.names) if (spec.account, spec.profile, name) in missing]
    text = f"waits for this host's own master part: not authorized: {', '.join(map(str, without))}"
    if running_out:
        say("error", f"certificate `{spec.label}` {text}, and its time is running out", RED)
    elif talks:
        click.echo(f"{spec.label}: not ordered, {text}")


def _grouped(results: Iterable[NameResult]) -> Iterable[list[NameResult]]:
    """Names with the same reason together."""
    groups: dict[tuple[str, str, str | None, bool, bool], list[NameResult]] = {}
    for result in results:
        alike = (result.outcome, result.reason, result.hint, result.is_paused, result.is_firm)
        groups.setdefault(alike, []).append(result)
    return groups.values()


def _failed_names(alike: list[NameResult], *, by_name: bool) -> None:
    first, names = alike[0], ", ".join(f"`{result.wanted.identifier}`" for result in alike)
    retry_at = min((r.retry_at for r in alike if r.retry_at), default=None)
    again = f"; next attempt after {moment(retry_at)}" if retry_at else ""
    is_left = first.outcome == "waiting"
    verb = "left alone after an earlier failure" if is_left else "not authorized"
    reason = first.reason.removeprefix("failed before: ")
    say("error", f"{names} {'is' if len(alike) == 1 else 'are'} {verb}: {reason}{again}", RED)
    hint(first.hint)
    if by_name and not first.is_firm and (is_left or first.is_paused):
        hint(f"{'once a person has lifted it' if first.is_paused else 'once it is mended'}, {_at_once(alike)}")


def _at_once(results: Collection[NameResult]) -> str:
    names = " ".join(str(r.wanted.identifier) for r in results) if len(results) <= _FEW else "NAME..."
    return f"`acmectl master run {names}` tries again at once"


def _name_row(result: NameResult) -> list[tuple[str, str | None]]:
    colour = {"failed": RED, "waiting": YELLOW}.get(result.outcome, GREEN)
    when = f"until {moment(result.expires_at)}" if result.expires_at else ""
    if result.outcome == "waiting":
        when = f"{result.reason}; {_next_attempt(result.retry_at)}"
    return [(str(result.wanted.identifier), None), (result.outcome, colour), (when, None)]


def master_plan(plan: Plan, now: datetime, *, whole: bool) -> None:
    """What a run would do with each name."""
    rows = [_plan_row(decision, now) for decision in plan.decisions]
    if whole:
        rows += [
            [(str(a.identifier), None), ("forget", YELLOW), ("no longer in the configuration", None)]
            for a in plan.forget
        ]
    table(rows)


def _plan_row(decision: Decision, now: datetime) -> list[tuple[str, str | None]]:
    colour = {Action.KEEP: GREEN, Action.PROVE: YELLOW, Action.REFRESH: YELLOW, Action.WAIT: RED}[decision.action]
    why = decision.reason
    if decision.action is Action.KEEP and decision.authorization:
        why = f"authorized {until(decision.authorization.expires_at, now)}; next look {moment(decision.at)}"
    elif decision.action is Action.WAIT:
        why += f"; {_next_attempt(decision.at)}"
    return [(str(decision.wanted.identifier), None), (decision.action, colour), (why, None)]


def master_plan_json(plan: Plan) -> dict[str, Any]:
    """A plan."""
    return {
        "names": [_decision_json(d) for d in plan.decisions],
        "forget": [{"name": a.identifier.value, "url": a.url} for a in plan.forget],
    }


def _decision_json(decision: Decision) -> dict[str, Any]:
    return {
        "name": decision.wanted.identifier.value,
        "account": decision.wanted.account,
        "profile": decision.wanted.profile,
        "solver": decision.wanted.solver,
        "fallbacks": list(decision.wanted.fallbacks),
        "action": decision.action,
        "reason": decision.reason,
        "at": iso(decision.at),
    }


def master_status(
    plan: Plan, failures: Mapping[str, Failure], unusable: Mapping[str, AcmectlError], now: datetime
) -> None:
    """Until when each name is authorized, what failed, and why accounts of the names cannot be used."""
    table([_name_status_row(d, failures.get(d.wanted.failure_key), now) for d in plan.decisions])
    for error in _of_names(plan, unusable).values():
        say("error", error.message, RED)
        hint(error.hint)


def _of_names(plan: Plan, unusable: Mapping[str, AcmectlError]) -> Mapping[str, AcmectlError]:
    accounts = {d.wanted.account for d in plan.decisions}
    return {name: error for name, error in unusable.items() if name in accounts}


def _name_status_row(decision: Decision, failure: Failure | None, now: datetime) -> list[tuple[str, str | None]]:
    known = decision.authorization
    authorized = health.is_authorized(decision, now)
    state = ("authorized", GREEN) if authorized else ("not authorized", RED)
    text = until(known.expires_at, now) if known else "never seen"
    if failure:
        text += f"; failed {counted(failure.count, 'time')}: {failure.reason} ({_next_attempt(failure.retry_at)})"
    elif decision.action is Action.WAIT:
        text += f"; {decision.reason} ({_next_attempt(decision.at)})"
    return [(str(decision.wanted.identifier), None), state, (text, None)]


def _next_attempt(at: datetime | None) -> str:
    return f"next attempt after {moment(at)}" if at else "waits for a person"


def master_status_json(
    plan: Plan, failures: Mapping[str, Failure], unusable: Mapping[str, AcmectlError], now: datetime
) -> dict[str, Any]:
    """The state of each name, and why accounts of the names cannot be used."""
    return {
        "names": [_name_status_json(d, failures.get(d.wanted.failure_key), now) for d in plan.decisions],
        "unusable_accounts": [
            {"account": name, "error": error.message, "hint": error.hint}
            for name, error in _of_names(plan, unusable).items()
        ],
    }


def _name_status_json(decision: Decision, failure: Failure | None, now: datetime) -> dict[str, Any]:
    known = decision.authorization
    return {
        "name": decision.wanted.identifier.value,
        "account": decision.wanted.account,
        "profile": decision.wanted.profile,
        "authorized": health.is_authorized(decision, now),
        "expires": iso(known.expires_at) if known else None,
        "validated": iso(known.validated_at) if known else None,
        "authorization": known.url if known else None,
        "challenge": known.challenge_type if known else None,
        "action": decision.action,
        "failure": failure_json(failure or decision.failure),
    }
