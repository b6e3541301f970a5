"""Words about the log that acmectl keeps in its state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from acmectl.cli.render.words import GREEN, RED, YELLOW, hanging, iso

if TYPE_CHECKING:
    from acmectl.model.memory import Event

_COLOURS = {
    "failed": RED,
    "revoked": RED,
    "lost": YELLOW,
    "rolled back": YELLOW,
    "deactivate": YELLOW,
    "proven": GREEN,
    "issued": GREEN,
}


def events(found: Sequence[Event]) -> None:
    """One line for each event, oldest first; what a service said in several goes on below it."""
    subjects = max((len(event.subject) for event in found), default=0)
    kinds = max((len(event.kind) for event in found), default=0)
    for event in found:
        kind = click.style(event.kind.ljust(kinds), fg=_COLOURS.get(event.kind))
        at = event.at.strftime("%Y-%m-%d %H:%M:%S UTC")
        click.echo(f"{at}  {event.subject.ljust(subjects)}  {kind}  {hanging(event.text)}".rstrip())


def events_json(found: Sequence[Event]) -> dict[str, Any]:
    """The same for programs."""
    return {"events": [{"at": iso(e.at), "subject": e.subject, "kind": e.kind, "text": e.text} for e in found]}
