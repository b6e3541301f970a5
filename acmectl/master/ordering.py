"""Due names -> open orders, whatever the CA refuses: one refused name never costs the others their order."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from acmectl.errors import AcmectlError, CARefused, Problem, RateLimited
from acmectl.model.names import Identifier
from acmectl.model.orders import Order
from acmectl.policy import batching
from acmectl.policy.refresh import Wanted

log = logging.getLogger(__name__)

NewOrder = Callable[[frozenset[Identifier]], Order]
Batch = tuple[Wanted, ...]


class Unordered(AcmectlError):
    """No order was opened for a name, for a reason that is not its own: nothing to hold against it.

    `retry_at` is when its account is tried again, where that was refused, and `retry_after` what the CA said of that; `is_away` says
    that it did not answer at all.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        retry_at: datetime | None = None,
        retry_after: timedelta | None = None,
        is_away: bool = False,
    ) -> None:
        super().__init__(message, hint=hint)
        self.retry_at = retry_at
        self.retry_after = retry_after
        self.is_away = is_away


@dataclass(slots=True)
class Opened:
    """What came of ordering: orders with the names each was opened for, and the names that the CA refused.

    `stopped` is the refusal (or silence) that ended it for the whole account; `unordered` are the names it left over. `limit` is
    how many names the CA takes in one order, where it refused one as too large. `regrouped` are the batches that were made since the
    exact set of a larger one has had its certificates.
    """

    orders: list[tuple[Order, Batch]] = field(default_factory=list)
    refused: dict[Wanted, CARefused] = field(default_factory=dict)
    stopped: AcmectlError | None = None
    unordered: list[Wanted] = field(default_factory=list)
    limit: int | None = None
    regrouped: set[Batch] = field(default_factory=set)


def open_orders(batches: Sequence[Batch], new_order: NewOrder) -> Opened:
    """Open an order for each batch, setting aside what the CA refuses (CA-wide order: one after the other).

    A refusal that names its names is repeated without them; one that names none is split until the bad ones are alone. A
    429 is never split blindly: it ends the account's orders, unless it quotes names, or is about one exact set of them: then one
    name goes into an order of its own, once.
    """
    opened, queue = Opened(), deque(batches)
    while queue:
        batch = queue.popleft()
        try:
            opened.orders.append((new_order(frozenset(w.identifier for w in batch)), batch))
        except CARefused as refusal:
            smaller = _set_aside(opened, batch, refusal)
            if smaller is None:
                return _stop(opened, refusal, [batch, *queue])
            queue.extendleft(reversed(smaller))
        except AcmectlError as error:
            return _stop(opened, error, [batch, *queue])
    return opened


def _set_aside(opened: Opened, batch: Batch, refusal: CARefused) -> tuple[Batch, ...] | None:
    """The orders to try instead of `batch`; None when the refusal is about the account as a whole."""
    names = [w.identifier for w in batch]
    if batching.is_about_set(refusal.problem):
        return _another_set(opened, batch, refusal)
    if limit := batching.name_limit(refusal.problem, len(batch)):
        opened.limit = limit
        return batching.pack(batch, limit=limit)
    named = batching.refused_names(refusal.problem, names)
    if not named and isinstance(refusal, RateLimited):
        named = batching.covered_by_domain(refusal.problem, names)
    if named:
        for wanted in batch:
            if wanted.identifier in named:
                opened.refused[wanted] = _about(refusal, named[wanted.identifier], wanted)
        rest = tuple(w for w in batch if w.identifier not in named)
        return (rest,) if rest else ()
    if not batching.is_about_names(refusal.problem):
        return None
    if len(batch) == 1:
        opened.refused[batch[0]] = refusal
        return ()
    log.info("the CA refused an order of %d names without naming one: trying halves", len(batch))
    return batching.halves(batch)


def _another_set(opened: Opened, batch: Batch, refusal: CARefused) -> tuple[Batch, ...]:
    if len(batch) == 1 or batch in opened.regrouped:
        opened.refused |= dict.fromkeys(batch, refusal)
        return ()
    others = batching.another_set(batch)
    opened.regrouped |= {*others}
    return others


def _about(refusal: CARefused, problem: Problem, wanted: Wanted) -> CARefused:
    if problem is refusal.problem:
        return refusal
    return type(refusal)(problem, doing=f"`{wanted.identifier}`", hint=refusal.hint, retry_after=refusal.retry_after)


def _stop(opened: Opened, error: AcmectlError, left: Sequence[Batch]) -> Opened:
    opened.stopped = error
    opened.unordered.extend(w for batch in left for w in batch)
    return opened
