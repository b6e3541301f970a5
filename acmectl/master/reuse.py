"""Whether a CA puts valid authorizations into new orders at all: followers stand on it, and some CAs never do (step-ca, DigiCert DV).

"A name that was validated comes back pending in a new order" has other causes: an order that a follower opened too early is handed out
again for the same names (Boulder), some servers reuse only now and then (Pebble), replicas lag. So it counts only for a set of names that was
never ordered before, only where no name of the set came back valid, and is believed when it happened to two different sets. One
authorization that is reused ends all doubt.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from acmectl.model.names import Identifier
from acmectl.policy import refresh
from acmectl.policy.lifetimes import Schedule
from acmectl.policy.refresh import Knowledge, Wanted

if TYPE_CHECKING:
    from acmectl.storage.memory import Memory

_REUSES = "reuses"
_ENOUGH = 2
_LAPSE = Schedule(refresh.ZERO, early=False)


class Reuse:
    """What is known of one CA, by profile."""

    def __init__(self, memory: Memory, *, directory_url: str) -> None:
        """The facts about the CA at `directory_url` lie in `memory`."""
        self._memory = memory
        self._directory_url = directory_url

    def is_proven(self, profile: str | None) -> bool:
        """Whether an authorization was seen in a second order."""
        return self._memory.fact(self._key(profile)) == _REUSES

    def never_happens(self, profile: str | None) -> bool:
        """Whether two different sets of names, never ordered before, have shown that nothing is reused."""
        return not self.is_proven(profile) and len(self._evidence(profile)) >= _ENOUGH

    def expected(
        self, names: Iterable[Wanted], known: Mapping[str | None, Knowledge], now: datetime
    ) -> frozenset[Wanted]:
        """The names that a new order must find authorized if this CA reuses anything: valid, and above the cutoff."""
        remembered = {
            (a.account, a.profile, a.identifier): ends
            for a in self._memory.authorizations()
            if (ends := refresh.horizon(a, known.get(a.profile, Knowledge()), _LAPSE))
        }
        return frozenset(w for w in names if w.key in remembered and now < remembered[w.key].cutoff_at)

    def is_new(self, account: str, profile: str | None, names: frozenset[Identifier]) -> bool:
        """Whether this host has never ordered exactly this set."""
        return not self._memory.has_ordered(account, profile, names)

    def learn(self, profile: str | None, names: Collection[Identifier], *, reused: bool) -> None:
        """A set that was never ordered before has been ordered, and at least one of its names was expected to be valid."""
        if reused:
            self._memory.set_fact(self._key(profile), _REUSES)
        elif not self.is_proven(profile):
            seen = {*self._evidence(profile), " ".join(sorted(n.value for n in names))}
            self._memory.set_fact(self._key(profile), json.dumps(sorted(seen)[:_ENOUGH]))

    def probe(self, account: str, names: Sequence[Wanted]) -> tuple[Wanted, ...] | None:
        """As many of `names` as make a set that was never ordered before; None where there is none."""
        profile = names[0].profile if names else None
        for left_out in names if len(names) > 1 else ():
            chosen = tuple(w for w in names if w != left_out)
            if self.is_new(account, profile, frozenset(w.identifier for w in chosen)):
                return chosen
        return None

    def _evidence(self, profile: str | None) -> list[str]:
        fact = self._memory.fact(self._key(profile))
        return [] if fact in {None, _REUSES} else [str(names) for names in json.loads(fact or "[]")]

    def _key(self, profile: str | None) -> str:
        return f"reuse/{self._directory_url}/{profile or ''}"
