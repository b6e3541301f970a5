"""The solver types by the name that the configuration gives them: our own, and plug-ins of other packages.

A plug-in is an entry point of the group `acmectl.solvers` whose name is the type and whose object is a `SolverType`. A module is
imported only when its type is asked for, and our own import dnspython or an HTTP client only when they
act: a run with nothing to do builds no solver, and checking a configuration asks nobody.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar

from acmectl.errors import SolverError
from acmectl.options import Options
from acmectl.solvers.base import Solver

ENTRY_POINT_GROUP = "acmectl.solvers"
_BUILT_IN = ("rfc2136", "webroot", "standalone", "command")

OptionsT = TypeVar("OptionsT", bound=Options)


@dataclass(frozen=True, slots=True)
class SolverType(Generic[OptionsT]):
    """What a type of solver consists of: the schema of its options, and what makes a solver of them.

    `build` MUST NOT do any IO: it is called for every solver that a run may need. `capabilities` of what it
    builds may depend on the options.
    """

    options: type[OptionsT]
    build: Callable[[OptionsT], Solver]


def known_types() -> tuple[str, ...]:
    """The types that a configuration can name: our own first, then the plug-ins' in alphabetical order."""
    plug_ins = {point.name for point in entry_points(group=ENTRY_POINT_GROUP)}
    return (*_BUILT_IN, *sorted(plug_ins - set(_BUILT_IN)))


def options_model(type: str) -> type[Options] | None:  # noqa: A002  # the key's name in the configuration
    """The schema of the options of solvers of `type`; None if there is no such type.

    Raises SolverError for a plug-in that is installed and cannot be imported.
    """
    found = _find(type)
    return found.options if found else None


def build(type: str, options: Options) -> Solver:  # noqa: A002  # the key's name in the configuration
    """The solver of `type` with `options`, an instance of `options_model(type)`.

    Raises SolverError for an unknown type, or a plug-in that is installed and cannot be imported.
    """
    found = _find(type)
    if found is None:
        raise SolverError(f"there is no solver type `{type}`", hint=f"the types are {', '.join(known_types())}")
    return found.build(options)


def _find(type: str) -> SolverType[Any] | None:  # noqa: A002  # the key's name in the configuration
    if type in _BUILT_IN:
        found = import_module(f"acmectl.solvers.{type}").SOLVER_TYPE
        assert isinstance(found, SolverType)  # noqa: S101  # our own modules; a test imports each
        return found
    points = entry_points(group=ENTRY_POINT_GROUP, name=type)
    return _load(next(iter(points))) if points else None


def _load(point: EntryPoint) -> SolverType[Any]:
    try:
        found = point.load()
    except (ImportError, AttributeError, SyntaxError) as cause:
        raise SolverError(
            f"the plug-in for solver type `{point.name}` (`{point.value}`) cannot be imported: {cause}"
        ) from cause
    if not isinstance(found, SolverType):
        raise SolverError(f"the plug-in for solver type `{point.name}` (`{point.value}`) is no `SolverType`")
    return found
