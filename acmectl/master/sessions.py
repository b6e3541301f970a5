"""The sessions of one run with the CA: what they cost is counted, and the CA's clock is learned from each."""

from __future__ import annotations

import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

from acmectl.errors import AcmectlError

if TYPE_CHECKING:
    from acmectl.ca.session import Session
    from acmectl.storage.clock import CAClock

log = logging.getLogger(__name__)


class Sessions:
    """Sessions of accounts, one after the other."""

    def __init__(self, connect: Callable[[str], Session], clock: CAClock) -> None:
        """`connect` opens a session for an account by name; `clock` learns from it."""
        self._connect = connect
        self._clock = clock
        self.requests: Counter[str] = Counter()
        """How many requests were sent so far, by kind."""
        self.clock_offset: timedelta | None = None
        """The CA's clock minus ours; None where no CA was asked."""

    @contextlib.contextmanager
    def of(self, account: str) -> Iterator[Session]:
        """A session of an account, closed at the end."""
        session = self._connect(account)
        try:
            yield session
        finally:
            self.requests.update(session.requests)
            if session.clock_offset is not None:
                self.clock_offset = session.clock_offset
            self._clock.learn(session.clock_offset)
            session.close()

    def ask_for_the_time(self, accounts: Iterable[str]) -> None:
        """The directory's answer brings it. A CA that is away brings none: then this run goes by our own clock, and the next asks again."""
        log.warning("the clock of this host has jumped back: asking the CA for the time")
        for account in accounts:
            try:
                with self.of(account) as session:
                    session.directory  # noqa: B018 - the first answer brings the CA's time
            except AcmectlError as error:
                log.warning("the CA's time could not be learned: %s", error)
            else:
                return
