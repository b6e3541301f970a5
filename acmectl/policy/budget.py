"""What a master asks of a CA in a forecast, and how many newOrders an account has left."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile

from acmectl.policy.ca_rules import LETS_ENCRYPT_LIMITS

_PER = LETS_ENCRYPT_LIMITS.new_orders.per


@dataclass(slots=True)
class Costs:
    """What the master asked of the CA: newOrders, validations, all requests; the most newOrders of an account in three hours.

    `put_off` is the most names that had to wait for a later run at once, because no newOrder was left.
    """

    orders: int = 0
    validations: int = 0
    requests: int = 0
    peak: int = 0
    put_off: int = 0


class Budget:
    """The newOrders of one account, in a sliding window of three hours, as the master counts them.

    A run sends its orders some time after it began, so a run just three hours later finds them still counted.
    """

    def __init__(self, limit: int, costs: Costs, *, late: timedelta) -> None:
        """Orders are sent as much as `late` after the beginning of a run."""
        self._limit = limit
        self._late = late
        self._costs = costs
        self._sent: deque[tuple[datetime, int]] = deque()
        self._count = 0

    def left(self, now: datetime) -> int:
        """How many may still be sent."""
        while self._sent and self._sent[0][0] <= now - _PER:
            self._count -= self._sent.popleft()[1]
        return self._limit - self._count

    def spend(self, now: datetime, orders: int) -> None:
        """So many were sent in the run that began at `now`."""
        at = now + self._late
        before = self._sent.pop()[1] if self._sent and self._sent[-1][0] == at else 0
        self._sent.append((at, before + orders))
        self._count += orders
        self._costs.orders += orders
        ended = sum(count for sent_at, count in takewhile(lambda sent: sent[0] <= at - _PER, self._sent))
        self._costs.peak = max(self._costs.peak, self._count - ended)
