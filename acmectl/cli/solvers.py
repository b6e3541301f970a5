"""`acmectl solvers`: the ways of proving control that a configuration can name, and what each takes."""

from __future__ import annotations

import click

from acmectl.cli.context import as_json
from acmectl.cli.render import solvers as render
from acmectl.cli.render import words
from acmectl.errors import UsageError
from acmectl.policy.health import ExitStatus


@click.group()
def solvers() -> None:
    """Say which solver types there are, and what each takes."""


@solvers.command("list")
@as_json
def list_(*, json: bool) -> int:
    """List the solver types: built in, and of plug-ins.

    A plug-in that is installed and cannot be used makes exit status 1.
    """
    from acmectl.solvers import describing

    types = describing.described_types()
    if json:
        words.json_out({"solvers": [render.type_json(one) for one in types]})
    else:
        render.types(types)
    return ExitStatus.FAILED if any(one.error for one in types) else ExitStatus.AS_WANTED


@solvers.command("show")
@click.argument("name")
@as_json
def show_(name: str, *, json: bool) -> int:
    """Show what a solver type can do, and its options."""
    from acmectl.solvers import describing, registry

    if name not in registry.known_types():
        raise UsageError(f"there is no solver type `{name}`", hint=registry.hint_for(name))
    found, options = describing.described(name)
    if json:
        words.json_out({"solver": render.type_json(found) | {"options": [render.option_json(o) for o in options]}})
    else:
        render.type_(found, options)
    return ExitStatus.AS_WANTED
