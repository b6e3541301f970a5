"""Nonces: each good for one request (RFC 8555 section 6.5)."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict

_KEPT = 100_000  # the oldest are forgotten first, as CAs do


class Nonces:
    """The nonces that were handed out and not yet used, at most `kept`."""

    def __init__(self, kept: int = _KEPT) -> None:
        self._kept = kept
        self._lock = threading.Lock()
        self._fresh: OrderedDict[str, None] = OrderedDict()

    def new(self) -> str:
        """A nonce that nobody has seen."""
        nonce = secrets.token_urlsafe(16)
        with self._lock:
            self._fresh[nonce] = None
            if len(self._fresh) > self._kept:
                self._fresh.popitem(last=False)
        return nonce

    def use(self, nonce: str) -> bool:
        """Whether the nonce was good; it no longer is."""
        with self._lock:
            return self._fresh.pop(nonce, self) is None
