"""What was asked of the sandbox, by whom: so that a test can say that a follower never answers a challenge."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Seen:
    """One request: its kind, the account's number (0: none), the client's User-Agent, and the answer's HTTP status."""

    kind: str
    account: int
    user_agent: str
    status: int


class Counts:
    """All requests since the start, or since the last `reset`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: Counter[Seen] = Counter()

    def add(self, seen: Seen) -> None:
        """Count one request."""
        with self._lock:
            self._seen[seen] += 1

    def reset(self) -> None:
        """Start again from nothing."""
        with self._lock:
            self._seen.clear()

    def __getitem__(self, kind: str) -> int:
        """How many requests of a kind there were, 0 included."""
        return self.by_kind()[kind]

    def by_kind(self) -> Counter[str]:
        """Requests by kind: directory newNonce newAccount newOrder order authorization deactivate challenge finalize ..."""
        return self._sum("kind")

    def by_user_agent(self, kind: str) -> Counter[str]:
        """Requests of one kind by User-Agent."""
        with self._lock:
            found: Counter[str] = Counter()
            for seen, count in self._seen.items():
                if seen.kind == kind:
                    found[seen.user_agent] += count
            return found

    def snapshot(self) -> list[tuple[Seen, int]]:
        """Every combination that was seen, and how often."""
        with self._lock:
            return list(self._seen.items())

    def _sum(self, field: str) -> Counter[str]:
        with self._lock:
            found: Counter[str] = Counter()
            for seen, count in self._seen.items():
                found[getattr(seen, field)] += count
            return found
