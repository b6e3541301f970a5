"""`acmectl solvers`: the ways of proving control that a configuration can name, and what each takes."""

from __future__ import annotations

import click

from acmectl.cli.context import as_json
from acmectl.cli.render import solvers as render
from acmectl.cli.render import words
from acmectl.cli.render.options import option_json
from acmectl.errors import SolverError, UsageError
from acmectl.policy.health import ExitStatus

_NOT_INSTALLED = "providers of hosted DNS need dns-lexicon: `pip install 'acmectl[lexicon]'`"


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
    """Show what a solver type, or a provider of type `lexicon`, takes."""
    from acmectl.options import nearest
    from acmectl.solvers import describing, registry

    providers = _providers()
    if name not in registry.known_types() and name not in providers:
        from acmectl.options import nearest  # pydantic: not for `--help`

        hint = nearest(name, (*registry.known_types(), *providers)) or registry.hint_for(name)
        hint += "" if providers else f"; {_NOT_INSTALLED}"
        raise UsageError(f"there is no solver type `{name}`", hint=hint)
    if name not in registry.known_types():
        provider, options = describing.described_provider(name)
        if json:
            words.json_out({"provider": render.provider_json(provider, options)})
        else:
            render.type_(provider, options)
        return ExitStatus.AS_WANTED
    found, options = describing.described(name)
    its_own = providers if name == "lexicon" else ()
    if json:
        more = {"providers": list(its_own)} if its_own else {}
        words.json_out({"solver": render.type_json(found) | {"options": [option_json(o) for o in options]} | more})
    else:
        render.type_(found, options)
        render.providers(its_own)
    if name == "lexicon" and not providers:
        words.hint(_NOT_INSTALLED)
    return ExitStatus.AS_WANTED


def _providers() -> tuple[str, ...]:
    """Those of lexicon, none where it is not installed."""
    from acmectl.solvers.lexicon_providers import provider_names

    try:
        return provider_names()
    except SolverError:
        return ()
