"""How long resolvers may keep record sets that are not in the zone any more (RFC 1035 section 3.2.1).

A time to live belongs to a whole set: a record that is added with a short one shortens it, and an earlier set is kept for as long as it
said. So what was seen is remembered until no resolver can have it. It may have been given out until just before the look that
finds another.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from acmectl.model.tlsa import KeptSet, RecordSet

_MARGIN = timedelta(seconds=1)  # time to live counts in whole seconds, and clocks tick


def longer_than(ttl: timedelta) -> timedelta:
    """How long to wait for what a resolver keeps for `ttl`."""
    return ttl + max(ttl / 10, _MARGIN)


def remembered(before: Iterable[KeptSet], owner: str, found: RecordSet, now: datetime) -> tuple[KeptSet, ...]:
    """What resolvers may have of an owner name after its set was seen as `found`; nothing where no client knows of any record."""
    ends: dict[timedelta, datetime] = {}
    for one in before:
        if one.owner == owner and one.lives_for > found.ttl:
            end = now + longer_than(one.lives_for) if one.until is None else one.until
            ends[one.lives_for] = max(end, ends.get(one.lives_for, end))
    former = tuple(KeptSet(owner, ttl, end) for ttl, end in sorted(ends.items()) if end > now)
    return (KeptSet(owner, found.ttl), *former) if found.anywhere else former


def longest(kept: Sequence[KeptSet]) -> timedelta:
    """For how long a resolver may keep what it has of an owner name."""
    return max((one.lives_for for one in kept), default=timedelta())
