"""Which keys the DNS should speak of, and which of them every client accepts by now (RFC 7671 section 8.1).

A resolver may keep a record set for as long as its time to live says. So a key is used only once its record was seen at every
authoritative server, and the longest time to live of a set without it has passed since; a key that serves nobody any more is
removed as late. What is not known is taken to be unknown to clients too: the worst that comes of it is waiting.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from acmectl.model.tlsa import KeptSet, Publication, PublishedKeys, RecordSet, Uptime
from acmectl.policy import kept_sets
from acmectl.policy.kept_sets import longer_than

LOOK_AGAIN = timedelta(hours=12)  # at records that should be as they are: somebody may have changed the zone
GIVE_UP = timedelta(days=7)  # what is left at a former service whose name servers do not answer
_UNSEEN = "not all name servers were seen at the last look"
_STEP = timedelta(minutes=1)  # of a clock that is set; less is its drift


@dataclass(frozen=True, slots=True)
class Keys:
    """The pins of one certificate's keys: the one that services have, and the one that comes after it.

    `deployed` says whether every target holds and serves the certificate in use. `distrusted` were revoked as compromised. `served` are
    former keys that a target may still serve (`still_served`).
    """

    in_use: str | None
    following: str | None
    deployed: bool = False
    distrusted: frozenset[str] = frozenset()
    served: tuple[str, ...] = ()

    @property
    def wanted(self) -> tuple[str, ...]:
        """The keys that the DNS should speak of from now on."""
        return tuple(dict.fromkeys(pin for pin in (self.in_use, self.following) if pin is not None))

    @property
    def needed(self) -> tuple[str, ...]:
        """The keys that the DNS should speak of now: also former ones that a target may still serve."""
        return tuple(dict.fromkeys([*self.wanted, *(pin for pin in self.served if pin not in self.distrusted)]))


def accepted_from(publication: Publication) -> datetime | None:
    """From when on every client accepts the key; None while a server lacks its record."""
    if publication.seen_at is None:
        return None
    return publication.seen_at + longer_than(publication.lives_for)


def still_served(known: PublishedKeys, keys: Keys) -> tuple[str, ...]:
    """The former keys that a target may still serve, because it does not have the certificate in use yet."""
    if keys.deployed or keys.in_use is None:
        return ()
    former = (p.spki for p in known.publications if p.retired_at is None and p.spki not in keys.wanted)
    return tuple(dict.fromkeys(former))


def needs_look(known: PublishedKeys, keys: Keys, owners: Collection[str], now: datetime, *, due: bool) -> bool:
    """Whether to ask the name servers: something is to be done or found out, or a key may be changed now (`due`).

    While a target fails to take a key, its former one is looked after at every run: it must be back soon if somebody removes it.
    """
    if due or keys.served or known.looked_at is None or not timedelta() <= now - known.looked_at < LOOK_AGAIN:
        return True
    wanted = {(owner, pin) for owner in owners for pin in keys.needed}
    if wanted - {(p.owner, p.spki) for p in known.publications}:
        return True
    return any(_is_pending(p, known, keys, wanted, now) for p in known.publications)


def rebased(known: PublishedKeys, uptime: Uptime | None, now: datetime) -> PublishedKeys:
    """What is known, in the time of a clock that was set forward since the last look: what was seen is not older for that.

    A clock that is days behind and then corrected would have a record look old that no resolver has yet. Over a restart of the host
    nobody knows how long it was.
    """
    before = known.uptime
    if known.looked_at is None or before is None or uptime is None or before.boot != uptime.boot:
        return known
    step = (now - known.looked_at) - timedelta(seconds=uptime.seconds - before.seconds)
    if step < _STEP:
        return known
    later = tuple(
        replace(p, seen_at=p.seen_at and p.seen_at + step, retired_at=p.retired_at and p.retired_at + step)
        for p in known.publications
    )
    sets = tuple(replace(one, until=one.until and one.until + step) for one in known.sets)
    return replace(known, publications=later, sets=sets)


def observe(
    known: PublishedKeys,
    keys: Keys,
    owners: Collection[str],
    sets: Mapping[str, RecordSet],
    *,
    ttl: timedelta,
    now: datetime,
    earlier: Iterable[KeptSet] = (),
) -> PublishedKeys:
    """What is known after `sets` were seen; of owner names that are missing there, what was known before, and no key is usable.

    `owners` are the owner names that the configuration lists, `ttl` is the least time to live that a set can have had. `earlier` is what
    others know of what resolvers may have.
    """
    listed = dict.fromkeys([*owners, *(p.owner for p in known.publications)])
    remembered = (*known.sets, *earlier)
    kept = {o: kept_sets.remembered(remembered, o, sets[o], now) for o in listed if o in sets}
    unseen = (one for one in known.sets if one.owner in listed and one.owner not in sets)
    served = still_served(known, keys)
    publications: list[Publication] = []
    for owner in listed:
        wanted = keys.wanted if owner in owners else ()
        pins = dict.fromkeys([*wanted, *(p.spki for p in known.publications if p.owner == owner)])
        for pin in pins:
            before = known.find(owner, pin) or Publication(owner, pin)
            after = _seen(before, sets[owner], kept_sets.longest(kept[owner]), ttl, now) if owner in sets else before
            if pin in wanted:
                publications.append(replace(after, retired_at=None))
            elif owner not in sets or after.record.association in sets[owner].anywhere or pin in served:
                publications.append(_retired(after, keys, now))
    bare = frozenset(owner for owner in kept if not kept[owner])
    found = replace(
        known,
        publications=tuple(publications),
        looked_at=now,
        is_bare=bare.issuperset(owners),
        sets=(*itertools.chain.from_iterable(kept.values()), *unseen),
    )
    return replace(found, usable=_usable(found, keys, owners, sets, bare=bare, now=now))


def ready_at(pin: str, known: PublishedKeys, *, follows: bool) -> datetime | None:
    """From when on the key can be used, if the zone stays as it is; None where it needs a record that is missing, or was not all seen.

    `follows` says that it comes after one in use: then it needs its record also where there is none yet.
    """
    ends = [_ready_at(p, known) for p in _awaited(pin, known, follows=follows)]
    end = max((end for end in ends if end is not None), default=None)
    if end is None or None in ends:
        return None
    return None if _is_past(end, known) else end


def wait_for(pin: str, known: PublishedKeys, *, follows: bool) -> str:
    """What the use of a key waits for, in words; `follows` as in `ready_at`."""
    moments: list[datetime] = []
    for publication in _awaited(pin, known, follows=follows):
        accepted = accepted_from(publication)
        if accepted is None:
            return _missing_at(publication, known)
        moments.append(accepted)
    if not moments:
        return "no TLSA record of it was seen yet"
    end = max(moments)
    if _is_past(end, known):
        return _UNSEEN
    return f"every client accepts it from {end:%Y-%m-%d %H:%M:%S} UTC on, if all name servers still have it"


def _awaited(pin: str, known: PublishedKeys, *, follows: bool) -> Sequence[Publication]:
    """What is known of its records, but for those that it does not need, as there are none at their owner names."""
    found = [p for p in known.publications if p.spki == pin]
    strict = {one.owner for one in known.sets}
    return [p for p in found if follows or p.owner in strict] or found


def _missing_at(publication: Publication, known: PublishedKeys) -> str:
    end, owner = _ready_at(publication, known), publication.owner
    if end is None:
        return f"not every name server has its TLSA record at `{owner}`"
    if _is_past(end, known):
        return _UNSEEN
    return f"resolvers may keep the TLSA records that `{owner}` had until {end:%Y-%m-%d %H:%M:%S} UTC"


def _is_past(end: datetime, known: PublishedKeys) -> bool:
    """Whether it was over at the last look: where the key still waits, that did not see everything."""
    return known.looked_at is not None and end <= known.looked_at


def _ready_at(publication: Publication, known: PublishedKeys) -> datetime | None:
    """When clients accept the key: after its record is old enough, or where there are none any more, when the last resolver has forgotten them."""
    ends = [one.until for one in known.sets if one.owner == publication.owner]
    if publication.seen_at is not None or None in ends:
        return accepted_from(publication)
    return max((end for end in ends if end is not None), default=None)


def is_published(pin: str, known: PublishedKeys) -> bool:
    """Whether services may be given the key again: every client accepts it, or the DNS speaks of no key at all."""
    return known.is_bare or pin in known.usable


def _seen(before: Publication, found: RecordSet, kept: timedelta, ttl: timedelta, now: datetime) -> Publication:
    if before.record.association not in found.everywhere:
        return replace(before, seen_at=None, lives_for=max(before.lives_for, kept))
    if before.seen_at is not None:
        return replace(before, seen_at=min(before.seen_at, now))  # a moment to come: the clock was wrong
    return replace(before, seen_at=now, lives_for=max(before.lives_for, kept, ttl))


def _retired(publication: Publication, keys: Keys, now: datetime) -> Publication:
    """A key that is not wanted any more serves until every target has the one in use."""
    if not keys.deployed or keys.in_use is None:
        return replace(publication, retired_at=None)
    at = publication.retired_at or now
    return replace(publication, retired_at=min(at, now))


def is_over(publication: Publication, keys: Keys, now: datetime) -> bool:
    """Whether no client needs the record any more. Once its key serves nobody, a compromised one is not waited for: whoever has it could pose as this host."""
    if publication.retired_at is None:
        return False
    return publication.spki in keys.distrusted or publication.retired_at + longer_than(publication.lives_for) <= now


def _is_pending(
    publication: Publication, known: PublishedKeys, keys: Keys, wanted: Collection[tuple[str, str]], now: datetime
) -> bool:
    if (publication.owner, publication.spki) not in wanted:
        if publication.retired_at is None and keys.deployed:
            return True  # since when it serves nobody is to be noted, and whoever published a compromised one told
        return publication.is_ours and is_over(publication, keys, now) and not _is_held(publication, known, keys)
    accepted = accepted_from(publication)  # the first key is usable before it is published
    return accepted is None or (publication.spki not in known.usable and accepted <= now)


def _is_held(publication: Publication, known: PublishedKeys, keys: Keys) -> bool:
    """Whether a record of a service that is not listed any more stays, because another one of our keys stays there that is not ours to remove."""
    return publication.spki in keys.wanted and any(
        p.owner == publication.owner and not p.is_ours for p in known.publications
    )


def _usable(
    known: PublishedKeys,
    keys: Keys,
    owners: Collection[str],
    sets: Mapping[str, RecordSet],
    *,
    bare: Collection[str],
    now: datetime,
) -> frozenset[str]:
    """The keys that every client accepts at every owner name: the record is old enough, or there is none at all (`bare`).

    The next key after one in use needs its record in any case: the first ones may come at any moment.
    """
    pins = dict.fromkeys([*keys.wanted, *(p.spki for p in known.publications)])
    if not all(owner in sets for owner in owners):
        return frozenset()
    free = {pin: () if keys.in_use is not None and pin == keys.following else bare for pin in pins}
    return frozenset(pin for pin in pins if all(o in free[pin] or is_accepted(known.find(o, pin), now) for o in owners))


def is_accepted(publication: Publication | None, now: datetime) -> bool:
    """Whether every client accepts the key at an owner name that has records, by what is known of its own there."""
    accepted = accepted_from(publication) if publication else None
    return accepted is not None and accepted <= now
