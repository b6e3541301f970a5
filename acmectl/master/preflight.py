"""Preflight: whether a solver could prove a name right now, found out without asking the CA.

A probe value is published where the response to a challenge would be, and must be seen wherever the CA will look. Nothing
is deactivated before that, and a name that failed before is not ordered again before that: a name server that is down for a day
costs no order and no failed validation, and the first run after it proves again. `acmectl master try` does the same for a person.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from acmectl import workers
from acmectl.errors import AcmectlError
from acmectl.master.choosing import Choice, Choosing
from acmectl.policy.refresh import Wanted
from acmectl.solvers.base import Failures, Probe, Response, Solver

if TYPE_CHECKING:
    from acmectl.master.books import Books

log = logging.getLogger(__name__)

Step = Literal["published", "seen", "removed"]
Candidate = tuple[Wanted, Choice]


def silent(solver: str, step: Step, count: int) -> None:
    """Nobody watches."""


@dataclass(frozen=True, slots=True)
class Probed:
    """What came of a probe: why it could not be published or seen, and why it could not be removed."""

    error: AcmectlError | None = None
    left: AcmectlError | None = None


class Preflight:
    """Remembers for one run which names passed: none is probed twice."""

    def __init__(
        self,
        solver: Callable[[str], Solver],
        books: Books,
        *,
        pool: int,
        choosing: Choosing | None = None,
        progress: Callable[[str, Step, int], None] = silent,
    ) -> None:
        """`solver` gives a solver by name; `books` note what lies in the world; `pool` threads.

        `choosing` is the run's, so that what is found out here holds for proving. `progress` is told, in any thread, how many probes of a
        solver have come how far.
        """
        self._solver = solver
        self._books = books
        self._pool = pool
        self._choosing = choosing or Choosing(solver, books)
        self._progress = progress
        self._passed: set[Wanted] = set()
        self._unpublished: set[Response] = set()

    def failing(self, names: Iterable[Wanted]) -> dict[Wanted, AcmectlError]:
        """Publish a probe for every name, see it, and remove it; returns why which of them could not be proven now.

        What the first solver of a name cannot do is tried by the next one.
        """
        tried: dict[Wanted, dict[str, AcmectlError]] = {w: {} for w in names if w not in self._passed}
        failed: dict[Wanted, AcmectlError] = {}
        pending = list(tried)
        while pending:
            probed = self.probe(self._chosen(pending, tried, failed))
            pending = []
            for (wanted, choice), outcome in probed.items():
                if outcome.error is None:
                    self._passed.add(wanted)
                    continue
                tried[wanted][choice.solver] = outcome.error
                pending.append(wanted)
        return failed

    def _chosen(
        self,
        pending: Iterable[Wanted],
        tried: Mapping[Wanted, Mapping[str, AcmectlError]],
        failed: dict[Wanted, AcmectlError],
    ) -> list[Candidate]:
        chosen = []
        for wanted in pending:
            try:
                chosen.append((wanted, self._choosing.first(wanted, tried=tried[wanted])))
            except AcmectlError as error:
                failed[wanted] = error
        return chosen

    def probe(self, candidates: Sequence[Candidate]) -> dict[Candidate, Probed]:
        """Probe each name by the solver chosen for it, all of one solver together, the solvers at the same time.

        A solver that publishes nothing without a challenge is taken on trust.
        """
        outcomes = {c: Probed() for c in candidates if c[1].probe is Probe.NONE}
        for wanted, choice in outcomes:
            log.info("%s: not probed: solver `%s` publishes only what a CA asks for", wanted.identifier, choice.solver)
        by_solver: dict[str, dict[Response, Candidate]] = {}
        for wanted, choice in candidates:
            if (wanted, choice) not in outcomes:
                by_solver.setdefault(choice.solver, {})[_probe(wanted, choice.type)] = (wanted, choice)
        left: dict[Response, AcmectlError] = {}
        try:
            failed = self._each(by_solver, self._publish)
        finally:  # also when the run is interrupted, and not in a worker, whose waits have ended by then
            left = self._each(by_solver, self._remove)
        outcomes |= {
            c: _probed(failed.get(r), left.get(r), is_published=r not in self._unpublished)
            for made in by_solver.values()
            for r, c in made.items()
        }
        for (wanted, choice), outcome in outcomes.items():
            if outcome.error is not None:
                self._choosing.failed(wanted, choice.solver, outcome.error)
        return outcomes

    def _each(
        self, by_solver: Mapping[str, Mapping[Response, Candidate]], act: Callable[[str, Sequence[Response]], Failures]
    ) -> dict[Response, AcmectlError]:
        """Let all solvers do something at the same time; the failures of all, and for one that broke those of its batch."""
        done, broken = workers.each(by_solver, lambda name: act(name, tuple(by_solver[name])), workers=self._pool)
        found: dict[Response, AcmectlError] = {}
        for failures in done.values():
            found |= failures
        for name, defect in broken.items():
            found |= dict.fromkeys(by_solver[name], defect)
        return found

    def _publish(self, name: str, responses: Sequence[Response]) -> Failures:
        """Why each could not be published or seen."""
        solver = self._solver(name)
        self._books.litter.publishing(name, responses)
        failures = dict(solver.publish(responses))
        self._unpublished |= failures.keys()
        self._progress(name, "published", len(responses))
        failures |= solver.seen([r for r in responses if r not in failures])
        self._progress(name, "seen", len(responses))
        return failures

    def _remove(self, name: str, responses: Sequence[Response]) -> Failures:
        """Why each is left."""
        left = self._solver(name).remove(responses)
        self._books.litter.removed(name, [r for r in responses if r not in left])
        self._progress(name, "removed", len(responses))
        return left


def _probed(error: AcmectlError | None, left: AcmectlError | None, *, is_published: bool) -> Probed:
    """A solver that is broken says the same twice, and what could not be published was hardly left behind."""
    if left and not is_published:
        log.info("what could not be published could not be removed either: %s", left)
        left = None
    return Probed(error, None if error and left and error.message == left.message else left)


def _probe(wanted: Wanted, kind: str) -> Response:
    """A response that no CA asked for, published where a real one would be."""
    token = f"acmectl-probe-{secrets.token_urlsafe(12)}"
    return Response(wanted.identifier, kind, token, f"{token}.probe")
