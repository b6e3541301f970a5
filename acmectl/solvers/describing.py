"""What solver types there are and what each takes, for `acmectl solvers list` and `show`: our own, those of plug-ins, and lexicon's."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING

from acmectl.described_options import Option, either, options_of
from acmectl.errors import SolverError
from acmectl.solvers import registry
from acmectl.solvers.base import Capabilities

if TYPE_CHECKING:
    from acmectl.solvers.lexicon_providers import ProviderOption


@dataclass(frozen=True, slots=True)
class Described:
    """A solver type; `error` says why a plug-in cannot be used, and then nothing else is known of it."""

    name: str
    origin: str
    summary: str = ""
    capabilities: Capabilities | None = None
    error: SolverError | None = None


def described_types() -> tuple[Described, ...]:
    """All types, our own first; a plug-in that takes the name of one of ours is listed as well, with an error."""
    points = registry.plug_ins()
    known = [_described(name, _origin(name)) for name in registry.known_types()]
    return (*known, *(_shadowed(p.name, registry.origin(p)) for p in points if registry.is_built_in(p.name)))


def _origin(name: str) -> str:
    if registry.is_built_in(name):
        return "built in"
    return " and ".join(registry.origin(point) for point in registry.plug_ins() if point.name == name)


def _described(name: str, origin: str) -> Described:
    try:
        found = registry.find(name)
    except SolverError as error:
        return Described(name, origin, error=error)
    return Described(name, origin, found.summary, found.capabilities)


def _shadowed(name: str, origin: str) -> Described:
    error = SolverError(
        f"the plug-in for solver type `{name}` ({origin}) takes the name of a built-in type, and is not used",
        hint="its package has to give it another name",
    )
    return Described(name, origin, error=error)


def described(name: str) -> tuple[Described, tuple[Option, ...]]:
    """One type with its options. Raises SolverError for an unknown one, and a plug-in that cannot be used."""
    found = registry.find(name)
    return Described(name, _origin(name), found.summary, found.capabilities), tuple(options_of(found.options))


def described_provider(name: str) -> tuple[Described, tuple[Option, ...]]:
    """One of `lexicon_providers.provider_names`, with what goes where in a solver of type `lexicon`; the words are lexicon's."""
    from acmectl.solvers import lexicon_providers

    origin = f"dns-lexicon {version('dns-lexicon')}"
    if missing := lexicon_providers.missing_packages(name):
        origin += f"; {', '.join(missing)} is missing: `pip install 'dns-lexicon[{name}]'`"
    return Described(name, origin, "a provider for solvers of type `lexicon`"), tuple(
        _of_provider(option) for option in lexicon_providers.provider_options(name)
    )


def _of_provider(option: ProviderOption) -> Option:
    if option.is_secret:
        return Option(f"credentials.{option.name}", "secret file", False, None, option.meaning)
    kind = either(f"`{one}`" for one in option.choices) if option.choices else "yes or no" if option.is_flag else "text"
    return Option(f"options.{option.name}", kind, False, option.default, option.meaning)
