"""A session: one directory, one account key, and the way there, shared by all threads of a run.

It is cheap to make: `acme`, `requests` and `cryptography` are imported, and the directory is read, with the first
request, so that a run with nothing to do pays for none of them.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Self

from acmectl.ca.directory import Directory, fetch_directory
from acmectl.ca.patience import Clocks, retry_after
from acmectl.ca.purpose import Purpose
from acmectl.errors import CAError, CARefused

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
    from josepy.interfaces import JSONDeSerializable
    from requests import Response

    from acmectl.ca.account_key import AccountKey
    from acmectl.ca.network import Network

__all__ = ["Directory", "Session"]


class Session:
    """Everything that is said to one CA in one run; usable from many threads at once.

    Every method that asks the CA raises CAError: CAUnreachable, CAProtocolError, or CARefused with the problem.
    """

    def __init__(
        self,
        directory_url: str,
        *,
        key: PrivateKeyTypes | None = None,
        account_url: str | None = None,
        ca_bundle: Path | None = None,
        pool_size: int = 16,
        request_limit: timedelta = timedelta(seconds=60),
        pauses: Callable[[float], object] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Prepare a session; asks nothing yet.

        `key` signs (without it only the directory can be read); with `account_url` from our state no request is
        needed to find the account. `pool_size` is the number of connections: as many as workers. `request_limit` is for one
        request as a whole. `pauses`, `monotonic` and `now` are the clocks.
        """
        self.directory_url = directory_url
        self.account_url = account_url
        self.clocks = Clocks(pauses, monotonic, now)
        self._key = key
        self._ca_bundle = ca_bundle
        self._pool_size = pool_size
        self._request_limit = request_limit
        self._starting = threading.RLock()
        self._network: Network | None = None
        self._account_key: AccountKey | None = None
        self._failure: CAError | None = None
        self._looks: dict[str, float] = {}
        self._doubting = threading.Lock()
        self._has_doubted = False
        self._verdict: CARefused | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections; the session can be used again, with new ones."""
        if self._network is not None:
            self._network.session.close()

    @property
    def directory(self) -> Directory:
        """The CA's directory, fetched once."""
        seen = self._failure  # before anything that may wait for another thread
        network = self._started()
        if network.directory is None:
            with self._starting:
                if network.directory is None:
                    if self._failure is not None and self._failure is not seen:
                        raise self._failure  # another thread has just tried, and we waited for it: that will do
                    network.directory = self._read_directory(network)
        return network.directory

    @property
    def clock_offset(self) -> timedelta | None:
        """The CA's clock minus ours, from its latest answer (to a second); None before."""
        return self._network.clock_offset if self._network else None

    def ca_now(self) -> datetime:
        """The CA's time, aware UTC: our clock corrected by what the CA said, or ours before it said anything."""
        return self.clocks.now() + (self.clock_offset or timedelta(0))

    @property
    def requests(self) -> Counter[str]:
        """How many requests were sent, by kind (`newOrder`, `authorization`, ...); every try counts."""
        return self._network.sent if self._network else Counter()

    @property
    def account_key(self) -> AccountKey:
        """The key that signs; raises KeyMaterialError where it is of a kind that cannot."""
        if self._account_key is None:
            if self._key is None:
                raise CAError(f"this session with `{self.directory_url}` has no account key to sign with")
            from acmectl.ca.account_key import AccountKey

            self._account_key = AccountKey.wrap(self._key)
        return self._account_key

    def post(
        self,
        url: str,
        message: JSONDeSerializable | None,
        purpose: Purpose,
        *,
        by_key: bool = False,
        accept: str = "application/json",
    ) -> Response:
        """Send a signed `message`, None for a POST-as-GET (RFC 8555 section 6.3); the answer has a status of 2xx.

        `by_key` sends the public key instead of the account's URL, which must be known otherwise.
        """
        if not by_key and self.account_url is None:
            raise CAError(f"no account at `{self.directory_url}` is known", hint="`acmectl account register` makes one")
        self.directory  # noqa: B018 - read now: the nonces come from it
        if by_key:
            return self._started().post(url, message, purpose=purpose, account_url=None, accept=accept)
        try:
            return self._started().post(url, message, purpose=purpose, account_url=self.account_url, accept=accept)
        except CARefused as refused:
            explained = self._explained(refused)
            if explained is refused:
                raise
            raise explained from refused

    def _explained(self, refused: CARefused) -> CARefused:
        """Another error for a refusal that means that our key is not the account's any more (see `doubt`)."""
        from acmectl.ca import doubt

        if not doubt.is_in_doubt(refused):
            return refused
        with self._doubting:  # who comes later waits for the verdict of who came first
            if not self._has_doubted:
                self._verdict = doubt.resolved(self, refused)
                self._has_doubted = True
            return self._verdict or refused

    def get(self, url: str, purpose: Purpose) -> Response:
        """Ask without a signature, which no account is needed for; the answer has a status of 2xx."""
        return self._started().get(url, purpose=purpose)

    def look_later(self, url: str, response: Response) -> None:
        """Remember that `response` asked (`Retry-After`) not to look at `url` before some time has passed."""
        demanded = retry_after(response.headers, self.clocks.now())
        if demanded is None:
            self._looks.pop(url, None)
        else:
            self._looks[url] = self.clocks.monotonic() + demanded.total_seconds()

    def asked_to_wait(self, url: str) -> timedelta | None:
        """How much of that time is left; None where nothing was asked."""
        moment = self._looks.get(url)
        return None if moment is None else timedelta(seconds=max(0.0, moment - self.clocks.monotonic()))

    def _read_directory(self, network: Network) -> Directory:
        try:
            return fetch_directory(network, self.directory_url)
        except CAError as failure:
            self._failure = failure
            raise

    def _started(self) -> Network:
        if self._network is None:
            from acmectl.ca.network import Network  # 250 ms: see the module's docstring

            with self._starting:
                if self._network is None:
                    self._network = Network(
                        self.directory_url,
                        key=self.account_key if self._key else None,
                        ca_bundle=self._ca_bundle,
                        pool_size=self._pool_size,
                        limit=self._request_limit,
                        clocks=self.clocks,
                    )
        return self._network
