"""Words about certificates that the configuration does not name any more, and the files that services still have."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from acmectl.cli.render.words import YELLOW, counted, hint, say, until
from acmectl.model.certificates import title_of

if TYPE_CHECKING:
    from acmectl.app.removing import Left


def to_be_removed(left: Left, now: datetime) -> None:
    """What is about to be removed, what stays, and what is not done by it."""
    have = left.installed
    title = title_of(left.label)
    click.echo(f"{title}: {counted(len(left.generations), 'generation')} with keys{_more(left)}", err=True)
    for path in left.files:
        click.echo(f"  stays: {path}", err=True)
    for record in left.records:
        click.echo(f"  stays: TLSA record {record.owner} {record.association}", err=True)
    if left.records:
        say(
            "warning",
            "validating clients turn away from services with any other key, as long as the zone has these records",
            YELLOW,
        )
        hint("take them out of the zone before services get another key")
    if have is not None and have.not_after > now:
        say(
            "warning",
            f"certificate `{title}` is valid {until(have.not_after, now)}, and is not revoked by this",
            YELLOW,
        )


def _more(left: Left) -> str:
    more = [
        f"{len(left.archived)} that were revoked" if left.archived else "",
        "the key made ahead" if left.next_pin else "",
    ]
    return "".join(f", {text}" for text in more if text)


def removed(left: Left) -> None:
    """That it is gone, and what is not."""
    click.echo(f"{title_of(left.label)}: removed")
    for path in left.files:
        click.echo(f"  stays: {path}")
    for record in left.records:
        click.echo(f"  stays: TLSA record {record.owner} {record.association}")


def left_behind(found: Iterable[Left]) -> None:
    """What the configuration does not name any more, for `status` and `check`."""
    for left in found:
        message, advice = _words(left)
        say("warning", message, YELLOW)
        hint(advice)


def warning_json(left: Left) -> dict[str, Any]:
    """The same as one of the warnings for programs."""
    message, advice = _words(left)
    return {"message": message, "hint": advice, "certificate": left.label, "files": list(left.files)}


def _words(left: Left) -> tuple[str, str]:
    """What is left behind, and what to do."""
    title = title_of(left.label)
    if left.is_configured:
        message = f"certificate `{title}`: files of a former target stay, and nobody renews them: {_files(left)}"
        return message, "remove them once no service reads them"
    stay = f"; its deployed files stay, and nobody renews them: {_files(left)}" if left.files else ""
    if left.records:
        records = ", ".join(f"{record.owner} {record.association}" for record in left.records)
        stay += f"; the zone may still have TLSA records of its keys, and nobody removes them: {records}"
    advice = f"`acmectl cert remove {left.label}` removes what this host keeps of it, and no deployed file"
    advice += " or TLSA record" if left.records else ""
    return f"certificate `{title}` is not in the configuration any more{stay}", advice


def _files(left: Left) -> str:
    return ", ".join(f"`{path}`" for path in left.files)
