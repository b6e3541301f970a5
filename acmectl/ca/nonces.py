"""Anti-replay nonces (RFC 8555 section 6.5), shared by the threads of a session.

Every answer brings one, so a new one is only asked for at the start and when several threads send at once; at most
`AT_ONCE` of them ask together, or a burst of workers would begin with a burst of newNonce requests.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from threading import BoundedSemaphore

AT_ONCE = 4
_KEPT = 64  # the oldest go first: a CA forgets them too


class Nonces:
    """A store of unused nonces, the freshest given out first."""

    def __init__(self, fetch: Callable[[], str]) -> None:
        """`fetch` asks the CA for one nonce."""
        self._fetch = fetch
        self._unused: deque[str] = deque(maxlen=_KEPT)  # append and pop of a deque are atomic
        self._asking = BoundedSemaphore(AT_ONCE)

    def take(self) -> str:
        """A nonce that nobody else has; raises what `fetch` raises."""
        try:
            return self._unused.pop()
        except IndexError:
            pass
        with self._asking:
            try:
                return self._unused.pop()  # another thread's answer may have brought one meanwhile
            except IndexError:
                return self._fetch()

    def add(self, nonce: str) -> None:
        """Keep a nonce that an answer brought."""
        self._unused.append(nonce)
