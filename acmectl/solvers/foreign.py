"""Solvers that other people wrote, kept to the contract: what a plug-in raises or returns against it is told as its defect.

A plug-in runs in our process, and may be wrong in any way. Its defect must not end the run, keep other solvers' names from being proven,
or count as "published" or "removed": all of its batch fails then, with words that say whose fault it is.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence

from acmectl.errors import AcmectlError, SolverError
from acmectl.solvers.base import (
    CHALLENGE_TYPES,
    Capabilities,
    Failures,
    KeepsReceipts,
    Receipts,
    Response,
    Solver,
)

log = logging.getLogger(__name__)

_TELL = "a defect of the plug-in: tell its authors, with the output of `acmectl -vv`"
_LONGEST = 500  # characters of what a plug-in says


@contextlib.contextmanager
def others_code(what: str, *, doing: str = "failed") -> Iterator[None]:
    """Run code that is not ours: errors of ours pass, all others become a SolverError that names `what`.

    SystemExit is one of them: a plug-in that ends its process as a script would, with 0 even, must not end a run as if all were done.
    """
    try:
        yield
    except AcmectlError:
        raise
    except (Exception, SystemExit) as cause:  # there is no narrower type for what other people's code can raise
        log.debug("%s %s", what, doing, exc_info=True)  # for its authors; a person is told by the error
        words = "".join(c if c.isprintable() else " " for c in str(cause))[:_LONGEST]
        reason = f"{type(cause).__name__}: {words}" if words else type(cause).__name__
        raise SolverError(f"{what} {doing}: {reason}", hint=_TELL) from cause


def defect(capabilities: object) -> str | None:
    """What is wrong with a plug-in's capabilities, to stand after its name; None if nothing is.

    `("dns-01")` without the comma is a text, whose first character would be the preferred challenge type.
    """
    if not isinstance(capabilities, Capabilities):
        return "without capabilities"
    types = capabilities.challenge_types
    if not isinstance(types, tuple) or not types:
        return f"whose `challenge_types` are no tuple of challenge types: {types!r}"
    unknown = [type_ for type_ in types if type_ not in CHALLENGE_TYPES]
    if unknown:
        return f"with the challenge type {unknown[0]!r}, and a solver is for {', '.join(CHALLENGE_TYPES)}"
    return None


class Guarded:
    """A plug-in's solver; every call returns what the contract says, or raises SolverError."""

    def __init__(self, what: str, solver: Solver) -> None:
        """`what` names the plug-in in messages. Raises SolverError if its capabilities are none."""
        self._what = what
        self._solver = solver
        capabilities = solver.capabilities
        if wrong := defect(capabilities):
            raise SolverError(f"{what} made a solver {wrong}", hint=_TELL)
        self.capabilities = capabilities

    def publish(self, responses: Sequence[Response]) -> Failures:
        """As the contract says."""
        return self._call("publish", self._solver.publish, responses)

    def seen(self, responses: Sequence[Response]) -> Failures:
        """As the contract says."""
        return self._call("seen", self._solver.seen, responses)

    def remove(self, responses: Sequence[Response]) -> Failures:
        """As the contract says."""
        return self._call("remove", self._solver.remove, responses)

    def keep_receipts_in(self, receipts: Receipts) -> None:
        """Handed on to a solver that wants it."""
        if isinstance(self._solver, KeepsReceipts):
            with others_code(self._what):
                self._solver.keep_receipts_in(receipts)

    def _call(
        self, name: str, method: Callable[[Sequence[Response]], Failures], responses: Sequence[Response]
    ) -> Failures:
        with others_code(self._what, doing=f"failed in `{name}`"):
            found, asked = method(responses), set(responses)
            if not isinstance(found, Mapping) or not all(
                response in asked and isinstance(error, SolverError) for response, error in found.items()
            ):
                raise SolverError(f"{self._what} returned from `{name}` what is no mapping of failures", hint=_TELL)
        return found
