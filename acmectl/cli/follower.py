"""`acmectl follower`: issue from what is authorized, or see how each certificate stands."""

from __future__ import annotations

from datetime import timedelta

import click

from acmectl.cli.context import Context, DurationType, as_json, lock_wait, pass_context
from acmectl.cli.render import certificate_standing, certificates, deployments, words
from acmectl.policy import health
from acmectl.policy.health import ExitStatus


@click.group()
def follower() -> None:
    """Issue certificates for names that are authorized; prove nothing."""


@follower.command("run")
@click.argument("labels", nargs=-1, metavar="[LABEL...]")
@click.option("--force", is_flag=True, help="Issue also what is not due, and ignore earlier failures.")
@click.option("--wait", type=DurationType(), metavar="DURATION", help="Ask again, at growing intervals, for so long.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done, and why; asks no CA.")
@lock_wait
@pass_context
def run_(
    context: Context,
    labels: tuple[str, ...],
    wait: timedelta | None,
    lock_wait: timedelta | None,
    *,
    force: bool,
    dry_run: bool,
) -> int:
    """Issue what is due and authorized, and deploy what is behind.

    A certificate is issued once all its names are authorized, and deployed until every target has it.
    "Not authorized yet" is an expected outcome: exit status 0 while there is time, 4 once the installed certificate
    runs out. Whatever failed or waits is tried again by later runs, with growing pauses; for a LABEL that is named, at once.
    LABEL+rsa-2048 names one kind of its keys.

    With --wait, what need not wait is deployed first. The lock of the state directory is held all the time: another run on
    this host, such as `acmectl master run`, ends with exit status 3 meanwhile, unless it has a --lock-wait of its own.
    """
    if dry_run:
        return _plan(context, labels, force=force, json=False)
    with context.working(lock_wait) as host:
        host.settle()
        report = host.follower().run(host.wishes(labels), forced=force, at_once=bool(labels), wait=wait)
        certificates.follower_report(report, host.config, host.clock(), talks=context.talks)
    return report.exit_status


@follower.command("plan")
@click.argument("labels", nargs=-1, metavar="[LABEL...]")
@click.option("--force", is_flag=True, help="As `run --force` would do.")
@as_json
@pass_context
def plan_(context: Context, labels: tuple[str, ...], *, force: bool, json: bool) -> int:
    """Say what a run would do, and why, without asking the CA."""
    return _plan(context, labels, force=force, json=json)


@follower.command("status")
@click.argument("labels", nargs=-1, metavar="[LABEL...]")
@as_json
@pass_context
def status_(context: Context, labels: tuple[str, ...], *, json: bool) -> int:
    """Say how each certificate stands; never asks the CA."""
    with context.reading() as host:
        engine = host.follower()
        statuses = [engine.status(wish) for wish in host.wishes(labels)]
        unsettled = engine.unsettled(host.wishes())
        now = host.clock()
    if json:
        listed = [certificate_standing.certificate_json(s) for s in statuses]
        words.json_out({"certificates": listed, "unsettled": [deployments.unsettled_json(one) for one in unsettled]})
    else:
        certificate_standing.follower_status(statuses, now)
        deployments.unsettled_status(unsettled)
    return health.worst([*(s.health(now) for s in statuses), *(ExitStatus.FAILED for _ in unsettled)])


def _plan(context: Context, labels: tuple[str, ...], *, force: bool, json: bool) -> int:
    with context.reading() as host:
        engine = host.follower()
        statuses = [engine.status(wish, forced=force) for wish in host.wishes(labels)]
        now = host.clock()
    if json:
        words.json_out({"certificates": [certificate_standing.certificate_plan_json(s, now) for s in statuses]})
    else:
        certificate_standing.follower_plan(statuses, now)
    return 0
