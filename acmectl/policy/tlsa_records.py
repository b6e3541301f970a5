"""Which TLSA records are to be added to the zone, and which removed, by what is known of the keys (RFC 7671 section 8.1)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from acmectl.model.tlsa import Publication, PublishedKeys, RecordSet, TlsaRecord, association
from acmectl.policy.kept_sets import longer_than
from acmectl.policy.tlsa import GIVE_UP, Keys, is_over


def to_add(keys: Keys, owners: Iterable[str], sets: Mapping[str, RecordSet]) -> tuple[tuple[str, str], ...]:
    """The owner names and pins whose records are missing at a server.

    The first records make clients strict; so there are none before services have the certificate.
    """
    return tuple(
        (owner, pin)
        for owner in owners
        if owner in sets and (sets[owner].anywhere or (keys.in_use is not None and keys.deployed))
        for pin in keys.needed
        if association(pin) not in sets[owner].everywhere and pin not in keys.distrusted
    )


def to_send(keys: Iterable[Keys], owners: Collection[str]) -> frozenset[TlsaRecord]:
    """All records of all kinds of keys at owner names where one is missing: a first record hides others that only seemed to be there."""
    return frozenset(
        TlsaRecord(owner, association(pin))
        for kind in keys
        for owner in owners
        for pin in kind.needed
        if pin not in kind.distrusted
    )


def announced(
    known: PublishedKeys,
    added: Iterable[tuple[str, str]],
    sets: Mapping[str, RecordSet],
    *,
    shared: Collection[str] = (),
) -> PublishedKeys:
    """What is remembered before records are added. A record that a server has already is somebody else's, and stays so.

    So is that of a `shared` key, which other hosts may have.
    """
    publications = {(p.owner, p.spki): p for p in known.publications}
    for owner, pin in added:
        before = publications.get((owner, pin), Publication(owner, pin))
        is_ours = before.is_ours or before.record.association not in sets[owner].anywhere
        publications[owner, pin] = replace(before, is_ours=is_ours and pin not in shared)
    return replace(known, publications=tuple(publications.values()))


def given_up(known: PublishedKeys, records: Collection[TlsaRecord]) -> PublishedKeys:
    """What is remembered when records turn out to be needed under another name: they are not ours to remove under this one."""
    return replace(
        known,
        publications=tuple(replace(p, is_ours=False) if p.record in records else p for p in known.publications),
    )


def unfinished(known: PublishedKeys, keys: Keys, now: datetime) -> frozenset[TlsaRecord]:
    """The records of keys that clients may need still, wherever they are known to be."""
    return frozenset(p.record for p in known.publications if not is_over(p, keys, now))


def to_remove(
    known: PublishedKeys,
    keys: Keys,
    owners: Collection[str],
    sets: Mapping[str, RecordSet],
    *,
    wanted_elsewhere: Collection[TlsaRecord],
    now: datetime,
) -> tuple[TlsaRecord, ...]:
    """Our records of keys that serve nobody any more, whose time is over; never while a server lacks that of the key in use.

    Those of a service that is not listed any more go at once when the time of all is over: of what is left of a set clients think that it
    is all. `wanted_elsewhere` are records of other certificates.
    """
    over = {
        p.record: p
        for p in known.publications
        if p.is_ours
        and not (p.owner in owners and p.spki in keys.wanted)
        and is_over(p, keys, now)
        and p.owner in sets
        and p.record.association in sets[p.owner].anywhere
        and p.record not in wanted_elsewhere
    }
    left = {p.owner for p in known.publications if p.record not in over}
    return tuple(
        record
        for record, p in over.items()
        if (p.owner not in left and p.owner not in owners)
        or (p.spki not in keys.wanted and _has(sets[p.owner], keys.in_use))
    )


def stale(
    known: PublishedKeys,
    keys: Keys,
    owners: Collection[str],
    sets: Mapping[str, RecordSet],
    *,
    wanted_elsewhere: Collection[TlsaRecord] = (),
    may_remove: bool,
    now: datetime,
) -> tuple[TlsaRecord, ...]:
    """Records of former keys, and of services that are not listed any more, that nothing here needs and this host will not remove.

    `may_remove` says whether it has the right to remove its own; `wanted_elsewhere` are records of other certificates.
    """
    return tuple(
        p.record
        for p in known.publications
        if not (p.is_ours and may_remove)
        and (p.spki not in keys.needed or p.owner not in owners)
        and is_over(p, keys, now)
        and p.record not in wanted_elsewhere
        and p.owner in sets
        and p.record.association in sets[p.owner].anywhere
    )


def out_of_reach(
    known: PublishedKeys, owners: Collection[str], sets: Mapping[str, RecordSet], now: datetime
) -> tuple[Publication, ...]:
    """What is known of services that are not listed any more and could not be looked at for a week after anybody needed it: the zone is gone."""
    return tuple(
        p
        for p in known.publications
        if p.owner not in owners
        and p.owner not in sets
        and p.retired_at is not None
        and p.retired_at + longer_than(p.lives_for) + GIVE_UP <= now
    )


def _has(found: RecordSet, pin: str | None) -> bool:
    return pin is not None and association(pin) in found.everywhere
