"""Answered challenges -> what became of them: one poll of an order speaks for all its names, where it can become ready.

Names are judged by their authorizations, never by the order that carried them. One authorization of a ready order is fetched, to learn
when it expires; its siblings were validated within the same minute, and get the moment before their answer plus the lifetime
seen, a bound that is never later than the truth.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from acmectl import workers
from acmectl.errors import AcmectlError, CAError
from acmectl.master.attempts import Attempt, Proven, judged, seen
from acmectl.model.orders import AuthorizationStatus, Order, OrderStatus
from acmectl.policy.refresh import Wanted

if TYPE_CHECKING:
    from acmectl.ca.session import Session

Judged = dict[Wanted, Proven | AcmectlError]


class Judge:
    """Waits for the CA's decisions on answered challenges."""

    def __init__(self, session: Session, *, pool: int, timeout: timedelta) -> None:
        """The CA may take `timeout` for one order; `pool` threads."""
        self._session = session
        self._pool = pool
        self._timeout = timeout

    def wait(
        self,
        orders: Sequence[tuple[Order, tuple[Wanted, ...]]],
        answered: Mapping[Attempt, datetime],
        errors: Mapping[Wanted, AcmectlError],
    ) -> Judged:
        """What became of each answered challenge; an order with a name in `errors` cannot become ready, so its names are asked for."""
        by_order = {
            order.url: [a for a in answered if a.authorization.url in order.authorization_urls] for order, _ in orders
        }
        whole = [order.url for order, names in orders if by_order[order.url] and set(names).isdisjoint(errors)]
        until: dict[Attempt, float] = {}

        def settle(url: str) -> Judged:
            end = self._end()
            until.update(dict.fromkeys(by_order[url], end))
            return self._settle(url, {a: answered[a] for a in by_order[url]}, until=end)

        settled, failed = workers.each(whole, settle, workers=self._pool)
        results: Judged = {}
        for url, error in failed.items():
            results |= dict.fromkeys((a.wanted for a in by_order[url]), error)
        for of_order in settled.values():
            results |= of_order
        left = {a: until.get(a, self._end()) for a in answered if a.wanted not in results}
        return results | self._judge_each(left, answered)

    def _end(self) -> float:
        """When the CA's time for an order that is waited for from now on is over, on the clock that nobody sets."""
        return self._session.clocks.monotonic() + self._timeout.total_seconds()

    def _judge_each(self, until: Mapping[Attempt, float], answered: Mapping[Attempt, datetime]) -> Judged:
        """Look at authorizations one by one. A hundred that hang take no longer than one: they share their order's time."""
        done, failed = workers.each(until, lambda a: self._judge(a, answered[a], until=until[a]), workers=self._pool)
        return {a.wanted: result for a, result in (done | failed).items()}

    def _settle(self, url: str, answered: Mapping[Attempt, datetime], *, until: float) -> Judged:
        """Wait for one order that can become ready: one poll of it speaks for all its names. Empty where it does not."""
        from acmectl.ca.orders import wait_for_order

        order = wait_for_order(self._session, url, while_in=frozenset({OrderStatus.PENDING}), timeout=self._timeout)
        return self._all_valid(answered, until) if order.status is OrderStatus.READY else {}

    def _all_valid(self, answered: Mapping[Attempt, datetime], until: float) -> Judged:
        first, *others = answered
        shown = self._judge(first, answered[first], until=until)
        left = self._surely_left(shown)
        results: Judged = {first.wanted: shown}
        for other in others:
            if isinstance(shown, Proven) and left is not None:
                ends, kind = answered[other] + left, other.challenge.type
                results[other.wanted] = Proven(other.authorization, ends, shown.lifetime, kind, fresh=True)
            else:
                results[other.wanted] = self._judge(other, answered[other], until=until)
        return results

    def _surely_left(self, shown: Proven | AcmectlError) -> timedelta | None:
        """How long a sibling lives at least after its answer: L, or a bound from below where the CA does not say when it validated."""
        if not isinstance(shown, Proven) or shown.expires_at is None:
            return None
        return shown.lifetime if shown.authorization.validated_at else shown.expires_at - self._session.ca_now()

    def _judge(self, attempt: Attempt, answered_at: datetime, *, until: float) -> Proven | AcmectlError:
        """What the CA says of one authorization; `until` by the session's monotonic clock, and one look at least."""
        from acmectl.ca.orders import wait_for_authorization

        left = timedelta(seconds=max(0.0, until - self._session.clocks.monotonic()))
        try:
            authorization = wait_for_authorization(self._session, attempt.authorization.url, timeout=left)
        except CAError as error:
            return error
        if authorization.status is AuthorizationStatus.VALID:
            return seen(authorization, answered_at=answered_at)
        return judged(authorization)
