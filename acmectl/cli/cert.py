"""`acmectl cert`: look closely at certificates, renew them, revoke them, and go back to an earlier one."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from acmectl.cli.cert_deploy import deploy
from acmectl.cli.cert_remove import remove
from acmectl.cli.cert_tlsa import tlsa
from acmectl.cli.cert_verify import verify
from acmectl.cli.chosen_certificates import Chosen, any_certificate, configured
from acmectl.cli.context import Context, DurationType, as_json, lock_wait, pass_context
from acmectl.cli.render import certificate_past, certificate_views, certificates, deployments, names, words
from acmectl.cli.render.tlsa import key_news
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


cert.add_command(tlsa)
cert.add_command(verify)
cert.add_command(deploy)
cert.add_command(remove)


@cert.command("list")
@as_json
@pass_context
def list_(context: Context, *, json: bool) -> int:
    """List the certificates of this host; never asks the CA."""
    from acmectl.app import leftovers

    with context.reading() as host:
        others = leftovers.labels(host)
        engine = host.follower(past=bool(others))
        statuses = [engine.status(wish) for wish in host.wishes()]
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

    Also of one that is not configured any more. Its names, serial, fingerprint and chain, the pins of its key and of the key made ahead, when the CA wants it renewed, its
    generations, where it is deployed, and what happened to it lately.
    """
    with context.reading() as host:
        found = any_certificate(host, label)
        engine = host.follower(past=found.is_left)
        views = [engine.examine(wish) for wish in found.wishes]
        now = host.clock()
    if json:
        shown = [certificate_views.view_json(view, in_configuration=not found.is_left) for view in views]
        words.json_out({"certificates": shown})
    else:
        for view in views:
            certificate_views.view(view, now, in_configuration=not found.is_left)
    return 0


@cert.command("renew")
@click.argument("labels", nargs=-1, required=True, metavar="LABEL...")
@click.option("--force", is_flag=True, help="Issue also what is not due.")
@click.option(
    "--new-key",
    is_flag=True,
    help="Change the key: now, or where it is published as soon as clients accept the next one.",
)
@click.option("--wait", type=DurationType(), metavar="DURATION", help="Ask again, at growing intervals, for so long.")
@lock_wait
@pass_context
def renew_(
    context: Context,
    labels: tuple[str, ...],
    wait: timedelta | None,
    lock_wait: timedelta | None,
    *,
    force: bool,
    new_key: bool,
) -> int:
    """Issue what is due and authorized at once, for people.

    Earlier failures are not waited out, and what is behind is deployed. With --force a certificate is issued that is not due.

    With --new-key its key is changed, too. Where keys are published (`tlsa`), that waits until every client accepts the next
    one; it is remembered, and done by the first run after that.
    """
    with context.working(lock_wait) as host:
        host.settle()
        wishes = [wish for label in labels for wish in configured(host, label)]
        engine = host.follower()
        if new_key:
            engine.ask_for_new_keys(wishes)
        engine.publish_keys(wishes)  # before it is decided what is due
        statuses = []
        if needed := host.needed(wishes, forced=force, at_once=True):
            proven = host.prover().run(needed, forget=False)
            names.master_report(proven, talks=True, by_name=False)
            statuses.append(health.exit_status(failed=proven.failed, running_out=False))
        report = engine.run(wishes, forced=force, at_once=True, wait=wait)
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
@click.option(
    "--account",
    metavar="NAME",
    help="Which account signs, for a certificate that is not configured any more, where there are several.",
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
    account: str | None,
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
    with context.reading() as host:
        found = _revocable(host, label, account, by_own_key=by_own_key)
        _refuse_several(found.wishes, generation, "--generation")
        engine = host.follower(past=found.is_left)
        chosen = [(wish, engine.revocable(wish, generation)) for wish in found.wishes]
        for wish, target in chosen:
            certificate_past.to_be_revoked(wish.spec, target, why, host.clock())
        _confirm(
            "Revoke it?" if len(chosen) == 1 else "Revoke them?", yes=yes
        )  # without the lock: it may take any time
        with host.state.locked(wait=lock_wait):
            host.settle()
            engine = host.follower(past=found.is_left)
            for wish, target in chosen:
                if engine.revocable(wish, generation) != target:
                    raise UsageError(f"the certificate `{wish.spec.title}` was changed meanwhile", hint="revoke again")
            for wish, target in chosen:
                revoked = engine.revoke(wish, target, why, by_own_key=host.session if by_own_key else None)
                certificate_past.revoked(wish.spec, revoked, in_configuration=not found.is_left)
    return 0


@cert.command("rollback")
@click.argument("label")
@click.option("--to", type=click.IntRange(min=1), metavar="N", help="Another generation than the one before.")
@click.option("--expired", is_flag=True, help="Go back also to one that has expired.")
@lock_wait
@pass_context
def rollback_(context: Context, label: str, to: int | None, lock_wait: timedelta | None, *, expired: bool) -> int:
    """Go back to the generation before, and deploy it.

    Of several kinds of keys all go back, or none; LABEL+KEYTYPE is one of them.

    Later runs leave it in use for a week, or for half of its time if that is shorter, unless the configuration asks for
    something else; then they renew it as usual. What was revoked is never used again. The CA is not asked.
    """
    with context.working(lock_wait) as host:
        host.settle()
        wishes, engine = configured(host, label), host.follower()
        _refuse_several(wishes, to, "--to")
        try:
            done = engine.roll_back(wishes, to=to, expired=expired)
        except UsageError:  # what the name servers said may be why
            key_news(engine.key_news, talks=False)
            raise
        for wish, rolled in zip(wishes, done, strict=True):
            certificate_past.rolled_back(rolled, engine.status(wish), host.clock())
        deployed = engine.deploy(wishes)
        deployments.deployments(deployed, talks=True)
        key_news(engine.key_news, talks=False)
    return health.exit_status(failed=any(d.error for d in deployed) or engine.is_holding, running_out=False)


def _revocable(host: Host, label: str, account: str | None, *, by_own_key: bool) -> Chosen:
    """The certificate to revoke, with the account that signs. Raises UsageError."""
    if account is not None:
        from acmectl.cli.account.choosing import chosen

        account = chosen(host, account)
    found = any_certificate(host, label, account=account)
    for wish in found.wishes:
        if not by_own_key and not wish.spec.account:
            accounts = ", ".join(f"`{name}`" for name in host.config.accounts)
            raise UsageError(
                f"the configuration does not say by which account `{wish.spec.title}` was issued",
                hint=f"name it with `--account`: {accounts}",
            )
        if account not in {None, wish.spec.account}:
            raise UsageError(f"the certificate `{wish.spec.title}` has the account `{wish.spec.account}`")
    return found


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
