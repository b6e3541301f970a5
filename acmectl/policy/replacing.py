"""How authorizations that are still good are replaced: who goes first, how many at once, and which newOrders must be in hand.

To replace one it is deactivated, and what goes wrong after that costs followers the name. So the CA is asked for exactly the set of names
that will be ordered after it; one name of each solver and zone goes first, as canary; and no more names are given up than the order
budget can prove again, and split where the CA refuses one. The master acts by these rules, and the forecast counts by them.

A canary that the CA refuses an order has risked nothing, and another goes first. Canaries that fail are remembered: until a name of their
zone was proven (the lost ones are tried again, and cost nothing more), later runs risk no more of it.

Who needs no canary has nothing to lose: a name past the cutoff is of no use to followers any more. What of the others, where the canaries of
their zone failed? To try a name and fail costs followers the time until its cutoff; to leave it alone, where a try would have helped,
costs them the time from its cutoff to the next run. A name is tried where waiting would cost more; the others stay usable, and are past
their cutoff, with nothing to lose, at the next run or the one after it. So no name is passed over for ever, and none loses more
than half an interval of runs by this rule.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeVar

from acmectl.policy.refresh import Wanted

CANARIES = 3
"""Names of one solver and zone that are risked in one run, one after the other; when all fail, most of the others are spared."""

Zone = tuple[str, str]

_Name = TypeVar("_Name")


class Stake(StrEnum):
    """What a failure would cost: nothing any more; less than waiting for the next run would; more than that."""

    LAPSED = "lapsed"
    PRESSING = "pressing"
    PATIENT = "patient"


def stake(cutoff_at: datetime, now: datetime, every: timedelta) -> Stake:
    """Of a name that followers can use until `cutoff_at`, with runs `every` so often."""
    left = cutoff_at - now
    if left <= timedelta():
        return Stake.LAPSED
    return Stake.PRESSING if left <= every - left else Stake.PATIENT


def zone(wanted: Wanted) -> Zone:
    """The solver and the registered domain: close enough to zones to share a canary, and known without a query."""
    return wanted.solver, wanted.identifier.zone


def canaries(
    names: Iterable[_Name], zone_of: Callable[[_Name], Zone], good: Collection[Zone]
) -> tuple[tuple[_Name, ...], tuple[_Name, ...]]:
    """The first name of each zone that is not known to be `good`, and the others."""
    names = tuple(names)
    first: dict[Zone, _Name] = {}
    for name in names:
        first.setdefault(zone_of(name), name)
    chosen = {name for at, name in first.items() if at not in good}
    return tuple(n for n in names if n in chosen), tuple(n for n in names if n not in chosen)


def cost(names: int, *, asked: bool = False) -> int:
    """The newOrders that replacing a batch can take: to ask (unless this set was `asked` for), to prove, and to split it around a name."""
    splitting = 2 * math.ceil(math.log2(names)) if names > 1 else 0
    return (1 if asked else 2) + splitting


def portion(names: int, budget: int, *, asked: bool = False, lapsed: bool = False) -> int:
    """How many of a batch's names may be replaced with so many newOrders left (a smaller set was never asked for).

    Of `lapsed` ones all, if they can be asked for and ordered at all: nothing is lost by them.
    """
    if lapsed:
        return names if budget > (0 if asked else 1) else 0
    if cost(names, asked=asked) <= budget:
        return names
    return min(names, 2 ** ((budget - 2) // 2)) if budget >= 2 else 0  # the largest whose cost is within the budget
