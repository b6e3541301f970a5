"""Files that targets wrote and write no more: they stay, because a service may still read them, until a person removes them."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from pathlib import Path

from acmectl.follower.settling import real
from acmectl.follower.targets import Placed


def written(targets: Iterable[Placed]) -> frozenset[str]:
    """The places that targets write, by their real directories."""
    return frozenset(real(path) for placed in targets for path in placed.target.copies)


def stay(places: Iterable[str], kept: Collection[str]) -> tuple[str, ...]:
    """Those of `places` that are there, and are none of `kept`: a file has another name as well where its directory has one."""
    found = {real(Path(place)): place for place in sorted(places, reverse=True) if os.path.lexists(place)}
    return tuple(sorted(place for at, place in found.items() if at not in kept))
