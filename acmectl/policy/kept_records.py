"""TLSA records that a master keeps published for keys it does not have: what to add, and what may be removed by now.

The file that a person copied from a follower says which records there shall be. One that is not in it any more is removed only if it was
ours, and only when those that are were at every authoritative server for longer than a resolver may keep a set without them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from acmectl.model.tlsa import RecordSet, TlsaRecord
from acmectl.policy.kept_sets import longer_than
from acmectl.policy.tlsa import GIVE_UP, LOOK_AGAIN

Sets = Mapping[str, RecordSet]
"""The records at each owner name, as just seen; an owner name that could not be looked at is missing."""


@dataclass(frozen=True, slots=True)
class KeptRecords:
    """What is known of the records of one file.

    `ours` are those that we asked (or were about to ask) a server to add. `wanted` are those that the file listed when the name servers were
    last looked at (`looked_at`); `complete_at` is since when every server was seen with all of them, None where one lacked some.
    `lives_for` is the longest time for which a resolver may keep a set without them.
    """

    ours: frozenset[TlsaRecord] = frozenset()
    wanted: frozenset[TlsaRecord] = frozenset()
    complete_at: datetime | None = None
    lives_for: timedelta = timedelta()
    looked_at: datetime | None = None


def needs_look(
    known: KeptRecords,
    wanted: frozenset[TlsaRecord],
    now: datetime,
    *,
    wanted_elsewhere: Collection[TlsaRecord] = (),
) -> bool:
    """Whether to ask the name servers: something is to be done or found out, or the last look is long ago."""
    if known.looked_at is None or not timedelta() <= now - known.looked_at < LOOK_AGAIN:
        return True
    if known.wanted != wanted or known.complete_at is None:
        return True
    return bool(known.ours - wanted - frozenset(wanted_elsewhere)) and _is_over(known, now)


def observe(
    known: KeptRecords, wanted: frozenset[TlsaRecord], sets: Sets, *, ttl: timedelta, now: datetime
) -> KeptRecords:
    """What is known after `sets` were seen; `ttl` is the least time to live that a set can have had."""
    is_complete = all(r.owner in sets and r.association in sets[r.owner].everywhere for r in wanted)
    before = known if known.wanted == wanted else KeptRecords()
    return KeptRecords(
        ours=frozenset(r for r in known.ours if r in wanted or not _is_gone(r, sets)),
        wanted=wanted,
        complete_at=min(before.complete_at or now, now) if is_complete else None,
        lives_for=max(before.lives_for, ttl, *(found.ttl for found in sets.values())),
        looked_at=now,
    )


def to_add(wanted: Collection[TlsaRecord], sets: Sets) -> tuple[TlsaRecord, ...]:
    """The records that a server lacks."""
    return tuple(sorted(r for r in wanted if r.owner in sets and r.association not in sets[r.owner].everywhere))


def to_send(wanted: Collection[TlsaRecord], missing: Collection[TlsaRecord]) -> tuple[TlsaRecord, ...]:
    """All records of the owner names where one is missing: a first record hides others that only seemed to be there, by a wildcard."""
    owners = {record.owner for record in missing}
    return tuple(sorted(record for record in wanted if record.owner in owners))


def announced(known: KeptRecords, added: Collection[TlsaRecord], sets: Sets) -> KeptRecords:
    """What is remembered before records are added. A record that a server has already is somebody else's, and stays so."""
    ours = {r for r in added if r.association not in sets[r.owner].anywhere}
    return replace(known, ours=known.ours | ours)


def given_up(known: KeptRecords, records: Collection[TlsaRecord]) -> KeptRecords:
    """What is remembered when records are needed under another name of the same place: they are not ours to remove under this one."""
    return replace(known, ours=known.ours - frozenset(records))


def to_remove(
    known: KeptRecords,
    sets: Sets,
    *,
    wanted_elsewhere: Collection[TlsaRecord] = (),
    now: datetime,
) -> tuple[TlsaRecord, ...]:
    """Our records that are not wanted any more, once their time is over; also those of services that are not listed any more."""
    if not _is_over(known, now):
        return ()
    unwanted = known.ours - known.wanted - frozenset(wanted_elsewhere)
    return tuple(sorted(r for r in unwanted if r.owner in sets and not _is_gone(r, sets)))


def out_of_reach(known: KeptRecords, sets: Sets, now: datetime) -> frozenset[TlsaRecord]:
    """Our records that are not wanted any more, and could not be looked at for a week after their time was over: their zone is gone."""
    if not _is_over(known, now - GIVE_UP):
        return frozenset()
    return frozenset(r for r in known.ours - known.wanted if r.owner not in sets)


def accepted_from(known: KeptRecords) -> datetime | None:
    """When no resolver has a set without the wanted records any more; None where a server lacks some."""
    return known.complete_at + longer_than(known.lives_for) if known.complete_at else None


def former(known: KeptRecords) -> tuple[TlsaRecord, ...]:
    """Records that we published, and that are not wanted any more."""
    return tuple(sorted(known.ours - known.wanted))


def _is_over(known: KeptRecords, now: datetime) -> bool:
    accepted = accepted_from(known)
    return accepted is not None and accepted <= now


def _is_gone(record: TlsaRecord, sets: Sets) -> bool:
    return record.owner in sets and record.association not in sets[record.owner].anywhere
