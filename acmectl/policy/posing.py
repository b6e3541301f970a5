"""TLSA records that still vouch for a key that was revoked as compromised: whoever has it can pose as the service until they are gone.

acmectl removes its own; those that a person or a master published are theirs to remove, and they are to be told.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping

from acmectl.model.tlsa import RecordSet, TlsaRecord
from acmectl.policy.tlsa import Keys

_KEY = "3 1 1 "


def vouching(keys: Keys, owners: Iterable[str], sets: Mapping[str, RecordSet]) -> tuple[TlsaRecord, ...]:
    """The records of compromised keys that a server has, but for keys that services still have: those are waited for."""
    bad = keys.distrusted.difference(keys.wanted, keys.served)
    return tuple(
        TlsaRecord(owner, text)
        for owner in owners
        if owner in sets
        for text in sorted(sets[owner].anywhere)
        if _pin(text) in bad
    )


def _pin(association: str) -> str | None:
    """The pin of the key that a record is about; None if it is about something else."""
    if not association.startswith(_KEY):
        return None
    try:
        return base64.b64encode(binascii.unhexlify(association.removeprefix(_KEY))).decode("ascii")
    except binascii.Error:  # of a server: not ours
        return None
