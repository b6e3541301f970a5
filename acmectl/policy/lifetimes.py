"""How long an authorization is of use to followers: L, C, and whether a schedule of runs can keep the window open.

L, the reuse period, is seen at each validation (`expires` minus `validated`). C, the cutoff, is not visible: a CA stops putting an authorization
into new orders while C is left of it. C is taken from above, since too large costs a validation some hours earlier, and too
small makes holes; it is never lowered by what newOrder answers, because a reused ready order knows no cutoff.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from acmectl.policy import ca_rules

MARGIN = timedelta(minutes=15)  # validation itself (a minute or two), and cron's jitter


@dataclass(frozen=True, slots=True)
class Schedule:
    """How often a master runs, and whether it refreshes early or lets authorizations lapse."""

    every: timedelta
    early: bool = True


def cutoff_from_above(*, known: timedelta | None, span: timedelta | None, lifetime: timedelta | None) -> timedelta:
    """C of one profile.

    `known` is that of a CA whose rules are published, `span` the longest lifetime of an order all of whose
    authorizations were new (a reused one cuts it short), `lifetime` is L. For an unknown CA: 24 h where authorizations live three
    days or more, else a seventh of L, one hour at least; and what Boulder would make of `span`, unless nothing could ever be
    reused by that.
    """
    if known is not None:
        return max(known, ca_rules.cutoff(span)) if span is not None else known
    if lifetime is None or lifetime >= timedelta(days=3):
        return timedelta(hours=24)
    estimate = max(timedelta(hours=1), lifetime / 7)
    if span is not None and ca_rules.cutoff(span) < lifetime:
        return max(estimate, ca_rules.cutoff(span))
    return estimate


def threshold(*, cutoff: timedelta, lifetime: timedelta | None, schedule: Schedule) -> timedelta:
    """T: with this much left an authorization is refreshed; for `lapse` with C left. Never more than nine tenths of L."""
    wanted = cutoff + schedule.every + MARGIN if schedule.early else cutoff
    return wanted if lifetime is None else min(wanted, 0.9 * lifetime)


class Holding(StrEnum):
    """Whether followers always find the names authorized."""

    HOLDS = "holds"
    TIGHT = "tight"
    GAPS = "gaps"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Judgement:
    """How well a schedule keeps the window open.

    `gap` is the longest time in which a follower finds a name unauthorized, `of` the period in which that happens once, and
    `every` the longest interval of runs that would hold (None: none does).
    """

    holding: Holding
    gap: timedelta
    of: timedelta
    every: timedelta | None


def judge(*, lifetime: timedelta, cutoff: timedelta, schedule: Schedule) -> Judgement:
    """Judge a schedule against L and C.

    To hold, two runs must fit into what is usable, L - C; and where C is near L, the refresh at nine tenths of L must leave
    time for a run before C.
    """
    usable = lifetime - cutoff
    if usable <= timedelta():
        return Judgement(Holding.NEVER, lifetime, lifetime, None)
    best = max(timedelta(), min(usable / 2, 0.9 * lifetime - cutoff - MARGIN)) or None
    if not schedule.early:
        # the CA hands the old, still ready order out until the authorization in it ends
        return Judgement(Holding.GAPS, cutoff + schedule.every, max(lifetime, schedule.every), best)
    if best is not None and schedule.every <= best:
        return Judgement(Holding.HOLDS, timedelta(), lifetime, best)
    if schedule.every <= usable:
        return Judgement(Holding.TIGHT, MARGIN, schedule.every, best)
    return Judgement(Holding.GAPS, schedule.every - usable, schedule.every, best)
