"""Words about certificates as they are: the list, and everything of one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from acmectl.cli.render.certificate_standing import certificate_json, status_lines
from acmectl.cli.render.deployments import is_command
from acmectl.cli.render.words import GREEN, RED, YELLOW, Line, hanging, iso, lines, moment, table, valid

if TYPE_CHECKING:
    from acmectl.follower import CertificateStatus
    from acmectl.follower.examining import CertificateView, Generation
    from acmectl.model.certificates import Installed
    from acmectl.model.memory import Deployment
    from acmectl.model.renewals import RenewalInfo


def listed(statuses: Sequence[CertificateStatus], forgotten: Sequence[Installed], now: datetime) -> None:
    """One line a certificate; those that the configuration does not name any more come last."""
    rows = []
    for status in statuses:
        names = ", ".join(map(str, sorted(status.spec.names)))
        rows.append([(status.spec.title, None), *_standing(status, now), (names, None)])
    for have in forgotten:
        names = ", ".join(map(str, sorted(have.names)))
        rows.append([(have.title, None), _validity(have, now), ("not in the configuration", YELLOW), (names, None)])
    table(rows)


def _standing(status: CertificateStatus, now: datetime) -> tuple[Line, Line]:
    from acmectl.policy.renewal import NotDue

    have = status.installed
    validity = _validity(have, now) if have else (status.damage or "no certificate yet", RED)
    if isinstance(status.decision, NotDue):
        return validity, (f"due {moment(status.decision.at)}", None)
    if status.waiting_since:
        return validity, (f"waiting since {moment(status.waiting_since)}", YELLOW)
    return validity, ("due now", YELLOW)


def _validity(have: Installed, now: datetime) -> Line:
    return valid(have.not_after, now), GREEN if have.not_before <= now < have.not_after else RED


def list_json(statuses: Iterable[CertificateStatus], forgotten: Iterable[Installed]) -> dict[str, Any]:
    """The list for programs."""
    return {
        "certificates": [certificate_json(status) for status in statuses],
        "not_in_configuration": [{"label": have.label, **installed_json(have)} for have in forgotten],
    }


def installed_json(have: Installed) -> dict[str, Any]:
    """One certificate on the disk."""
    return {
        "generation": have.generation,
        "names": sorted(map(str, have.names)),
        "serial": have.serial,
        "fingerprint_sha256": have.fingerprint,
        "pin_sha256": have.spki,
        "issuer": have.issuer,
        "key": have.key_type,
        "not_before": iso(have.not_before),
        "not_after": iso(have.not_after),
    }


def view(shown: CertificateView, now: datetime, *, in_configuration: bool = True) -> None:
    """Everything of one certificate; one that the configuration does not name is never due."""
    status = shown.status
    click.echo(f"certificate {status.spec.title}: {', '.join(map(str, sorted(status.spec.names)))}")
    standing = status_lines(status, now) if in_configuration else _left_lines(status, now)
    lines((*standing, *_details(shown), *_past(shown, now)), margin=2)
    if shown.events:
        click.echo("  history")
        for event in shown.events:
            told = hanging(event.text, margin=4)
            click.echo(f"    {event.at:%Y-%m-%d %H:%M:%S UTC}  {event.kind}  {told}".rstrip())


def _left_lines(status: CertificateStatus, now: datetime) -> Iterable[Line]:
    have = status.installed
    yield "not in the configuration", YELLOW
    yield _validity(have, now) if have else (status.damage or "none is in use", RED)
    if have:
        yield f"generation {have.generation}, {have.key_type}, serial {have.serial}, issued by {have.issuer}", None


def _details(shown: CertificateView) -> Iterable[Line]:
    have = shown.status.installed
    if have:
        more = sorted(map(str, have.names - shown.status.spec.names))
        if more:
            yield f"also valid for {', '.join(more)}", None
        yield f"fingerprint sha256 {have.fingerprint}", None
    for link, above in zip(shown.chain, shown.chain[1:], strict=False):
        yield f"chain: {link.issuer}, until {moment(above.not_after)}", None
    if shown.chain:
        yield f"chain: signed by {shown.chain[-1].issuer}", None
    if have:
        where = "" if have.has_key else ", not on this host"
        yield f"pin sha256 {have.spki} (key in use{where})", None
    if shown.next_pin:
        yield f"pin sha256 {shown.next_pin} (key made ahead)", None
    if shown.advice:
        yield from _advice(shown.advice)


def _advice(advice: RenewalInfo) -> Iterable[Line]:
    """What the CA wants; a question that failed is no worry, so it is not red."""
    if advice.start_at is not None:
        why = f", see {advice.explanation_url}" if advice.explanation_url else ""
        yield f"the CA wants it renewed between {moment(advice.start_at)} and {moment(advice.end_at)}{why}", None
    if advice.error:
        yield f"the CA was asked in vain when to renew it: {advice.error}", None
    yield f"the CA is asked again after {moment(advice.ask_again_at)}", None


def _past(shown: CertificateView, now: datetime) -> Iterable[Line]:
    if shown.rollback:
        yield f"rolled back {moment(shown.rollback.at)}, kept in use until {moment(shown.rollback.held_until)}", YELLOW
    for generation in reversed(shown.generations):
        yield _generation(generation, now)
    for old in shown.archived:
        yield f"generation {old.generation}: revoked ({old.reason}) {moment(old.at)}, archived", None
    for deployment in shown.status.deployments:
        yield from _deployment(deployment, shown)


def _generation(generation: Generation, now: datetime) -> Line:
    have, revocation = generation.installed, generation.revocation
    words = f"{valid(have.not_after, now)}, serial {have.serial}" if have else "damaged"
    in_use = ", in use" if generation.is_in_use else ""
    if revocation:
        return f"generation {generation.number}: revoked ({revocation.reason}) {moment(revocation.at)}{in_use}", RED
    return f"generation {generation.number}: {words}{in_use}", None if have else RED


def _deployment(deployment: Deployment, shown: CertificateView) -> Iterable[Line]:
    """How far a target is; what is behind was said already."""
    d = deployment
    if d.target in shown.status.behind and not d.error:
        yield f"{d.target}: its files were changed, or it is to get another generation", YELLOW
    steps = [
        f"generation {d.installed_generation} installed {moment(d.installed_at)}" if d.installed_at else "",
        f"{'ran' if is_command(d.target) else 'reloaded'} {moment(d.reloaded_at)}" if d.reloaded_at else "",
        f"seen to be served {moment(d.verified_at)}" if d.verified_at else "",
    ]
    told = ", ".join(filter(None, steps)) or f"deployed {moment(d.deployed_at)}"
    if d.deployed_at is None and not any(steps):
        told = "never deployed"
    yield f"{d.target}: {told}", RED if d.error else None


def view_json(shown: CertificateView, *, in_configuration: bool = True) -> dict[str, Any]:
    """Everything of one certificate, for programs."""
    advice, rollback, have = shown.advice, shown.rollback, shown.status.installed
    return certificate_json(shown.status) | {
        "in_configuration": in_configuration,
        "pin_sha256": have.spki if have else None,
        "next_pin_sha256": shown.next_pin,
        "chain": [{"issuer": link.issuer, "fingerprint_sha256": link.fingerprint} for link in shown.chain],
        "renewal_info": advice
        and {
            "start": iso(advice.start_at),
            "end": iso(advice.end_at),
            "explanation_url": advice.explanation_url,
            "asked": iso(advice.asked_at),
            "ask_again": iso(advice.ask_again_at),
            "error": advice.error,
        },
        "rollback": rollback and {"at": iso(rollback.at), "held_until": iso(rollback.held_until)},
        "generations": [_generation_json(generation) for generation in shown.generations],
        "archived": [
            {"generation": old.generation, "serial": old.serial, "reason": old.reason, "revoked": iso(old.at)}
            for old in shown.archived
        ],
        "history": [{"at": iso(e.at), "kind": e.kind, "text": e.text} for e in shown.events],
    }


def _generation_json(generation: Generation) -> dict[str, Any]:
    revocation = generation.revocation
    return {
        "number": generation.number,
        "in_use": generation.is_in_use,
        "certificate": installed_json(generation.installed) if generation.installed else None,
        "revoked": revocation and {"at": iso(revocation.at), "reason": revocation.reason},
    }
