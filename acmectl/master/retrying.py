"""Proving names that were given up a moment ago: until that worked they are lost, so it is tried again within the run.

What is tried again, and how often: a failed validation at once, as often as the CA's limit of failures leaves room for (a name and its
wildcard share it, and so do all tries of one run); a CA that is away, after some pauses; a refusal with a Retry-After of a minute or two, when that
is over. Any other refusal is final for this run.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

from acmectl.errors import AcmectlError, CAError, CARefused, CAUnreachable, SolverError
from acmectl.master.attempts import Proven
from acmectl.master.ordering import Unordered
from acmectl.policy import batching
from acmectl.policy.refresh import Wanted

log = logging.getLogger(__name__)

RETRIES = 2  # of validations in one run, of a name and its wildcard together: Let's Encrypt takes 5 failures of both in an hour
AWAY_PAUSES = (10.0, 30.0, 60.0)  # seconds
PATIENCE = timedelta(minutes=2)  # how much of Retry-After is waited out in one run: the next one may come in a day
_SECOND = timedelta(seconds=1)  # what a CA's Retry-After may be rounded down by

Outcomes = Mapping[Wanted, Proven | AcmectlError]


class Retrying:
    """Proves given up names of one account in one run."""

    def __init__(
        self,
        prove: Callable[[list[Wanted]], Outcomes],
        *,
        budget: Callable[[], int],
        pause: Callable[[float], object],
    ) -> None:
        """`prove` orders and proves names; `budget` is how many newOrders are left; `pause` sleeps for seconds."""
        self._prove = prove
        self._budget = budget
        self._pause = pause
        self._tried: Counter[str] = Counter()
        self._patience = PATIENCE
        self._waited: set[Wanted] = set()

    def prove(self, names: Sequence[Wanted]) -> dict[Wanted, Proven | AcmectlError]:
        """What came of the last try of each name."""
        outcomes, pauses = dict(self._prove(list(names))), iter(AWAY_PAUSES)
        while True:
            away = [w for w in names if _is_away(outcomes[w])]
            pause = next(pauses, None) if away else None
            refused, wait = self._refused_for_a_moment(names, outcomes)
            due = [*(away if pause is not None else ()), *refused, *self._failed(names, outcomes)]
            if not due or self._budget() <= 0:
                return outcomes
            if seconds := max(pause or 0.0, wait.total_seconds()):
                log.info("the CA takes no order just after a deactivation, asking again in %g s", seconds)
                self._pause(seconds)
                self._patience -= wait
                self._waited.update(refused)
            outcomes |= self._prove(due)

    def _refused_for_a_moment(self, names: Sequence[Wanted], outcomes: Outcomes) -> tuple[list[Wanted], timedelta]:
        """Those that the CA takes again soon enough, and how long until then; each once in a run."""
        left = [w for w in names if w not in self._waited]
        waits = {w: asked + _SECOND for w in left if (asked := _retry_after(outcomes[w])) is not None}
        soon = {w: wait for w, wait in waits.items() if wait <= self._patience}
        return list(soon), max(soon.values(), default=timedelta())

    def _failed(self, names: Sequence[Wanted], outcomes: Outcomes) -> tuple[Wanted, ...]:
        """Those whose validation failed, as far as they may be validated again in this run."""
        due = batching.retriable((w for w in names if _may_pass(outcomes[w])), self._tried, most=RETRIES)
        self._tried.update(w.identifier.base for w in due)
        return due


def _may_pass(outcome: Proven | AcmectlError) -> bool:
    """Whether another try could end otherwise: a failed validation may, a refused order (a limit, a policy) will not."""
    return isinstance(outcome, CAError | SolverError) and not isinstance(outcome, CARefused | CAUnreachable)


def _retry_after(outcome: Proven | AcmectlError) -> timedelta | None:
    """How long the CA asked to leave the name, or its account, alone."""
    return outcome.retry_after if isinstance(outcome, CARefused | Unordered) else None


def _is_away(outcome: Proven | AcmectlError) -> bool:
    """Whether the CA did not answer, so that nothing is known against the name or the account."""
    return isinstance(outcome, CAUnreachable) or (isinstance(outcome, Unordered) and outcome.is_away)
