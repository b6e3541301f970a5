"""What failed, and when it is tried again: names, whole accounts, and a CA that is away.

Several failures of a name or of an account in one run are one failure: pauses grow from run to run, not with the tries inside one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from acmectl.errors import AcmectlError, CARefused, CAUnreachable, RateLimited, SolverError
from acmectl.model.memory import Failure, RememberedAuthorization, failure_key
from acmectl.policy import backoff, batching
from acmectl.policy.refresh import Wanted

if TYPE_CHECKING:
    from acmectl.storage.memory import Memory

_DAILY = backoff.PAUSES[-1]


class Failures:
    """What had failed before this run, and fails in it."""

    def __init__(self, memory: Memory, *, may_wait: bool) -> None:
        """`may_wait`: what the CA has paused waits until a person asks for it by name; else it is tried daily."""
        self._memory = memory
        self._may_wait = may_wait
        self._before: dict[tuple[str, str], Failure | None] = {}  # what had failed before this run
        self._blocked: set[str] = set()  # in this run

    def failed(self, errors: Mapping[Wanted, AcmectlError], now: datetime) -> dict[Wanted, Failure]:
        """One failure more for each name; several in one run are one."""
        if not errors:
            return {}
        known = self._memory.failures("name")
        failures = {}
        for wanted, error in errors.items():
            key = wanted.failure_key
            previous = self._before.setdefault(("name", key), known.get(key))
            failures[wanted] = self._failure(previous, key, error, now)
        self._memory.save_failures(failures.values())
        return failures

    def _failure(self, previous: Failure | None, key: str, error: AcmectlError, now: datetime) -> Failure:
        cause = getattr(error, "cause", None)
        said = cause or error  # what the CA said, where a name was left as it is
        retry_after = said.retry_after if isinstance(said, CARefused) else None
        is_open = isinstance(said, RateLimited) and retry_after is None
        is_paused = is_open and not (isinstance(said, CARefused) and batching.is_about_set(said.problem))
        return backoff.failed(
            previous,
            kind="name",
            key=key,
            reason=error.message,
            now=now,
            retry_after=_DAILY if is_open else retry_after,
            paused=is_paused and self._may_wait,
            local=_is_local(error),
            standing=cause is not None,
        )

    def block(self, account: str, error: CARefused, now: datetime) -> Failure:
        """The CA refuses the whole account, until its Retry-After where it says one; several times in one run are one failure."""
        known = self._memory.failures("account").get(account)
        self._blocked.add(account)
        failure = backoff.blocked(
            self._before.setdefault(("account", account), known),
            account=account,
            reason=error.message,
            now=now,
            retry_after=error.retry_after,
            limited=isinstance(error, RateLimited),
        )
        self._memory.save_failure(failure)
        return failure

    def unblock(self, account: str) -> None:
        """What the CA asked for in this run has been waited out in it: what is proven from now on shows that it is over."""
        self._blocked.discard(account)

    def away(self, account: str, error: CAUnreachable, now: datetime) -> None:
        """The CA took no orders of an account, for it did not answer: runs that come each minute need not ask each time."""
        failure = backoff.outage(
            self._memory.failures("outage").get(account),
            kind="outage",
            key=account,
            reason=error.message,
            now=now,
            retry_after=error.retry_after,
        )
        self._memory.save_failure(failure)

    def over(self, authorizations: Sequence[RememberedAuthorization]) -> None:
        """What is over because these are valid: also what the CA held against their accounts, but not what it said in this run."""
        keys = [failure_key(a.account, a.profile, a.identifier) for a in authorizations]
        self._clear("name", keys)
        self._clear("account", {a.account for a in authorizations} - self._blocked)
        self._clear("outage", {a.account for a in authorizations})

    def lost(self, authorizations: Iterable[RememberedAuthorization], now: datetime) -> None:
        """Authorizations that the CA has lost: what failed while they were good, and nobody asked to wait for, is no reason to wait any more."""
        failures = self._memory.failures("name")
        keys = [failure_key(a.account, a.profile, a.identifier) for a in authorizations]
        self._clear("name", [key for key in keys if key in failures and not _is_asked_for(failures[key], now)])

    def _clear(self, kind: str, keys: Iterable[str]) -> None:
        keys = tuple(keys)
        self._memory.clear_failures(kind, keys)
        self._before |= {(kind, key): None for key in keys}


def _is_asked_for(failure: Failure, now: datetime) -> bool:
    """Whether the CA, or a person who has yet to act, is what a failure waits for."""
    return failure.retry_at is None or (failure.asked_until is not None and failure.asked_until > now)


def _is_local(error: AcmectlError) -> bool:
    """Whether the CA had no part in it: nothing has to be spared by waiting."""
    return isinstance(error, SolverError) or getattr(error, "local", False) is True
