"""`acmectl cert deploy`: hand a certificate to its services again, because a person says so."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from acmectl.cli.chosen_certificates import configured
from acmectl.cli.context import Context, lock_wait, pass_context
from acmectl.cli.render import deployments
from acmectl.cli.render.tlsa import key_news
from acmectl.errors import StorageError, UsageError
from acmectl.policy import health

if TYPE_CHECKING:
    from acmectl.app import Host
    from acmectl.follower import Wish


@click.command("deploy")
@click.argument("label")
@click.option("--target", multiple=True, metavar="N", help="To this one alone, by its number or name (`nginx[0]`).")
@lock_wait
@pass_context
def deploy(context: Context, label: str, target: tuple[str, ...], lock_wait: timedelta | None) -> int:
    """Deploy the certificate in use again.

    Also where it is deployed already, and all of it: files, check, reload, verification, and the commands of `onchange`. Earlier failures are not waited out. The CA is
    not asked. Where `tlsa` publishes its key, a service that clients would turn away from keeps what it has.
    """
    with context.working(lock_wait) as host:
        host.settle()
        wishes = configured(host, label)
        again = _targets(wishes, target)
        _check_that_there_is_one(host, label, wishes)
        engine = host.follower()
        deployed = engine.deploy(wishes, again=again, only=bool(target))
        deployments.deployments(deployed, talks=True)
        key_news(engine.key_news, talks=False)
    return health.exit_status(failed=any(d.error for d in deployed) or engine.is_holding, running_out=False)


def _check_that_there_is_one(host: Host, label: str, wishes: Sequence[Wish]) -> None:
    certificates = host.state.certificates
    if any(certificates.current(wish.spec.label) for wish in wishes):
        return
    hint = f"`acmectl cert renew {wishes[0].spec.configured_label}` issues {{}}, once its names are authorized"
    for wish in wishes:
        if damage := certificates.damage(wish.spec.label):
            raise StorageError(
                f"the certificate `{wish.spec.title}` cannot be deployed: {damage}", hint=hint.format("another")
            )
    raise UsageError(f"there is no certificate `{label}` to deploy yet", hint=hint.format("it"))


def _targets(wishes: Sequence[Wish], chosen: Sequence[str]) -> frozenset[str]:
    """The names of the targets that a person means, or all. Raises UsageError."""
    first = wishes[0]  # all kinds of a certificate have the same
    targets = [placed.name for placed in first.targets]
    known = [*targets, *(placed.name for placed in first.onchange)]
    if not known:
        hint = f"`certificates.{first.spec.configured_label}.deploy` in the configuration lists them"
        raise UsageError(f"the certificate `{first.spec.title}` has no targets", hint=hint)
    found = {text: targets[int(text)] if text.isdecimal() and int(text) < len(targets) else text for text in chosen}
    for text, name in found.items():
        if name not in known:
            raise UsageError(
                f"the certificate `{first.spec.title}` has no target `{text}`",
                hint=f"it has {', '.join(f'`{one}`' for one in known)}",
            )
    return frozenset(found.values()) or frozenset(known)
