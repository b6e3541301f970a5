"""Solvers that other people wrote, kept to the contract: what a plug-in raises or returns against it is told as its defect.

A plug-in runs in our process, and may be wrong in any way. Its defect must not end the run, keep other solvers' names from being proven,
or count as "published" or "removed": all of its batch fails then, with words that say whose fault it is.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence

from acmectl.errors import AcmectlError, SolverError
from acmectl.solvers.base import Capabilities, Failures, KeepsReceipts, Receipts, Response, Solver

log = logging.getLogger(__name__)

_TELL = "a defect of the plug-in: tell its authors, with the output of `acmectl -vv`"
_LONGEST = 500  # characters of what a plug-in says


@contextlib.contextmanager
def others_code(what: str, *, doing: str = "failed") -> Iterator[None]:
    """Run code that is not ours: errors of ours pass, all others become a SolverError that names `what`."""
    try:
        yield
    except AcmectlError:
        raise
    except Exception as cause:  # there is no narrower type for what other people's code can raise
        log.debug("%s %s", what, doing, exc_info=True)  # for its authors; a person is told by the error
        words = "".join(c if c.isprintable() else " " for c in str(cause))[:_LONGEST]
        reason = f"{type(cause).__name__}: {words}" if words else type(cause).__name__
        raise SolverError(f"{what} {doing}: {reason}", hint=_TELL) from cause


class Guarded:
    """A plug-in's solver; every call returns what the contract says, or raises SolverError."""

    def __init__(self, what: str, solver: Solver) -> None:
        """`what` names the plug-in in messages. Raises SolverError if its capabilities are none."""
        self._what = what
        self._solver = solver
        capabilities = solver.capabilities
        if not isinstance(capabilities, Capabilities) or not capabilities.challenge_types:
            raise SolverError(f"{what} made a solver without capabilities", hint=_TELL)
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
