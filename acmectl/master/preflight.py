"""Preflight: whether a solver could prove a name right now, found out without asking the CA.

A probe value is published where the response to a challenge would be, and must be seen wherever the CA will look. Nothing
is deactivated before that, and a name that failed before is not ordered again before that: a name server that is down for a day
costs no order and no failed validation, and the first run after it proves again.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from acmectl import workers
from acmectl.errors import AcmectlError, SolverError
from acmectl.policy.refresh import Wanted
from acmectl.solvers.base import Response, Solver

if TYPE_CHECKING:
    from acmectl.master.books import Books


class Preflight:
    """Remembers for one run which names passed: none is probed twice."""

    def __init__(self, solver: Callable[[str], Solver], books: Books, *, pool: int) -> None:
        """`solver` gives a solver by name; `books` note what lies in the world; `pool` threads."""
        self._solver = solver
        self._books = books
        self._pool = pool
        self._passed: set[Wanted] = set()

    def failing(self, names: Iterable[Wanted]) -> dict[Wanted, AcmectlError]:
        """Publish a probe for every name, see it, and remove it; returns why which of them could not be proven now."""
        failed: dict[Wanted, AcmectlError] = {}
        by_solver: dict[str, dict[Response, Wanted]] = {}
        for wanted in names:
            if wanted in self._passed:
                continue
            try:
                kinds = self._solver(wanted.solver).capabilities.challenge_types
            except AcmectlError as error:
                failed[wanted] = error
            else:
                by_solver.setdefault(wanted.solver, {})[_probe(wanted, kinds[0])] = wanted
        done, broken = workers.each(by_solver, lambda name: self._try(name, by_solver[name]), workers=self._pool)
        for name, failures in done.items():
            failed |= {by_solver[name][response]: error for response, error in failures.items()}
        for name, defect in broken.items():
            failed |= dict.fromkeys(by_solver[name].values(), defect)
        self._passed |= {w for probes in by_solver.values() for w in probes.values()} - failed.keys()
        return failed

    def _try(self, name: str, probes: Mapping[Response, Wanted]) -> dict[Response, SolverError]:
        solver, responses = self._solver(name), tuple(probes)
        self._books.publishing(name, responses)
        try:
            failures = dict(solver.publish(responses))
            return failures | dict(solver.seen([r for r in responses if r not in failures]))
        finally:
            left = solver.remove(responses)
            self._books.removed(name, [r for r in responses if r not in left])


def _probe(wanted: Wanted, kind: str) -> Response:
    """A response that no CA asked for, published where a real one would be."""
    token = f"acmectl-probe-{secrets.token_urlsafe(12)}"
    return Response(wanted.identifier, kind, token, f"{token}.probe")
