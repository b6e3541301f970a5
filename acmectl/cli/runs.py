"""`acmectl run` and `acmectl status`: both parts of a configuration, whichever it has."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from acmectl.cli import forecast
from acmectl.cli.context import Context, as_json, lock_wait, pass_context
from acmectl.cli.render import certificate_standing, deployments, leftovers, names, words
from acmectl.cli.render import certificates as certificates_
from acmectl.cli.render import forecast as forecast_
from acmectl.cli.render import records as records_
from acmectl.policy import health
from acmectl.policy.health import ExitStatus

if TYPE_CHECKING:
    from acmectl.app import Host, MissingKey
    from acmectl.follower import Follower
    from acmectl.master import NameResult


@click.command()
@click.option("--dry-run", is_flag=True, help="Only say what would be done, and why; asks no CA.")
@lock_wait
@pass_context
def run(context: Context, lock_wait: timedelta | None, *, dry_run: bool) -> int:
    """Do what the configuration asks of this host.

    Keeps names authorized, issues and deploys certificates, or both. The command for cron: idempotent at any frequency,
    and silent when all is well.
    """
    if dry_run:
        return _plan(context)
    with context.working(lock_wait) as host:
        host.settle()
        if not host.is_follower:
            settled = _settle(host)
            return health.worst([settled, *_prove(host, talks=context.talks)[1]])
        follower = host.follower()
        follower.publish_keys(host.wishes())  # before it is decided whose names are to be proven
        follower.take_advice(host.wishes())
        results, statuses = _prove(host, talks=context.talks)
        missing = {r.wanted.key for r in results if r.is_missing}
        statuses += _issue(host, follower, missing, talks=context.talks)
    return health.worst(statuses)


def _prove(host: Host, *, talks: bool) -> tuple[list[NameResult], list[ExitStatus]]:
    """The master's part, then the names that a certificate is due for."""
    from acmectl.app import records

    reports = []
    kept = records.keep(host)
    records_.records_report(kept, talks=talks)
    if host.config.master is not None:
        reports.append(host.master().run(host.wanted))
        names.master_report(reports[0], talks=talks)
    if host.config.certificates and (needed := host.needed(host.wishes())):
        reports.append(host.prover().run(needed, forget=False))
        told = reports[0].notes if len(reports) > 1 else ()
        names.master_report(reports[-1], talks=talks, told=told, by_name=False)
    failed = [*(report.failed for report in reports), *(bool(result.failed) for result in kept)]
    statuses = [ExitStatus.FAILED if has_failed else ExitStatus.AS_WANTED for has_failed in failed]
    return [result for report in reports for result in report.results], statuses


def _settle(host: Host) -> ExitStatus:
    """A master whose certificates were all taken out may still have files of a run that was killed before that."""
    unsettled = host.follower(past=True).settle()
    deployments.deployments(unsettled, talks=False)
    return ExitStatus.FAILED if unsettled else ExitStatus.AS_WANTED


def _issue(host: Host, follower: Follower, missing: Collection[MissingKey], *, talks: bool) -> list[ExitStatus]:
    """The follower's part, without the certificates that wait for this host's own master part."""
    wishes = host.wishes()
    held = host.held(wishes, missing)
    issued = follower.run(wishes, held={wish.spec.label for wish in held})
    certificates_.follower_report(issued, host.config, host.clock(), talks=talks)
    late = []
    for wish in held:
        certificate = follower.status(wish)
        names.held(wish.spec, missing, running_out=certificate.running_out, talks=talks)
        late.append(health.exit_status(failed=True, running_out=certificate.running_out))
    return [issued.exit_status, *late]


@click.command()
@as_json
@pass_context
def status(context: Context, *, json: bool) -> int:
    """Say how everything on this host stands; never asks the CA.

    Exit status 0 when all is as wanted or waits with time in hand, 1 when a name or certificate needs attention, 4 when time is running out.
    """
    from acmectl.app import records, removing

    document: dict[str, Any] = {}
    statuses = []
    with context.reading() as host:
        now = host.clock()
        if host.config.master is not None:
            plan, failures = host.master().plan(host.wanted), host.memory.failures("name")
            unusable = host.unusable_accounts
            statuses.append(health.of_names(plan, failures, now))
            kept = records.status(host)
            statuses += [ExitStatus.FAILED for one in kept if one.error]
            document["master"] = names.master_status_json(plan, failures, unusable, now)
            document["master"]["records"] = [records_.kept_json(one) for one in kept]
            if not json:
                names.master_status(plan, failures, unusable, now)
                records_.records_status(kept, now)
        if host.config.certificates:
            engine, wishes = host.follower(), host.wishes()
            certificates = [engine.status(wish) for wish in wishes]
            statuses += [c.health(now) for c in certificates]
            document["certificates"] = [certificate_standing.certificate_json(c) for c in certificates]
            once = engine.onchange(wishes, {c.spec.label: c.installed for c in certificates})
            statuses += [ExitStatus.FAILED for one in once if one.is_owed]
            document["onchange"] = [deployments.once_json(one) for one in once]
            if not json:
                certificate_standing.follower_status(certificates, now)
                deployments.onchange_status(once, now)
        unsettled = host.follower(past=True).unsettled(host.wishes())
        statuses += [ExitStatus.FAILED for _ in unsettled]
        document["unsettled"] = [deployments.unsettled_json(one) for one in unsettled]
        if not json:
            deployments.unsettled_status(unsettled)
        shortfalls, left = forecast.shortfalls(host), removing.left_in_use(host)
    if json:
        warnings = [*map(forecast_.warning_json, shortfalls), *map(leftovers.warning_json, left)]
        words.json_out(document | {"warnings": warnings})
    else:
        forecast_.warnings(shortfalls)
        leftovers.left_behind(left)
    return health.worst(statuses)


def _plan(context: Context) -> int:
    with context.reading() as host:
        now = host.clock()
        if host.config.master is not None:
            names.master_plan(host.master().plan(host.wanted), now, whole=True)
        if host.config.certificates:
            engine = host.follower()
            if needed := host.needed(host.wishes()):
                names.master_plan(host.prover().plan(needed), now, whole=False)
            certificate_standing.follower_plan([engine.status(wish) for wish in host.wishes()], now)
    return 0
