"""One HTTP request and its answer: within a time limit, not larger than a limit, or an error of ours.

`requests` limits the time of each socket operation, so that a server that drips a byte now and then holds us for ever, and
so does a slow resolver. Each request therefore runs in a thread of its own, which is left behind when time is up
(a daemon: it keeps nobody from leaving); that costs 0.1 of the 2 ms that a request takes.
"""

from __future__ import annotations

import contextlib
import io
import queue
import threading
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter

from acmectl import workers
from acmectl.ca.broken import Bundle, TooSlow, explain
from acmectl.ca.fields import printable
from acmectl.errors import CAProtocolError, Interrupted
from acmectl.model.authorities import is_loopback

MAX_BODY = 1_000_000  # bytes; an order of 100 names has 30 thousand
_CONNECT_SECONDS = 10.0
_CHUNK = 65536
_HOSTS = 4  # a CA seldom has more than one
_REDIRECTS = 5
_SLICE = 0.2  # seconds after which a worker notices at the latest that its pool was given up

_Outcome = queue.SimpleQueue[requests.Response | BaseException]


class PlainSession(requests.Session):
    """A session that leaves redirects to us.

    Even with `allow_redirects=False` the original works out where a redirect leads, and for that reads its body, whatever
    the size, and fails on a `Location` that is no URL.
    """

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Nowhere."""


class Transport:
    """A pool of connections to one CA, for many threads."""

    def __init__(
        self, http: requests.Session, directory_url: str, *, ca_bundle: Path | None, pool_size: int, limit: timedelta
    ) -> None:
        """Set `http` up: as many connections as workers; proxies and bundle are resolved now and never again.

        Left on, `trust_env` scans the environment at each request, and sends what it finds in `~/.netrc`. A CA on loopback is
        never asked through a proxy, whose loopback is another.
        """
        adapter = HTTPAdapter(pool_connections=_HOSTS, pool_maxsize=pool_size)
        http.mount("https://", adapter)
        http.mount("http://", adapter)
        try:
            settings = http.merge_environment_settings(
                directory_url, {}, None, str(ca_bundle) if ca_bundle else None, None
            )
        except ValueError as cause:
            raise explain(cause, directory_url, None) from cause
        http.trust_env = False
        self._http = http
        verify = settings["verify"]
        proxies = {} if is_loopback(urlsplit(directory_url).hostname or "") else dict(settings["proxies"])
        self._settings: dict[str, Any] = {"proxies": proxies, "verify": verify}
        setting = "ca_bundle" if ca_bundle else "REQUESTS_CA_BUNDLE"
        self._bundle = Bundle(verify, setting) if isinstance(verify, str) else None
        self._seconds = limit.total_seconds()

    def send(self, method: str, url: str, *, body: str | None = None, headers: Mapping[str, str]) -> requests.Response:
        """The answer, whatever its status, with its body read.

        A GET follows redirects as long as they stay encrypted; a HEAD or POST never does (`requests` would make a GET of
        the POST, and take its answer). Raises ConnectionBroken, CAUnreachable or CAProtocolError, and Interrupted in a worker
        whose pool was given up.
        """
        outcome: _Outcome = queue.SimpleQueue()
        given_up = threading.Event()

        def exchange() -> None:
            try:
                outcome.put(self._follow(method, url, body, headers, given_up))
            except BaseException as cause:  # noqa: BLE001 - carried to the waiting thread, and raised there
                outcome.put(cause)

        threading.Thread(target=exchange, name=f"{method} {url}", daemon=True).start()
        try:
            answer = self._await(outcome, url)
        finally:
            given_up.set()
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def _await(self, outcome: _Outcome, url: str) -> requests.Response | BaseException:
        """What the request came to. A signal ends the wait of the main thread by itself; a worker has to look."""
        until = time.monotonic() + self._seconds
        while (left := until - time.monotonic()) > 0:
            with contextlib.suppress(queue.Empty):
                return outcome.get(timeout=min(left, _SLICE))
            if workers.is_abandoned():
                raise Interrupted("interrupted")
        raise TooSlow(url, self._seconds)

    def _follow(
        self, method: str, url: str, body: str | None, headers: Mapping[str, str], given_up: threading.Event
    ) -> requests.Response:
        for _ in range(_REDIRECTS + 1):
            response = self._exchange(method, url, body, headers, given_up)
            if method != "GET" or not response.is_redirect:
                return response
            url = _target(url, response)
        raise CAProtocolError(f"too many redirects, the last one to `{url}`")

    def _exchange(
        self, method: str, url: str, body: str | None, headers: Mapping[str, str], given_up: threading.Event
    ) -> requests.Response:
        timeout = (min(_CONNECT_SECONDS, self._seconds), self._seconds)
        try:
            with self._http.request(
                method,
                url,
                data=body,
                headers=dict(headers),
                stream=True,
                allow_redirects=False,
                timeout=timeout,
                **self._settings,
            ) as response:
                content = _read(response, given_up)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as cause:
            raise explain(cause, url, self._bundle) from cause
        response.raw = io.BytesIO(content)  # where `response.content` will read it
        return response


def _target(url: str, response: requests.Response) -> str:
    location = printable(response.headers["Location"])
    try:
        target = urljoin(url, location)
    except ValueError as cause:
        raise CAProtocolError(f"`{url}` redirects to `{location}`, which is no URL") from cause
    if url.startswith("https:") and not target.startswith("https:"):
        raise CAProtocolError(f"`{url}` redirects to `{target}`, which is not encrypted")
    return target


def _read(response: requests.Response, given_up: threading.Event) -> bytes:
    """The body, chunk by chunk as it comes, so that a thread that was left behind ends."""
    content = bytearray()
    while chunk := response.raw.read1(_CHUNK, decode_content=True):
        content += chunk
        if len(content) > MAX_BODY:
            raise CAProtocolError(f"the answer of `{response.url}` is larger than {MAX_BODY} bytes and was not read")
        if given_up.is_set():
            break
    return bytes(content)
