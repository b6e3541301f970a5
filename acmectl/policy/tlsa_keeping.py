"""Whether a service does better with the key that it presents than with the one of the certificate in use (RFC 7671 section 8.1)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

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


def is_worth_keeping(
    presented: str, pin: str, looked: Looked, owners: Collection[str], *, is_plausible: bool = True
) -> bool:
    """Whether at one of the owner names clients may turn away from the key `pin`, and not for sure from the `presented` one.

    They may where resolvers may still keep what was there, where a record is not about a key alone, and where that was not seen. What was
    not seen counts only for a presented key that `is_plausible`, and not against a service that is known to do better with the other one.
    """
    seen = [owner for owner in owners if owner in looked.sets]
    accepted = {owner for owner in seen if _all_accept(pin, owner, looked)}
    turned_away = {owner for owner in seen if _turn_away(presented, looked.sets[owner])}
    if not accepted.union(turned_away).issuperset(seen):
        return True
    return is_plausible and len(seen) < len(owners) and accepted.isdisjoint(turned_away)


def _all_accept(pin: str, owner: str, looked: Looked) -> bool:
    """Judged by the time of the look: what comes later, nobody has seen."""
    if all(one.owner != owner for one in looked.known.sets):
        return True
    return looked.known.looked_at is not None and is_accepted(looked.known.find(owner, pin), looked.known.looked_at)


def _turn_away(pin: str, found: RecordSet) -> bool:
    """Whether whoever gets these records accepts other keys only."""
    return bool(found.anywhere) and is_strict(found) and association(pin) not in found.anywhere
