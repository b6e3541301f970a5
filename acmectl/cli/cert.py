"""`acmectl cert`: look closely at certificates, renew them, revoke them, and go back to an earlier one."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from acmectl.cli.context import Context, DurationType, as_json, lock_wait, pass_context
from acmectl.cli.render import certificate_past, certificate_views, certificates, names, words
from acmectl.errors import UsageError
from acmectl.model.certificates import KIND
from acmectl.model.renewals import Reason
from acmectl.policy import health

if TYPE_CHECKING:
    from acmectl.app import Host
    from acmectl.follower import Wish


@click.group()
def cert() -> None:
    """Look at certificates, renew, revoke and roll them back."""


@cert.command("list")
@as_json
@pass_context
def list_(context: Context, *, json: bool) -> int:
    """List the certificates of this host; never asks the CA."""
    with context.reading() as host:
        engine = host.follower()
        statuses = [engine.status(wish) for wish in host.wishes()]
        known = {status.spec.label for status in statuses}
        others = [label for label in host.state.certificates.labels() if label not in known]
        forgotten = [have for label in others if (have := host.state.certificates.current(label))]
        now = host.clock()
    if json:
        words.json_out(certificate_views.list_json(statuses, forgotten))
    else:
        certificate_views.listed(statuses, forgotten, now)
    return 0


@cert.command("show")
@click.argument("label")
@as_json
@pass_context
def show_(context: Context, label: str, *, json: bool) -> int:
    """Show all that is known of a certificate; asks no CA.

    Its names, serial, fingerprint and chain, the pins of its key and of the key made ahead, when the CA wants it renewed, its
    generations, where it is deployed, and what happened to it lately.
    """
    with context.reading() as host:
        engine = host.follower()
        views = [engine.examine(wish) for wish in _chosen(host, label)]
        now = host.clock()
    if json:
        words.json_out({"certificates": [certificate_views.view_json(view) for view in views]})
    else:
        for view in views:
            certificate_views.view(view, now)
    return 0


@cert.command("renew")
@click.argument("labels", nargs=-1, required=True, metavar="LABEL...")
@click.option("--force", is_flag=True, help="Issue also what is not due.")
@click.option("--wait", type=DurationType(), metavar="DURATION", help="Ask again, at growing intervals, for so long.")
@lock_wait
@pass_context
def renew_(
    context: Context, labels: tuple[str, ...], wait: timedelta | None, lock_wait: timedelta | None, *, force: bool
) -> int:
    """Issue what is due and authorized at once, for people.

    Earlier failures are not waited out, and what is behind is deployed. With --force a certificate is issued that is not due.
    """
    with context.working(lock_wait) as host:
        host.settle()
        wishes = [wish for label in labels for wish in _chosen(host, label)]
        statuses = []
        if needed := host.needed(wishes, forced=force, at_once=True):
            proven = host.prover().run(needed, forget=False)
            names.master_report(proven, talks=True, by_name=False)
            statuses.append(health.exit_status(failed=proven.failed, running_out=False))
        report = host.follower().run(wishes, forced=force, at_once=True, wait=wait)
        certificates.follower_report(report, host.config, host.clock(), talks=True)
        certificate_past.not_renewed(report)
    return health.worst([*statuses, report.exit_status])


@cert.command("revoke")
@click.argument("label")
@click.option("--generation", type=click.IntRange(min=1), metavar="N", help="Another generation than the one in use.")
@click.option(
    "--reason",
    type=click.Choice([reason.value for reason in Reason], case_sensitive=False),
    help="Why, by the names of RFC 5280. A key told to be compromised is never used again.",
)
@click.option(
    "--by",
    type=click.Choice(["account", "certificate"]),
    default="account",
    show_default=True,
    help="Whose key signs: that of the account, or that of the certificate.",
)
@click.option("--yes", is_flag=True, help="Do not ask; for scripts.")
@lock_wait
@pass_context
def revoke_(
    context: Context,
    label: str,
    *,
    generation: int | None,
    reason: str | None,
    by: str,
    lock_wait: timedelta | None,
    yes: bool,
) -> int:
    """Revoke a certificate at the CA, for good.

    The reason is `unspecified` if none is given, and `keyCompromise` with --by certificate: CAs take every revocation by the
    certificate's key for that. The files of the one in use stay where they are until the next run has issued another; revoked
    generations are kept in the folder `revoked`, and never used again.
    """
    by_own_key = by == "certificate"
    why = Reason(reason) if reason else Reason.KEY_COMPROMISE if by_own_key else Reason.UNSPECIFIED
    with context.working(lock_wait) as host:
        host.settle()
        engine, wishes = host.follower(), _chosen(host, label)
        _refuse_several(wishes, generation, "--generation")
        chosen = [(wish, engine.revocable(wish, generation)) for wish in wishes]
        for wish, target in chosen:
            certificate_past.to_be_revoked(wish.spec, target, why, host.clock())
        _confirm("Revoke it?" if len(chosen) == 1 else "Revoke them?", yes=yes)
        for wish, target in chosen:
            revoked = engine.revoke(wish, target, why, by_own_key=host.session if by_own_key else None)
            certificate_past.revoked(wish.spec, revoked)
    return 0


@cert.command("rollback")
@click.argument("label")
@click.option("--to", type=click.IntRange(min=1), metavar="N", help="Another generation than the one before.")
@click.option("--expired", is_flag=True, help="Go back also to one that has expired.")
@lock_wait
@pass_context
def rollback_(context: Context, label: str, to: int | None, lock_wait: timedelta | None, *, expired: bool) -> int:
    """Go back to the generation before, and deploy it.

    Later runs leave it in use for a week, or for half of its time if that is shorter, unless the configuration asks for
    something else; then they renew it as usual. What was revoked is never used again. The CA is not asked.
    """
    with context.working(lock_wait) as host:
        host.settle()
        engine, wishes = host.follower(), _chosen(host, label)
        _refuse_several(wishes, to, "--to")
        for wish in wishes:
            done = engine.roll_back(wish, to=to, expired=expired)
            certificate_past.rolled_back(done, engine.status(wish), host.clock())
        deployed = engine.deploy(wishes)
        certificates.deployments(deployed, talks=True)
    return health.exit_status(failed=any(d.error for d in deployed), running_out=False)


def _chosen(host: Host, label: str) -> tuple[Wish, ...]:
    """All kinds of a certificate, or the one of `LABEL+KEYTYPE`. Raises UsageError."""
    configured, _, kind = label.partition(KIND)
    wishes = host.wishes([configured])
    if not kind:
        return wishes
    of_kind = tuple(wish for wish in wishes if wish.spec.key_type == kind)
    if not of_kind:
        kinds = ", ".join(f"`{wish.spec.key_type}`" for wish in wishes)
        raise UsageError(f"the certificate `{configured}` has no key of the kind `{kind}`", hint=f"it has {kinds}")
    return of_kind


def _refuse_several(wishes: tuple[Wish, ...], number: int | None, option: str) -> None:
    """Each kind of a certificate counts its own generations."""
    if number is not None and len(wishes) > 1:
        labels = " or ".join(f"`{wish.spec.configured_label}{KIND}{wish.spec.key_type}`" for wish in wishes)
        raise UsageError(f"with `{option}` it must be clear which kind of certificate is meant", hint=f"say {labels}")


def _confirm(question: str, *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError("there is nobody to ask for confirmation", hint="add `--yes`")
    if not click.confirm(question, err=True):
        raise UsageError("nothing was revoked")
