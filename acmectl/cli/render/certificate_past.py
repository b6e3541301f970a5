"""Words about what a person does to certificates: renewing before time, revoking, going back."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import click

from acmectl.cli.render.deployments import configured
from acmectl.cli.render.words import GREEN, RED, YELLOW, hint, moment, say, valid

if TYPE_CHECKING:
    from acmectl.follower import CertificateStatus, FollowerReport
    from acmectl.follower.revoking import Revoked, Target
    from acmectl.follower.rolling_back import RolledBack
    from acmectl.model.certificates import CertificateSpec
    from acmectl.model.renewals import Reason


def not_renewed(report: FollowerReport) -> None:
    """How to have issued what was not due."""
    from acmectl.policy.renewal import NotDue

    labels = dict.fromkeys(configured(r.label) for r in report.results if isinstance(r.outcome, NotDue))
    if labels:
        hint(f"what is not due is issued by `acmectl cert renew {' '.join(labels)} --force`")


def to_be_revoked(spec: CertificateSpec, target: Target, reason: Reason, now: datetime) -> None:
    """What is about to be revoked, and what that means."""
    names = ", ".join(map(str, sorted(target.names)))
    click.echo(f"{spec.title}: generation {target.generation}, serial {target.serial}", err=True)
    click.echo(f"  {valid(target.not_after, now)}, for {names}", err=True)
    if target.is_in_use:
        text = (
            f"certificate `{spec.title}` is in use: clients that check will refuse it from the moment of its revocation"
        )
        say("warning", text, YELLOW)
    click.echo(f"  reason: {reason}", err=True)


def revoked(spec: CertificateSpec, done: Revoked, *, in_configuration: bool = True) -> None:
    """That a certificate is revoked, and what comes next."""
    target = done.target
    already = " already, says the CA" if done.was_already else ""
    state = click.style(f"revoked ({done.revocation.reason})", fg=RED)
    click.echo(f"{spec.title}: generation {target.generation} {state}{already}, serial {target.serial}")
    if done.revocation.distrusts_key:
        click.echo("  its key is never used again")
    if target.is_in_use and not in_configuration:
        click.echo("  its files stay where they are, and no run issues another: it is not in the configuration")
    elif target.is_in_use:
        click.echo("  it stays in use until another one is issued, which the next run does")
        hint(f"`acmectl cert renew {spec.configured_label}` issues it at once")
    else:
        click.echo("  its files were moved to the folder `revoked` of this certificate")
    if done.revocation.distrusts_key and (spec.prepare_key or spec.key_file):
        keep = "the key made ahead" if spec.prepare_key else f"`{spec.key_file}`"
        say("warning", f"whoever read its key may know {keep} too", YELLOW)


def rolled_back(done: RolledBack, after: CertificateStatus, now: datetime) -> None:
    """Which generation is in use now, until when it is valid, and when it is renewed."""
    from acmectl.policy.renewal import NotDue

    spec, decision = after.spec, after.decision
    have, before = done.installed, f" instead of {done.before}" if done.before else ""
    state = click.style(f"generation {have.generation} is in use", fg=GREEN)
    click.echo(f"{spec.title}: {state}{before}, serial {have.serial}")
    click.echo(f"  {valid(have.not_after, now)}")
    when = f"due {moment(decision.at)}" if isinstance(decision, NotDue) else f"due now: {decision.reason}"
    if done.is_newest:
        click.echo(f"  it is the newest one, and renewed as usual: {when}")
        return
    click.echo(f"  later runs leave it in use, unless the configuration asks for another; its renewal is {when}")
    hint(f"`acmectl cert renew {spec.configured_label} --force` issues a new one before that")
