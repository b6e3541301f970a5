"""`acmectl cert remove`: forget a certificate that the configuration does not name any more."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from acmectl.cli.context import Context, lock_wait, pass_context
from acmectl.cli.render import leftovers as words_
from acmectl.errors import UsageError
from acmectl.model.certificates import KIND, title_of

if TYPE_CHECKING:
    from acmectl.app import Host
    from acmectl.app.removing import Left


@click.command("remove")
@click.argument("label")
@click.option("--yes", is_flag=True, help="Do not ask; for scripts.")
@lock_wait
@pass_context
def remove(context: Context, label: str, lock_wait: timedelta | None, *, yes: bool) -> int:
    """Remove a certificate that is not configured any more.

    From the state directory, with all generations, also those that were revoked, and their keys. The files that were deployed stay where they are, and are named.
    It is not revoked by this.
    """
    from acmectl.app import removing

    with context.reading() as host:
        found = _chosen(host, label)
        for one in found:
            words_.to_be_removed(one, host.clock())
        _confirm(yes=yes)  # without the lock: it may take any time
        with host.state.locked(wait=lock_wait):
            if _chosen(host, label) != found:
                raise UsageError(f"the certificate `{label}` was changed meanwhile", hint="run the command again")
            for one in found:
                removing.remove(host, one.label)
                words_.removed(one)
    return 0


def _chosen(host: Host, label: str) -> tuple[Left, ...]:
    """What a label means: all kinds of a certificate, or one. Raises UsageError for one that is configured, or unknown."""
    from acmectl.app import removing
    from acmectl.options import nearest

    left = [one for one in removing.left(host) if not one.is_configured]
    exact = [one for one in left if one.label == label]
    whole = [one for one in left if one.label.partition(KIND)[0] == label]
    configured = label in host.config.certificates
    if KIND in label and exact:
        return tuple(exact)
    if configured or label.partition(KIND)[0] in host.config.certificates:
        kinds = ", ".join(f"`{one.label}`" for one in whole)
        hint = f"remove it there first{f'; its former kinds are {kinds}' if kinds else ''}"
        raise UsageError(f"the certificate `{title_of(label)}` is in the configuration", hint=hint)
    if not whole:
        raise UsageError(f"there is no certificate `{label}`", hint=nearest(label, [one.label for one in left]))
    return tuple(whole)


def _confirm(*, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError("there is nobody to ask for confirmation", hint="add `--yes`")
    if not click.confirm("Remove it?", err=True):
        raise UsageError("nothing was removed")
