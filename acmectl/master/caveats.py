"""What a person should know of a CA before followers are built on it: it reuses no authorization, or none for long enough.

Nothing fails for that reason: a master goes on proving names, and followers go on waiting, each for good.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import TYPE_CHECKING

from acmectl.master.report import Note
from acmectl.policy import refresh
from acmectl.policy.refresh import Knowledge

if TYPE_CHECKING:
    from acmectl.master.reuse import Reuse
    from acmectl.storage.memory import Memory


class Caveats:
    """Of one CA, by what is known when they are asked for."""

    def __init__(self, memory: Memory, reuse: Reuse, knowledge: Callable[[str | None], Knowledge]) -> None:
        """`knowledge` is of the CA's cutoff, by profile."""
        self._memory = memory
        self._reuse = reuse
        self._knowledge = knowledge

    def of(self, profiles: Iterable[str | None]) -> tuple[Note, ...]:
        """What a person should know of the CA: that it reuses nothing, or nothing any more."""
        notes = []
        for profile in profiles:
            under = f" under the profile `{profile}`" if profile else ""
            if self._reuse.never_happens(profile):
                notes.append(
                    Note(
                        f"the CA reuses no authorization{under}: names that are valid came back pending in two orders for "
                        "names never ordered together before; followers cannot work with it",
                        "issue on the host that can prove the names, or choose a CA that reuses (Let's Encrypt does)",
                    )
                )
            elif (lifetime := self._lifetime(profile)) and (cutoff := self._certain_cutoff(profile)) >= lifetime:
                notes.append(
                    Note(
                        f"the CA reuses no authorization{under}: each lives for {_hours(lifetime)}, and is put into no order "
                        f"in its last {_hours(cutoff)}; followers cannot work with it",
                        "choose another profile",
                    )
                )
        return tuple(notes)

    def _lifetime(self, profile: str | None) -> timedelta | None:
        """L, as the latest validation has shown it."""
        seen = [a for a in self._memory.authorizations() if a.profile == profile and a.lifetime]
        return max(seen, key=lambda a: a.seen_at).lifetime if seen else None

    def _certain_cutoff(self, profile: str | None) -> timedelta:
        """C where it is published, at least; an estimate from above proves nothing, and is zero here."""
        known = self._knowledge(profile)
        return refresh.ZERO if known.cutoff is None else known.cutoff


def _hours(duration: timedelta) -> str:
    return f"{duration / timedelta(hours=1):g} h"
