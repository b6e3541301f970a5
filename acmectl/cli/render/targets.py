"""Words about deploy targets: the types there are."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from acmectl.cli.render.options import options as options_
from acmectl.cli.render.words import GREEN, table

if TYPE_CHECKING:
    from acmectl.deploy.describing import Described
    from acmectl.deploy.target import Copy, Target
    from acmectl.described_options import Option


def types(described: Sequence[Described]) -> None:
    """One line a type."""
    table([[(one.name, GREEN), (one.service, None), (_where(one.target), None)] for one in described])


def _where(target: Target | None) -> str:
    return ", ".join(str(path) for path in target.copies) if target else ""


def type_(one: Described, options: Sequence[Option]) -> None:
    """What a type does, and its options."""
    click.echo(f"{click.style(one.name, bold=True)}: {one.service}")
    rows = list(_facts(one, one.target)) if one.target else []
    table([[(f"  {word}:" if word else "", None), (text, None)] for word, text in rows])
    if one.note:
        click.echo(textwrap.fill(one.note, 100, initial_indent="  note: ", subsequent_indent="    "))
    options_(options)


def _facts(one: Described, target: Target) -> Iterator[tuple[str, str]]:
    for number, copy in enumerate(target.wanted):
        yield "" if number else "files", f"{copy.path}: {copy.content.value}, {rights(copy)}"
    yield "check", command(target.check)
    yield "reload", command(target.reload_command)
    yield "seen at", seen_at(target)
    if target.verify:
        yield "asked for", "the first name in the certificate, or the `name` of an endpoint of `verify`"
    yield "two kinds of keys", ", ".join(str(path) for path in one.kinds) or "no: it serves one certificate for a name"


def rights(copy: Copy) -> str:
    """`root:prosody 0640`: root is who runs acmectl, mostly."""
    return f"{copy.owner or 'root'}:{copy.group or 'root'} {copy.mode:04o}"


def command(argv: tuple[str, ...] | None) -> str:
    """As one would type it."""
    return shlex.join(argv) if argv else "none"


def seen_at(target: Target) -> str:
    """Where it is looked whether the service serves it."""
    return ", ".join(str(endpoint) for endpoint in target.verify.endpoints) if target.verify else "nowhere"


def type_json(one: Described) -> dict[str, Any]:
    """A type."""
    target = one.target
    return {
        "name": one.name,
        "service": one.service,
        "files": [_copy_json(copy) for copy in target.wanted] if target else [],
        "files_of_two_kinds": [str(path) for path in one.kinds],
        "check": _argv_json(target.check) if target else None,
        "reload": _argv_json(target.reload_command) if target else None,
        "verify": [
            {"address": endpoint.address, "port": endpoint.port, "protocol": endpoint.protocol.value}
            for endpoint in (target.verify.endpoints if target and target.verify else ())
        ],
        "note": one.note or None,
    }


def _copy_json(copy: Copy) -> dict[str, Any]:
    return {
        "content": copy.content.value,
        "path": str(copy.path),
        "mode": f"{copy.mode:04o}",
        "owner": copy.owner,
        "group": copy.group,
    }


def _argv_json(argv: tuple[str, ...] | None) -> list[str] | None:
    return list(argv) if argv else None
