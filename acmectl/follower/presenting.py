"""Targets that present another key than that of the certificate in use, which clients may accept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from acmectl.deploy.presented import Presented, presented
from acmectl.follower.targets import Placed, known

if TYPE_CHECKING:
    from acmectl.follower.means import Means
    from acmectl.model.certificates import Installed
    from acmectl.model.memory import Deployment


def with_another_key(means: Means, installed: Installed, targets: Iterable[Placed]) -> Mapping[str, Presented]:
    """What those of the targets present, by their names; nothing that has expired, and no key that was revoked as compromised.

    One target may have a chain, and another the key to it: those with the same key present the same certificate, and a key without any
    serves nobody.
    """
    last, now = known(means.memory, installed.label), means.clock()
    unwanted = {installed.spki, *means.certificates.keys.distrusted()}
    present = {placed.name: _presented(means, placed, last.get(placed.name), installed) for placed in targets}
    found = {name: one for name, one in present.items() if one is not None and one.spki not in unwanted}
    good = {one.spki: one for one in found.values() if one.not_after is not None and one.not_after > now}
    return {name: good[one.spki] for name, one in found.items() if one.spki in good}


def pins(targets: Iterable[Placed]) -> frozenset[str]:
    """Those of all keys in the places of these targets, whatever they are worth; of commands nobody knows."""
    found = (presented(placed.target, brings_key=False) for placed in targets)
    return frozenset(one.spki for one in found if one is not None)


def _presented(means: Means, placed: Placed, last: Deployment | None, following: Installed) -> Presented | None:
    """Of a command nobody knows more than for which certificate it was run last; if not even that, it is run."""
    if placed.target.copies:
        return presented(placed.target, brings_key=following.has_key)
    if last is None or last.error is not None:
        return None
    former = means.certificates.installed(last.label, last.generation)
    if former is None or former.fingerprint != last.fingerprint:
        return None
    return Presented(former.spki, former.not_after)
