"""`acmectl master`: keep names authorized, or see what would be done."""

from __future__ import annotations

from datetime import timedelta

import click

from acmectl.cli.context import Context, as_json, lock_wait, pass_context
from acmectl.cli.progress import watching
from acmectl.cli.render import lookups, solvers, words
from acmectl.cli.render import names as names_
from acmectl.cli.render import records as records_
from acmectl.errors import UsageError
from acmectl.model.names import Identifier
from acmectl.policy import health
from acmectl.policy.health import ExitStatus


@click.group()
def master() -> None:
    """Keep names authorized at the CA, for followers to issue from."""


@master.command("run")
@click.argument("names", nargs=-1, metavar="[NAME...]")
@click.option("--dry-run", is_flag=True, help="Only say what would be done, and why; asks no CA.")
@click.option(
    "--verify",
    is_flag=True,
    help="First ask the CA for each remembered authorization, and prove what it has lost.",
)
@lock_wait
@pass_context
def run_(context: Context, names: tuple[str, ...], lock_wait: timedelta | None, *, dry_run: bool, verify: bool) -> int:
    """Prove the names that are due; every other stays as it is.

    NAMEs are proven now, whatever is remembered of them, and nothing else is done; unless the CA has asked to leave their account alone. A name that fails leaves the others
    alone, is reported in the CA's own words, and is tried again by later runs after 1, 10 and 100 minutes, then daily.
    """
    from acmectl.app import records

    if dry_run:
        return _plan(context, names, json=False)
    with context.working(lock_wait) as host:
        forced = host.chosen_names(names)
        wanted = [w for w in host.wanted if not names or w.identifier in forced]
        host.settle()
        report = host.master().run(wanted, forced=forced, forget=not names, verify=verify)
        kept = () if names else records.keep(host)
    if verify:
        lookups.looked_at(report.looked, talks=context.talks)
    names_.master_report(report, talks=context.talks, asked=bool(names))
    records_.records_report(kept, talks=context.talks)
    is_refused = bool(names) and any(result.is_firm for result in report.results)
    is_unanswered = any(one.found == "unknown" for one in report.looked)
    has_failed = report.failed or any(result.failed for result in kept)
    return ExitStatus.FAILED if has_failed or is_refused or is_unanswered else ExitStatus.AS_WANTED


@master.command("try")
@click.argument("names", nargs=-1, metavar="[NAME...]")
@click.option(
    "--all", "every", envvar="ACMECTL_MASTER_TRY_ALL", is_flag=True, help="Try each name by every solver listed for it."
)
@as_json
@lock_wait
@pass_context
def try_(context: Context, names: tuple[str, ...], lock_wait: timedelta | None, *, every: bool, json: bool) -> int:
    """Find out whether names could be proven, without asking the CA.

    Publishes a probe for each name through its solver, sees it wherever the CA will look, and removes it: the same as before
    an authorization is replaced. All names of the configuration, or NAMEs; the solvers work at the same time. Of several solvers
    for a name the first that works is taken, as in a run.
    """
    with context.working(lock_wait) as host:
        chosen = host.tried_names(names)
        with watching(len(chosen), shown=not json) as progress:
            trials = host.prover().try_names(chosen, every=every, progress=progress)
    if json:
        words.json_out({"tried": solvers.trials_json(trials)})
    else:
        solvers.trials(trials)
    return ExitStatus.FAILED if solvers.failed(trials) else ExitStatus.AS_WANTED


@master.command("forget")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@lock_wait
@pass_context
def forget_(context: Context, names: tuple[str, ...], lock_wait: timedelta | None) -> int:
    """Deactivate the authorizations of NAMEs at the CA.

    They are forgotten here as well. No follower gets a certificate for them after that, and orders that stand on them are void. For a name that is to stay
    given up, remove it from the configuration as well.
    """
    chosen = frozenset(Identifier.parse(name) for name in names)
    with context.working(lock_wait) as host:
        engine = host.prover()
        for name in sorted(chosen - engine.remembered(chosen)):
            raise UsageError(
                f"no authorization of `{name}` is remembered here", hint="`acmectl master status` lists them"
            )
        given_up = engine.forget(chosen)
    lookups.forgotten(given_up)
    return ExitStatus.FAILED if any(one.error for one in given_up) else ExitStatus.AS_WANTED


@master.command("plan")
@click.argument("names", nargs=-1, metavar="[NAME...]")
@as_json
@pass_context
def plan_(context: Context, names: tuple[str, ...], *, json: bool) -> int:
    """Say what a run would do, and why, without asking the CA."""
    return _plan(context, names, json=json)


@master.command("status")
@as_json
@pass_context
def status_(context: Context, *, json: bool) -> int:
    """Say until when each name is authorized; never asks the CA."""
    from acmectl.app import records

    with context.reading() as host:
        plan = host.master().plan(host.wanted)
        failures, unusable = host.memory.failures("name"), host.unusable_accounts
        kept = records.status(host)
        now = host.clock()
    if json:
        names = names_.master_status_json(plan, failures, unusable, now)
        words.json_out({"master": names | {"records": [records_.kept_json(one) for one in kept]}})
    else:
        names_.master_status(plan, failures, unusable, now)
        records_.records_status(kept, now)
    has_failed = any(one.error for one in kept)
    return health.worst(
        [health.of_names(plan, failures, now), health.exit_status(failed=has_failed, running_out=False)]
    )


def _plan(context: Context, names: tuple[str, ...], *, json: bool) -> int:
    with context.reading() as host:
        forced = host.chosen_names(names)
        wanted = [w for w in host.wanted if not names or w.identifier in forced]
        plan = host.master().plan(wanted, forced=forced)
    if json:
        words.json_out({"master": names_.master_plan_json(plan)})
    else:
        names_.master_plan(plan, host.clock(), whole=not names)
    return ExitStatus.AS_WANTED
