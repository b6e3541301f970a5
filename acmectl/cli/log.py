"""`acmectl log`: what happened to a name or a certificate, from the state of this host."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from acmectl.cli.context import Context, as_json, pass_context
from acmectl.cli.render import log as log_
from acmectl.cli.render import words
from acmectl.errors import InvalidName, UsageError
from acmectl.model.certificates import KIND, KeyType
from acmectl.model.names import Identifier

if TYPE_CHECKING:
    from acmectl.app import Host
    from acmectl.model.memory import Event

_USUAL = 50


@click.command()
@click.argument("subject", required=False, metavar="[NAME|LABEL]")
@click.option(
    "-n",
    "--count",
    type=click.IntRange(min=1),
    default=_USUAL,
    show_default=True,
    metavar="COUNT",
    help="So many of the latest events.",
)
@as_json
@pass_context
def log(context: Context, subject: str | None, count: int, *, json: bool) -> int:
    """Say what happened to a name or a certificate, or to all.

    Events come oldest first, those of a NAME or LABEL if it is given, or of one kind of its keys (LABEL+rsa-2048); the CA is
    never asked.

    Which order brought which authorization, which challenge was chosen and why, what failed, and the CA's own words. The
    latest 20,000 events of this host are kept.
    """
    with context.reading() as host:
        found = _events(host, subject, count)
    if json:
        words.json_out(log_.events_json(found))
        return 0
    if subject and not found:
        raise UsageError(f"nothing is remembered of `{subject}`", hint="`acmectl log` shows the latest events of all")
    log_.events(found)
    return 0


def _events(host: Host, subject: str | None, count: int) -> tuple[Event, ...]:
    """The latest events of a subject, of LABEL+KEYTYPE those of one kind: further kinds stand at the beginning of the text."""
    memory = host.state.memory
    label, _, kind = (subject or "").partition(KIND)
    if not kind:
        return memory.events(_spelled(subject), limit=count)
    wanted = host.config.certificates.get(label)
    is_first = wanted is not None and wanted.spec.key_type == kind
    others = tuple(f"{key}: " for key in KeyType)
    of_kind = (
        event
        for event in memory.events(label)
        if (not event.text.startswith(others) if is_first else event.text.startswith(f"{kind}: "))
    )
    return tuple(of_kind)[-count:]


def _spelled(subject: str | None) -> str | None:
    """As events spell it: a name in its A-label form; a label as it is."""
    if subject is None:
        return None
    try:
        return Identifier.parse(subject).value if "." in subject or ":" in subject else subject
    except InvalidName:
        return subject
