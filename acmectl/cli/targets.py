"""`acmectl targets`: the services that a configuration can name in `deploy`, and what each gets."""

from __future__ import annotations

import click

from acmectl.cli.context import as_json
from acmectl.cli.render import words
from acmectl.errors import UsageError
from acmectl.policy.health import ExitStatus


@click.group()
def targets() -> None:
    """Say which services can be deployed to, and what each gets."""


@targets.command("list")
@as_json
def list_(*, json: bool) -> int:
    """List the types of deploy targets."""
    from acmectl.cli.render import targets as render
    from acmectl.deploy import describing

    types = describing.described_types()
    if json:
        words.json_out({"targets": [render.type_json(one) for one in types]})
    else:
        render.types(types)
    return ExitStatus.AS_WANTED


@targets.command("show")
@click.argument("name")
@as_json
def show_(name: str, *, json: bool) -> int:
    """Show what a type of deploy target does, and what it takes."""
    from acmectl.cli.render import targets as render
    from acmectl.cli.render.options import option_json
    from acmectl.deploy import describing, registry
    from acmectl.options import nearest

    known = registry.known_types()
    if name not in known:
        hint = nearest(name, known) or f"the types are {', '.join(known)}; `files` is for any other service"
        raise UsageError(f"there is no target type `{name}`", hint=hint)
    found, options = describing.described(name)
    if json:
        words.json_out({"target": render.type_json(found) | {"options": [option_json(one) for one in options]}})
    else:
        render.type_(found, options)
    return ExitStatus.AS_WANTED
