"""Which private key a certificate gets: one that a person imposes, the one in use, the one made ahead, or a new one.

A key that was revoked as compromised is never taken again, wherever it comes from. Where keys are published (TLSA), another one
than that in use is taken only once every client accepts it; until then the one in use is kept, even where its type or its turn is
over, or a person replaced it. Only a compromised one is not kept: its successor is taken at once, because whoever has it could pose as this host.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from acmectl.model.certificates import CertificateSpec, ImposedKey, Installed, KeyType


class Source(StrEnum):
    """Where the key of the next generation comes from."""

    IMPOSED = "imposed"
    IN_USE = "in use"
    PREPARED = "prepared"
    NEW = "new"


@dataclass(frozen=True, slots=True)
class KeyAtHand:
    """A key that is there: its pin (as `Installed.spki`) and type, None for a type that acmectl would not make."""

    spki: str
    key_type: KeyType | None


@dataclass(frozen=True, slots=True)
class KeysAtHand:
    """What there is to choose from; `distrusted` are pins of keys that were revoked as compromised.

    `usable` are those that every client accepts where keys are published; None where none are. `left` is the pin of a key that a person
    wants replaced, `elsewhere` that of a key that is in use, and not on this host.
    """

    imposed: ImposedKey | None = None
    in_use: KeyAtHand | None = None
    prepared: KeyAtHand | None = None
    distrusted: frozenset[str] = frozenset()
    usable: frozenset[str] | None = None
    left: str | None = None
    elsewhere: str | None = None

    @property
    def following(self) -> str | None:
        """The pin of the key that comes after the one in use, if there is one already."""
        key = self.imposed or self.prepared
        if key is None or key.spki in self.distrusted or key.spki == self.serving:
            return None
        return key.spki

    @property
    def serving(self) -> str | None:
        """The pin of the key that services have, wherever it is."""
        return self.in_use.spki if self.in_use is not None else self.elsewhere

    def is_accepted(self, spki: str) -> bool:
        """Whether clients accept the key; also the one in use, which they have to."""
        return self.usable is None or spki == self.serving or spki in self.usable


@dataclass(frozen=True, slots=True)
class KeyChange:
    """Whether a person asked for another key (`asked`), and what a change of the key waits for, None if it may be made now."""

    asked: bool = False
    waits_for: str | None = None


def choose(spec: CertificateSpec, at_hand: KeysAtHand) -> Source:
    """Where the key of the next generation comes from."""
    if at_hand.imposed is not None:
        return Source.IN_USE if _is_imposed_later(at_hand) else Source.IMPOSED
    if spec.reuse_key and _serves(at_hand.in_use, spec, at_hand) and not is_left(at_hand):
        return Source.IN_USE
    if is_kept(spec, at_hand):
        return Source.IN_USE
    if (spec.prepare_key or spec.pinned) and is_prepared(spec, at_hand):
        return Source.PREPARED
    return Source.NEW


def may_serve(at_hand: KeysAtHand, spki: str) -> bool:
    """Whether services may be given the key with this pin: clients accept it, or the one before was compromised."""
    return at_hand.is_accepted(spki) or at_hand.serving in at_hand.distrusted


def is_left(at_hand: KeysAtHand) -> bool:
    """Whether a person wants the key in use replaced."""
    return at_hand.in_use is not None and at_hand.in_use.spki == at_hand.left


def is_kept(spec: CertificateSpec, at_hand: KeysAtHand) -> bool:
    """Whether the key in use is kept although it should change, because not every client accepts another one yet."""
    if at_hand.imposed is not None or at_hand.usable is None or at_hand.in_use is None:
        return False
    if at_hand.in_use.spki in at_hand.distrusted:
        return False
    ready = is_prepared(spec, at_hand) and at_hand.prepared is not None and at_hand.is_accepted(at_hand.prepared.spki)
    return not ready


def waits(at_hand: KeysAtHand) -> str | None:
    """The pin of a key that must not be used yet, and has none before it that can be kept: not every client accepts it. None if there is none.

    A successor of a compromised key does not wait.
    """
    if _is_imposed_later(at_hand):
        return None
    key = at_hand.imposed or (at_hand.prepared if at_hand.serving is None else None)
    return None if key is None or may_serve(at_hand, key.spki) else key.spki


def _is_imposed_later(at_hand: KeysAtHand) -> bool:
    """Whether a person's new key waits, and the one before is here to renew with: otherwise the certificate would run out first.

    A CSR is signed with a key that may not be here, and says more than which key it is for.
    """
    imposed, in_use = at_hand.imposed, at_hand.in_use
    if imposed is None or imposed.names is not None or in_use is None or in_use.spki in at_hand.distrusted:
        return False
    return not may_serve(at_hand, imposed.spki)


def is_prepared(spec: CertificateSpec, at_hand: KeysAtHand) -> bool:
    """Whether the key made ahead is one for the next key change: not so once it became the one in use."""
    return _serves(at_hand.prepared, spec, at_hand) and not _same(at_hand.prepared, at_hand.in_use)


def fits(spec: CertificateSpec, draft: KeyAtHand, at_hand: KeysAtHand) -> bool:
    """Whether the key of an interrupted run is one that would be chosen now."""
    if draft.spki in at_hand.distrusted:
        return False
    match choose(spec, at_hand):
        case Source.IMPOSED:
            return at_hand.imposed is not None and draft.spki == at_hand.imposed.spki
        case Source.IN_USE:
            return _same(draft, at_hand.in_use)
        case Source.PREPARED:
            return _same(draft, at_hand.prepared)
        case Source.NEW:
            return draft.key_type is spec.key_type and not _same(draft, at_hand.in_use)
        case unreachable:
            assert_never(unreachable)


def key_changed(spec: CertificateSpec, installed: Installed, imposed: ImposedKey | None) -> str | None:
    """Why the key of the installed certificate is not the wanted one; None if it is."""
    if imposed is not None and installed.spki != imposed.spki:
        return f"the key was replaced: {imposed.origin}"
    if imposed is not None:
        moved_here = imposed.names is None and not installed.has_key
        return f"the key of its CSR is to be on this host now: {imposed.origin}" if moved_here else None
    if not installed.has_key:
        return "the key changed: the configuration names no CSR any more, and the key is not on this host"
    if installed.key_type is not spec.key_type:
        return f"key type changed: {installed.key_type or 'unknown'} -> {spec.key_type}"
    return None


def _serves(key: KeyAtHand | None, spec: CertificateSpec, at_hand: KeysAtHand) -> bool:
    return key is not None and key.key_type is spec.key_type and key.spki not in at_hand.distrusted


def _same(one: KeyAtHand | None, other: KeyAtHand | None) -> bool:
    return one is not None and other is not None and one.spki == other.spki
