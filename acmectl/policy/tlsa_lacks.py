"""How the TLSA records that are published are not those of the keys, for people to be told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

from acmectl.model.tlsa import RecordSet, association
from acmectl.policy.tlsa import Keys


class Lack(StrEnum):
    """How the records at an owner name are not what they should be."""

    TURNED_AWAY = "clients turn away"
    UNPUBLISHED = "nothing is published"
    FORMER_MISSING = "a former key that is still served is missing"
    NEXT_MISSING = "the next key is missing"


def lacks(keys: Keys, owners: Iterable[str], sets: Mapping[str, RecordSet]) -> tuple[tuple[str, Lack], ...]:
    """The owner names whose records, as all servers have them, are not those of the keys; the worst of each."""
    return tuple((o, lack) for o in owners if o in sets and (lack := _lack(keys, sets[o])) is not None)


def _lack(keys: Keys, found: RecordSet) -> Lack | None:
    if keys.in_use is None:
        return None
    if not found.anywhere:
        return Lack.UNPUBLISHED
    if association(keys.in_use) not in found.everywhere:
        return Lack.TURNED_AWAY if is_strict(found) else Lack.UNPUBLISHED
    if is_strict(found) and any(association(pin) not in found.everywhere for pin in keys.needed if pin in keys.served):
        return Lack.FORMER_MISSING
    return None if keys.following is None or association(keys.following) in found.everywhere else Lack.NEXT_MISSING


def is_strict(found: RecordSet) -> bool:
    """Whether clients that get all records must turn away from any other key than those: no record is about a CA or a whole certificate."""
    return all(text.startswith("3 1 1 ") for text in found.anywhere)
