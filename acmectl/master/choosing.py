"""Which solver proves a name: the first of those listed for it that can, that the CA offers a challenge for, and that works.

What was found out in a run holds for the run: a solver that failed a name's probe, or could not publish its response, comes last for
that name from then on. What the CA's validation found out holds for a month, because neither a probe nor the next run could know it,
and each failed validation counts. Where all have failed, it is the turn of the one that failed the longest ago. The reason why one is passed over is told with `-v` and in the log of the name.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING

from acmectl.errors import AcmectlError, SolverError
from acmectl.policy.refresh import Wanted
from acmectl.solvers.base import Probe, Solver

if TYPE_CHECKING:
    from acmectl.master.books import Books

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Choice:
    """A solver for a name, and the challenge type by which it would prove it."""

    solver: str
    type: str
    probe: Probe


class Choosing:
    """Chooses for one run."""

    def __init__(
        self, solver: Callable[[str], Solver], books: Books, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        """`solver` gives a solver by name; `now` is when an event happened, for the log."""
        self._solver = solver
        self._books = books
        self._now = now
        self._failed: dict[tuple[Wanted, str], AcmectlError] = {}
        self._recalled: set[Wanted] = set()
        self._told: set[tuple[Wanted, str, str]] = set()

    def first(
        self,
        wanted: Wanted,
        offered: Collection[str] | None = None,
        tried: Mapping[str, AcmectlError] = MappingProxyType({}),
    ) -> Choice:
        """The solver to use now, none that was `tried`; `offered` are the CA's challenge types, None while it was not asked.

        One that failed for this name, earlier in the run or at the CA lately, is taken when there is no other. Raises SolverError
        with every solver's reason if none is left.
        """
        self._recall(wanted)
        choices = {name: tried.get(name) or self.of(wanted, name, offered) for name in wanted.solvers}
        able = [choice for choice in choices.values() if isinstance(choice, Choice)]
        reasons = {name: choice for name, choice in choices.items() if isinstance(choice, AcmectlError)}
        if not able:
            raise no_solver(reasons)
        turns = list(self._failed)
        chosen = min(able, key=lambda c: turns.index((wanted, c.solver)) if (wanted, c.solver) in self._failed else -1)
        for name in wanted.solvers[: wanted.solvers.index(chosen.solver)]:
            self._tell(wanted, name, reasons.get(name) or self._failed[wanted, name])
        return chosen

    def of(self, wanted: Wanted, name: str, offered: Collection[str] | None = None) -> Choice | AcmectlError:
        """How one solver would prove a name, or why it cannot."""
        try:
            capabilities = self._solver(name).capabilities
        except AcmectlError as error:
            return error
        able = capabilities.types_for(wanted.identifier)
        kinds = able if offered is None else [kind for kind in able if kind in offered]
        if kinds:
            return Choice(name, kinds[0], capabilities.probe)
        if not able:
            return SolverError(f"solver `{name}` cannot prove {_kind(wanted)}", hint=_hint(wanted))
        listed = ", ".join(sorted(offered or ())) or "nothing"
        return SolverError(f"solver `{name}` proves by {', '.join(able)}, but the CA offers {listed}")

    def failed(self, wanted: Wanted, name: str, reason: AcmectlError) -> None:
        """A solver could not publish something for a name, or it was not seen."""
        self._failed.pop((wanted, name), None)  # to the end
        self._failed[wanted, name] = reason

    def validated(self, results: Mapping[tuple[Wanted, str], AcmectlError | None]) -> None:
        """The CA looked for what a solver published for a name, and found it (None), or why it did not."""
        results = {(wanted, name): error for (wanted, name), error in results.items() if wanted.fallbacks}
        for (wanted, name), error in results.items():
            self._failed.pop((wanted, name), None)
            if error is not None:
                self._failed[wanted, name] = error
        if results:
            self._books.validations.judge_solvers(results, self._now())

    def _recall(self, wanted: Wanted) -> None:
        """What the CA did not find in earlier runs; it is no news, and comes before what this run has found out."""
        if wanted in self._recalled or not wanted.fallbacks:
            return
        self._recalled.add(wanted)
        earlier = self._books.validations.failed_solvers(wanted, self._now())
        recalled = {(wanted, name): SolverError(reason) for name, reason in earlier.items()}
        self._failed = {**recalled, **self._failed}

    def _tell(self, wanted: Wanted, name: str, reason: AcmectlError) -> None:
        if (wanted, name, reason.message) in self._told:
            return
        self._told.add((wanted, name, reason.message))
        text = f"solver `{name}` is passed over: {reason.message}"
        log.info("%s: %s", wanted.identifier, text)
        self._books.say([(wanted.identifier, "solver", text)], self._now())


def no_solver(reasons: Mapping[str, AcmectlError]) -> AcmectlError:
    """Why a name cannot be proven: the reason of its only solver as it is, or those of all."""
    if len(reasons) == 1:
        return next(iter(reasons.values()))
    told = "; ".join(
        reason.message if f"`{name}`" in reason.message else f"`{name}`: {reason.message}"
        for name, reason in reasons.items()
    )
    hint = next((reason.hint for reason in reasons.values() if reason.hint), None)
    return SolverError(f"no solver works: {told}", hint=hint)


def _kind(wanted: Wanted) -> str:
    return "a wildcard" if wanted.identifier.is_wildcard else "an address"


def _hint(wanted: Wanted) -> str:
    if wanted.identifier.is_wildcard:
        return "a wildcard needs a solver for dns-01"
    return "an address needs a solver for http-01 or tls-alpn-01"
