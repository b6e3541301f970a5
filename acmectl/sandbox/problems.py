"""How the sandbox says no: problem documents (RFC 8555 section 6.7) in Boulder's words and with its statuses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from acmectl.errors import Problem
from acmectl.model.names import Identifier

PREFIX = "urn:ietf:params:acme:error:"


class Refused(Exception):
    """A request that is answered with a problem document."""

    def __init__(
        self,
        problem: Problem,
        *,
        retry_after: timedelta | None = None,
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(str(problem))
        self.problem = problem
        self.retry_after = retry_after
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})


def refuse(kind: str, detail: str, status: int = 400) -> Refused:
    """A refusal of type `kind`, such as `malformed`."""
    return Refused(Problem(kind, detail, status))


def not_found(detail: str) -> Refused:
    """404, which Boulder types `malformed`."""
    return refuse("malformed", detail, 404)


def unauthorized(detail: str) -> Refused:
    """403 `unauthorized`."""
    return refuse("unauthorized", detail, 403)


def rate_limited(detail: str, retry_after: timedelta | None) -> Refused:
    """429, with the Retry-After that Let's Encrypt leaves out only for paused identifiers."""
    return Refused(Problem("rateLimited", detail, 429), retry_after=retry_after)


def rejected(faults: Sequence[Problem]) -> Refused:
    """`rejectedIdentifier` as Boulder combines them: one fault stands only in the detail, several are subproblems too."""
    first = faults[0]
    detail = f'Cannot issue for "{first.identifier}": {first.detail}'
    if len(faults) == 1:
        return refuse("rejectedIdentifier", detail)
    detail += f" (and {len(faults) - 1} more problems. Refer to sub-problems for more information.)"
    return Refused(Problem("rejectedIdentifier", detail, 400, subproblems=tuple(faults)))


def document(problem: Problem) -> dict[str, Any]:
    """The JSON object of a problem."""
    shown: dict[str, Any] = {"type": PREFIX + problem.type, "detail": problem.detail}
    if problem.status:
        shown["status"] = problem.status
    if problem.identifier:
        shown["identifier"] = {"type": Identifier(problem.identifier).type, "value": problem.identifier}
    if problem.subproblems:
        shown["subproblems"] = [document(sub) for sub in problem.subproblems]
    return shown
