"""Solvers as a configuration makes them, and what their calls answer."""

from __future__ import annotations

from typing import Any

from acmectl.errors import SolverError
from acmectl.solvers import registry
from acmectl.solvers.base import Failures, Solver


def listening(type_: str, listen: str | None, **changes: Any) -> Solver:
    """A solver with a server of its own that is asked where it listens, if that is an address: the names of tests are nobody's."""
    asked = {"check_address": listen} if listen and not listen.startswith("systemd") else {}
    options = ({"listen": listen} if listen else {}) | asked | {"check_timeout": "1s"} | changes
    model = registry.options_model(type_)
    assert model
    return registry.build(type_, model.model_validate(options))


def only(failures: Failures) -> SolverError:
    """The one error of all that failed."""
    (error,) = set(failures.values())
    return error
