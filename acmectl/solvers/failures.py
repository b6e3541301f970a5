"""From errors of other rooms to the values of the contract: a SolverError for each response that failed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from acmectl.errors import AcmectlError, SolverError
from acmectl.solvers.base import Response


def solver_error(error: AcmectlError) -> SolverError:
    """`error` as a SolverError with the same words; the original is its cause."""
    if isinstance(error, SolverError):
        return error
    result = SolverError(error.message, hint=error.hint)
    result.__cause__ = error
    return result


def one_by_one(responses: Sequence[Response], act: Callable[[Response], None]) -> dict[Response, SolverError]:
    """Call `act` for each response, one after another; returns the errors of ours that it raised."""
    failures = {}
    for response in responses:
        try:
            act(response)
        except AcmectlError as error:
            failures[response] = solver_error(error)
    return failures
