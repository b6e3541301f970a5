"""What lies in the world while names are proven: published, seen where the CA will look, and taken away in any case."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from acmectl import workers
from acmectl.errors import AcmectlError, SolverError
from acmectl.master.attempts import Attempt, by_solver
from acmectl.solvers.base import Response, Solver

if TYPE_CHECKING:
    from acmectl.master.books import Books

log = logging.getLogger(__name__)


class Publisher:
    """Publishes for many names at once, solver by solver."""

    def __init__(self, solver: Callable[[str], Solver], books: Books, *, pool: int) -> None:
        """`solver` gives a solver by name; `books` note what lies in the world; `pool` threads."""
        self._solver = solver
        self._books = books
        self._pool = pool
        self._unpublished: set[Response] = set()
        self._older: set[Response] = set()  # what an earlier run may have published, and this one could not

    def publish(self, attempts: list[Attempt]) -> dict[Attempt, AcmectlError]:
        """Publish and see; returns why which attempts may not be answered."""
        groups = by_solver(attempts)

        def publish(name: str) -> dict[Response, SolverError]:
            solver, responses = self._solver(name), tuple(a.response for a in groups[name])
            before = set(self._books.litter.leftovers(name))
            self._books.litter.publishing(name, responses)
            failures = dict(solver.publish(responses))
            self._unpublished.update(failures)
            self._older.difference_update(responses)
            self._older.update(before & failures.keys())
            return failures | dict(solver.seen([r for r in responses if r not in failures]))

        failed, broken = workers.each(groups, publish, workers=self._pool)
        reasons = {a: broken.get(a.solver) or failed[a.solver].get(a.response) for a in attempts}
        return {attempt: reason for attempt, reason in reasons.items() if reason is not None}

    def remove(self, attempts: Iterable[Attempt]) -> None:
        """Take away what was published; what cannot be is warned of, and noted for the next run."""
        groups = by_solver(attempts)

        def remove(name: str) -> None:
            responses = tuple(a.response for a in groups[name])
            failures = self._solver(name).remove(responses)
            for response, error in failures.items():
                # what was never published is no surprise, and its own error is reported
                level = logging.INFO if response in self._unpublished else logging.WARNING
                log.log(level, "left behind for `%s`: %s", response.identifier, error)
            self._books.litter.removed(name, [r for r in responses if r not in failures and r not in self._older])

        _, broken = workers.each(groups, remove, workers=self._pool)
        for name, error in broken.items():
            log.warning("solver `%s` could not clean up: %s", name, error)
