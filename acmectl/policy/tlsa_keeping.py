"""Whether a service does better with the key that it presents than with the one of the certificate in use (RFC 7671 section 8.1)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from acmectl.model.tlsa import PublishedKeys, RecordSet, association
from acmectl.policy.tlsa import is_accepted
from acmectl.policy.tlsa_lacks import is_strict


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look at the records of a certificate came to: what is `known` after it, and the record sets that it saw.

    An owner name that could not be looked at has none; so have all where there was no look at all.
    """

    known: PublishedKeys = field(default_factory=PublishedKeys)
    sets: Mapping[str, RecordSet] = field(default_factory=dict)

    def speaks_of(self, pin: str, owners: Collection[str]) -> bool:
        """Whether a server has a record of the key at one of the owner names."""
        return any(association(pin) in self.sets[owner].anywhere for owner in owners if owner in self.sets)


def is_worth_keeping(presented: str, pin: str, looked: Looked, owners: Collection[str], now: datetime) -> bool:
    """Whether at one of the owner names clients may turn away from the key `pin`, and not for sure from the `presented` one.

    They may where that was not seen, where resolvers may still keep what was there, and where a record is not about a key alone.
    """
    return any(
        not _all_accept(pin, owner, looked, now) and not _turn_away(presented, looked.sets.get(owner))
        for owner in owners
    )


def _all_accept(pin: str, owner: str, looked: Looked, now: datetime) -> bool:
    if owner not in looked.sets:
        return False
    is_bare = all(one.owner != owner for one in looked.known.sets)
    return is_bare or is_accepted(looked.known.find(owner, pin), now)


def _turn_away(pin: str, found: RecordSet | None) -> bool:
    """Whether whoever gets these records accepts other keys only."""
    return found is not None and bool(found.anywhere) and is_strict(found) and association(pin) not in found.anywhere
