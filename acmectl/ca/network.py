"""ClientNetwork of `acme` with another engine: its public `post`, `get` and `head` keep their contract towards `acme`.

What is different: a badNonce is answered up to ten times, each time with the nonce of that reply and a new signature (the
original tries twice and throws the nonce away: with 15 % of nonces refused, 2 % of its posts fail); what may be repeated is
repeated with growing pauses or as `Retry-After` says; errors are ours, and keep HTTP status, `Retry-After` and problem
type; and threads share it (`acme` pops its nonces without a lock).
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from acme import client
from josepy.jwa import ES256

from acmectl import __version__
from acmectl.ca.account_key import AccountKey, is_nonce
from acmectl.ca.broken import ConnectionBroken
from acmectl.ca.nonces import Nonces
from acmectl.ca.patience import Clocks, Patience, http_date, retry_after
from acmectl.ca.problems import error_for, is_bad_nonce
from acmectl.ca.purpose import Purpose
from acmectl.ca.transport import PlainSession, Transport
from acmectl.errors import CAError, CAProtocolError

if TYPE_CHECKING:
    from josepy.interfaces import JSONDeSerializable
    from requests import Response

    from acmectl.ca.directory import Directory

log = logging.getLogger(__name__)

_SIGNATURES = 11  # the first try, and ten more with fresh nonces
_OTHER = Purpose("other", "the request")
_NEW_NONCE = Purpose("newNonce", "a new nonce")


class Network(client.ClientNetwork):
    """Sends, repeats, signs, counts. `directory` is set by the session once it is known."""

    def __init__(
        self,
        directory_url: str,
        *,
        key: AccountKey | None,
        ca_bundle: Path | None,
        pool_size: int,
        limit: timedelta,
        clocks: Clocks,
    ) -> None:
        """`limit` is the time that one request may take in all, each try counted anew."""
        super().__init__(
            key=key.jwk if key else None,
            alg=key.algorithm if key else ES256,
            user_agent=f"acmectl/{__version__} (+python acme/{version('acme')})",
        )
        self.session.close()
        self.session = PlainSession()
        self.session.headers.clear()
        self.session.headers.update(
            {"User-Agent": self.user_agent, "Accept-Language": "en", "Accept-Encoding": "identity", "Accept": "*/*"}
        )
        self._transport = Transport(self.session, directory_url, ca_bundle=ca_bundle, pool_size=pool_size, limit=limit)
        self._account_key = key
        self._clocks = clocks
        self._unused = Nonces(self._new_nonce)
        self._counting = threading.Lock()
        self._sent: Counter[str] = Counter()
        self.directory: Directory | None = None
        self.clock_offset: timedelta | None = None

    @property
    def sent(self) -> Counter[str]:
        """How many requests were sent until now, by kind."""
        with self._counting:
            return self._sent.copy()

    def get(
        self,
        url: str,
        content_type: str = client.ClientNetwork.JSON_CONTENT_TYPE,  # noqa: ARG002 - the signature is acme's
        purpose: Purpose = _OTHER,
        **_: Any,
    ) -> Response:
        """A plain GET; raises errors of ours. Redirects are followed (see Transport)."""
        return self._checked(self._persist(purpose, lambda: self._send("GET", url, purpose, {})), purpose)

    def head(self, *args: Any, purpose: Purpose = _OTHER, **_: Any) -> Response:
        """A HEAD, unchecked, as in `acme`."""
        return self._persist(purpose, lambda: self._send("HEAD", str(args[0]), purpose, {}))

    def post(
        self,
        url: str,
        obj: JSONDeSerializable | None,
        content_type: str = client.ClientNetwork.JOSE_CONTENT_TYPE,
        *,
        purpose: Purpose = _OTHER,
        account_url: str | None = None,
        accept: str = "application/json",
        **_: Any,
    ) -> Response:
        """POST `obj`, signed; None is a POST-as-GET (RFC 8555 section 6.3). Raises errors of ours.

        Without `account_url` the request carries the public key instead, as newAccount wants it.
        """
        payload = b"" if obj is None else obj.json_dumps().encode()
        headers = {"Content-Type": content_type, "Accept": accept}
        return self._checked(
            self._persist(purpose, lambda: self._post_signed(url, payload, account_url, purpose, headers)), purpose
        )

    def _post_signed(
        self, url: str, payload: bytes, account_url: str | None, purpose: Purpose, headers: Mapping[str, str]
    ) -> Response:
        """One POST, signed again with the nonce of the reply as long as that is badNonce."""
        if self._account_key is None:
            raise CAError(f"a request to `{url}` must be signed, and there is no account key")
        nonce = self._unused.take()
        for left in reversed(range(_SIGNATURES)):
            body = self._account_key.sign(payload, nonce=nonce, url=url, account_url=account_url)
            response = self._send("POST", url, purpose, headers, body)
            fresh = _nonce_of(response)
            if left and is_bad_nonce(response):
                nonce = fresh or self._unused.take()
                continue
            if fresh:
                self._unused.add(fresh)
            break
        return response

    def _new_nonce(self) -> str:
        if self.directory is None:
            raise CAError("the directory, which says where nonces come from, was not read yet")
        url = self.directory.endpoint("newNonce")
        response = self._checked(self.head(url, purpose=_NEW_NONCE), _NEW_NONCE)
        if nonce := _nonce_of(response):
            return nonce
        raise CAProtocolError(f"the answer of `{url}` cannot be used: it has no `Replay-Nonce`")

    def _persist(self, purpose: Purpose, send: Callable[[], Response]) -> Response:
        """The last answer of `send`, called again while that may help, is allowed, and patience lasts."""
        patience = Patience(self._clocks)
        was_cut = False
        while True:
            try:
                response = send()
            except ConnectionBroken as failure:
                # A server may close a kept connection at the moment we use it: no reason to wait, once.
                at_once, was_cut = failure.by_peer and not was_cut, was_cut or failure.by_peer
                if not purpose.repeatable or not (at_once or patience.wait()):
                    raise
                log.info("trying again: %s", failure)
                continue
            demanded = retry_after(response.headers, self._clocks.now())
            if not _may_help(purpose, response, demanded) or not patience.wait(demanded):
                return response
            log.info("trying again: %s answered with HTTP status %d", response.url, response.status_code)

    def _send(
        self, method: str, url: str, purpose: Purpose, headers: Mapping[str, str], body: str | None = None
    ) -> Response:
        with self._counting:
            self._sent[purpose.kind] += 1
        response = self._transport.send(method, url, body=body, headers=headers)
        log.debug("%s %s: HTTP status %d", method, url, response.status_code)
        if said := http_date(response.headers.get("Date", "")):
            self.clock_offset = said - self._clocks.now()
        return response

    def _checked(self, response: Response, purpose: Purpose) -> Response:
        if response.ok and not response.is_redirect:
            return response
        raise error_for(response, doing=purpose.doing, directory=self.directory, now=self._clocks.now())


def _may_help(purpose: Purpose, response: Response, demanded: timedelta | None) -> bool:
    if response.status_code == 429:
        return purpose.waits and demanded is not None
    return purpose.repeatable and response.status_code >= 500


def _nonce_of(response: Response) -> str | None:
    nonce = response.headers.get("Replay-Nonce", "")
    return nonce if is_nonce(nonce) else None
