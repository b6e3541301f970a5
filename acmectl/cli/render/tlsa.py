"""Words about TLSA records: as a zone file, and how far each key is."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from acmectl.cli.render.words import RED, YELLOW, hint, iso, say
from acmectl.model.certificates import title_of

if TYPE_CHECKING:
    from acmectl.app.published import KeyFinding
    from acmectl.follower.announcing import Announced
    from acmectl.follower.key_publishing import KeyNews


def zone_lines(records: Sequence[Announced], now: datetime) -> None:
    """Lines of a zone file (RFC 1035 section 5.1), with comments that say which key each is for."""
    for (label, _), group in itertools.groupby(records, key=lambda record: (record.label, record.spki)):
        same = tuple(group)
        kind = f", {same[0].key_type}" if same[0].key_type else ""
        click.echo(f"; {title_of(label)}: the {_ROLES[same[0].role]}{kind} ({_how_far(same, now)})")
        for record in same:
            click.echo(record.record.line(record.ttl))


def published_lines(records: Sequence[Announced], now: datetime) -> Iterable[tuple[str, str | None]]:
    """How far the published keys of a certificate are, as lines with their colours."""
    for _, group in itertools.groupby(records, key=lambda record: record.spki):
        same = tuple(group)
        is_seen = all(record.seen_at is not None for record in same)
        how_far = "published" if same[0].role == "former" and is_seen else _how_far(same, now)
        yield f"TLSA, {_ROLES[same[0].role]}: {how_far}", None if is_seen else YELLOW


def key_news(news: Iterable[KeyNews], *, talks: bool) -> None:
    """What became of published keys; what failed, and what makes clients turn away, in any case."""
    for one in news:
        if one.is_error:
            say("error", f"certificate `{title_of(one.label)}`: {one.text}", RED)
            hint(one.hint)
        elif one.is_urgent:
            say("warning", f"certificate `{title_of(one.label)}`: {one.text}", YELLOW)
            hint(one.hint)
        elif talks:
            click.echo(f"{title_of(one.label)}: {one.text}" + (f" ({one.hint})" if one.hint else ""))


def findings(found: Iterable[KeyFinding]) -> None:
    """What is wrong with published keys, on stderr."""
    for one in found:
        word, colour = ("error", RED) if one.is_serious else ("warning", YELLOW)
        say(word, f"certificate `{one.label}`: {one.message}", colour)
        hint(one.hint)


def finding_json(found: KeyFinding) -> dict[str, Any]:
    """The same as one of the warnings for programs."""
    return {
        "message": found.message,
        "hint": found.hint,
        "certificate": found.label,
        "clients_turn_away": found.is_serious,
    }


def record_json(record: Announced) -> dict[str, Any]:
    """One record for programs."""
    usage, selector, matching_type, data = record.record.association.split()
    return {
        "label": record.label,
        "role": record.role,
        "key": record.key_type,
        "pin_sha256": record.spki,
        "owner": record.record.owner,
        "ttl": int(record.ttl.total_seconds()),
        "usage": int(usage),
        "selector": int(selector),
        "matching_type": int(matching_type),
        "data": data,
        "line": record.record.line(record.ttl),
        "seen_at": iso(record.seen_at),
        "accepted_from": iso(record.accepted_from),
    }


_ROLES = {
    "in use": "key in use",
    "next": "next key",
    "former": "former key, which services or resolvers may still need",
}


def _how_far(records: Sequence[Announced], now: datetime) -> str:
    known = [record.accepted_from for record in records if record.accepted_from is not None]
    if len(known) < len(records):
        return "not seen at every name server yet"
    latest = max(known)
    return (
        "published" if latest <= now else f"published, accepted by every client from {latest:%Y-%m-%d %H:%M:%S} UTC on"
    )
