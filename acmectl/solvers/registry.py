"""The solver types by the name that the configuration gives them: our own, and plug-ins of other packages.

A plug-in is an entry point of the group `acmectl.solvers` whose name is the type and whose object is a `SolverType`. A module is
imported only when its type is asked for, and our own import dnspython or an HTTP client only when they
act: a run with nothing to do builds no solver, and checking a configuration asks nobody. Our own names are ours: a plug-in that takes one is
never loaded, and `acmectl solvers list` says so.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar

from acmectl.errors import SolverError
from acmectl.options import Options, nearest
from acmectl.solvers.base import CONTRACT, Capabilities, Solver
from acmectl.solvers.foreign import Guarded, defect, others_code

ENTRY_POINT_GROUP = "acmectl.solvers"
_BUILT_IN = ("rfc2136", "lexicon", "webroot", "standalone", "command", "tls-alpn")

OptionsT = TypeVar("OptionsT", bound=Options)


@dataclass(frozen=True, slots=True)
class SolverType(Generic[OptionsT]):
    """What a type of solver consists of: the schema of its options, and what makes a solver of them.

    `build` MUST NOT do any IO: it is called for every solver that a run may need. `capabilities` is the most that a
    solver of this type can do; those of what is built may be less, by its options. `contract` is the version of the contract
    (`acmectl.solvers.base`) that it was written for: a plug-in writes the number. `summary` is one line for `acmectl solvers list`.
    """

    options: type[OptionsT]
    build: Callable[[OptionsT], Solver]
    contract: int = field(kw_only=True)
    summary: str = field(kw_only=True)
    capabilities: Capabilities = field(kw_only=True)


def known_types() -> tuple[str, ...]:
    """The types that a configuration can name: our own first, then the plug-ins' in alphabetical order."""
    return (*_BUILT_IN, *sorted({point.name for point in plug_ins()} - set(_BUILT_IN)))


def plug_ins() -> tuple[EntryPoint, ...]:
    """What other packages offer, in alphabetical order; whether it is of any use is not known yet."""
    return tuple(sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda point: (point.name, origin(point))))


def is_built_in(type: str) -> bool:  # noqa: A002  # the key's name in the configuration
    """Whether a type is one of our own."""
    return type in _BUILT_IN


def find(type: str) -> SolverType[Any]:  # noqa: A002  # the key's name in the configuration
    """The solver type of that name.

    Raises SolverError for an unknown one, and for a plug-in that is installed and cannot be used.
    """
    if is_built_in(type):
        found = import_module(f"acmectl.solvers.{type.replace('-', '_')}").SOLVER_TYPE
        assert isinstance(found, SolverType)  # noqa: S101  # our own modules; a test imports each
        return found
    points = [point for point in plug_ins() if point.name == type]
    if not points:
        raise SolverError(f"there is no solver type `{type}`", hint=hint_for(type))
    if len(points) > 1:
        listed = " and ".join(origin(point) for point in points)
        raise SolverError(f"several plug-ins offer solver type `{type}`: {listed}", hint="uninstall all but one")
    return _load(points[0])


def options_model(type: str) -> type[Options] | None:  # noqa: A002  # the key's name in the configuration
    """The schema of the options of solvers of `type`; None if there is no such type.

    Raises SolverError for a plug-in that is installed and cannot be used.
    """
    if not is_built_in(type) and all(point.name != type for point in plug_ins()):
        return None
    return find(type).options


def build(type: str, options: Options) -> Solver:  # noqa: A002  # the key's name in the configuration
    """The solver of `type` with `options`, an instance of `options_model(type)`.

    Raises SolverError as `find` does. A plug-in's solver keeps to the contract whatever it does: see `Guarded`.
    """
    found = find(type)
    if is_built_in(type):
        return found.build(options)
    with others_code(_named(type)):
        return Guarded(_named(type), found.build(options))


def guard(type: str) -> AbstractContextManager[None]:  # noqa: A002  # the key's name in the configuration
    """What the validators of a plug-in's options run in, so that a defect of theirs is an error that names the plug-in."""
    return nullcontext() if is_built_in(type) else others_code(_named(type))


def hint_for(type: str) -> str:  # noqa: A002  # the key's name in the configuration
    """What to do about a type that nobody knows."""
    types = known_types()
    return nearest(type, types) or f"the types are {', '.join(types)}; others are plug-ins that have to be installed"


def origin(point: EntryPoint) -> str:
    """Where a plug-in comes from, for people."""
    package = f"{point.dist.name} {point.dist.version}, " if point.dist else ""
    return f"{package}`{point.value}`"


def _load(point: EntryPoint) -> SolverType[Any]:
    what = f"the plug-in for solver type `{point.name}` ({origin(point)})"
    with others_code(what, doing="cannot be imported"):
        found = point.load()
    if not isinstance(found, SolverType):
        raise SolverError(f"{what} is no `SolverType`", hint="its package has to be corrected: tell its authors")
    if found.contract != CONTRACT:
        older = isinstance(found.contract, int) and found.contract < CONTRACT
        raise SolverError(
            f"{what} was written for version {found.contract} of the contract, and this acmectl has version {CONTRACT}",
            hint=f"install {'a newer version of its package' if older else 'a newer acmectl'}",
        )
    if not (isinstance(found.options, type) and issubclass(found.options, Options)):
        raise SolverError(f"{what} has options that are no subclass of `acmectl.options.Options`")
    if wrong := defect(found.capabilities):
        raise SolverError(f"{what} is a type {wrong}", hint="its package has to be corrected: tell its authors")
    return found


def _named(type: str) -> str:  # noqa: A002  # the key's name in the configuration
    return f"the plug-in for solver type `{type}`"
