"""Words about what a master found out at the CA: what it still holds (`--verify`), what was given up (`forget`), and what it is like."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from acmectl.cli.render.words import RED, YELLOW, counted, hint, moment, say

if TYPE_CHECKING:
    from acmectl.master import Forgotten, Looked, Note


def looked_at(looked: Sequence[Looked], *, talks: bool) -> None:
    """What the CA said of the remembered authorizations: losses in any case, the rest only where somebody looks.

    One that lived its time was not lost.
    """
    lost = [one for one in looked if one.found == "lost"]
    lapsed = [one for one in looked if one.found == "lapsed"]
    unknown = [one for one in looked if one.found == "unknown"]
    for one in lost:
        known = one.authorization
        say("warning", f"`{known.identifier}` was not authorized any more: {one.words} ({known.url})", YELLOW)
    for words in dict.fromkeys(one.words for one in unknown):
        names = ", ".join(f"`{one.authorization.identifier}`" for one in unknown if one.words == words)
        say("error", f"the CA could not be asked about {names}: {words}", RED)
    if talks:
        valid = len(looked) - len(lost) - len(lapsed) - len(unknown)
        ended = f", {len(lapsed)} lapsed" if lapsed else ""
        click.echo(f"verified {counted(len(looked), 'authorization')}: {valid} valid{ended}, {len(lost)} lost")


def notes(about: Sequence[Note]) -> None:
    """What a person should know of the CA."""
    for note in about:
        say("warning", note.text, YELLOW)
        hint(note.hint)


def forgotten(given_up: Sequence[Forgotten]) -> None:
    """Which authorizations were given up, and which could not be."""
    for one in given_up:
        known = one.authorization
        if one.error is None:
            click.echo(f"{known.identifier}  forgotten  {known.url}, was valid until {moment(known.expires_at)}")
        else:
            say("error", f"`{known.identifier}` is not forgotten: {one.error.message}", RED)
            hint(one.error.hint)
