"""How the sandbox looks for what proves control: for real, over loopback, or not at all.

http-01 asks one configured address, so that rehearsed names need no DNS; dns-01 asks one configured name server. Which
challenge failed, and why, is said in Boulder's words, because that is what people will read from the real CA.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import ssl
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urljoin, urlsplit

from acmectl.errors import Problem
from acmectl.model.names import Identifier

_MAX_BODY = 4096
_MAX_REDIRECTS = 10
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True)
class Attempt:
    """What a challenge promises: that `key_authorization` can be found for `identifier`."""

    type: str
    identifier: Identifier
    token: str
    key_authorization: str


class Validator(Protocol):
    """A way to judge an attempt."""

    def validate(self, attempt: Attempt) -> Problem | None:
        """Why control is not proven, or None where it is."""
        ...


class Trusting:
    """Believes everybody."""

    def validate(self, attempt: Attempt) -> Problem | None:  # noqa: ARG002 - the Protocol's argument; nothing is looked at
        """Always proven."""
        return None


@dataclass(frozen=True, slots=True)
class HttpTarget:
    """Where http-01 and tls-alpn-01 are asked: the port, and one address for every name (None: what the name server says).

    `https_port` is where tls-alpn-01 is asked and redirects to HTTPS lead, `seconds` the time limit of connecting and of each read.
    """

    port: int = 80
    address: str | None = "127.0.0.1"
    https_port: int = 443
    seconds: float = 10.0  # RFC 8555 names no limit; Boulder gives up after ten seconds


class Looking:
    """Looks: http-01 and tls-alpn-01 at `http_target`, dns-01 at `resolver` (address, port)."""

    def __init__(self, http_target: HttpTarget, resolver: tuple[str, int] | None) -> None:
        self._http = http_target
        self._resolver = resolver

    def validate(self, attempt: Attempt) -> Problem | None:
        """Look by the attempt's type."""
        if attempt.type == "http-01":
            return self._validate_http(attempt)
        if attempt.type == "dns-01":
            return self._validate_dns(attempt)
        if attempt.type == "tls-alpn-01":
            return self._validate_tls(attempt)
        return Problem("connection", f"this sandbox cannot validate {attempt.type}", 400)

    def _validate_tls(self, attempt: Attempt) -> Problem | None:
        """RFC 8737 section 3."""
        from acmectl.sandbox import tls_alpn

        try:
            address = self._address(attempt.identifier.base, f"tls-alpn-01 for {attempt.identifier}")
        except _FetchFailed as cause:
            return cause.problem
        return tls_alpn.validate(attempt, address, self._http.https_port, seconds=self._http.seconds)

    def _validate_dns(self, attempt: Attempt) -> Problem | None:
        """RFC 8555 section 8.4: one of the TXT values at `_acme-challenge` is the digest; CNAMEs are followed."""
        name = attempt.identifier.challenge_record
        if self._resolver is None:
            detail = f"DNS problem: this sandbox was started without `--resolver`, so it cannot look up TXT for {name}"
            return Problem("dns", detail, 400)
        from acmectl.sandbox.lookup import LookupFailed, text_values

        try:
            found = text_values(name, self._resolver)
        except LookupFailed as cause:
            return Problem("dns", f"DNS problem: {cause}", 400)
        expected = _digest(attempt.key_authorization)
        if expected in found:
            return None
        if not found:
            return Problem("unauthorized", f"No TXT record found at {name}", 403)
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        return Problem("unauthorized", f'Incorrect TXT record "{found[0]}"{more} found at {name}', 403)

    def _validate_http(self, attempt: Attempt) -> Problem | None:
        """RFC 8555 section 8.3: the body at the well-known URL is the key authorization."""
        url = f"http://{attempt.identifier.url_host}/.well-known/acme-challenge/{attempt.token}"
        try:
            address, status, body = self._get(url)
        except _FetchFailed as cause:
            return cause.problem
        if status != 200:
            return Problem("unauthorized", f"{address}: Invalid response from {url}: {status}", 403)
        if body.rstrip() != attempt.key_authorization.encode():
            shown = body[:80].decode("ascii", "backslashreplace")
            detail = (
                f"{address}: The key authorization file from the server did not match this challenge. "
                f'Expected "{attempt.key_authorization}" (got "{shown}")'
            )
            return Problem("unauthorized", detail, 403)
        return None

    def _get(self, url: str) -> tuple[str, int, bytes]:
        """The address asked last, the status and the body, after redirects."""
        for _ in range(_MAX_REDIRECTS + 1):
            address, status, body, location = self._get_once(url)
            if status not in _REDIRECTS or not location:
                return address, status, body
            url = urljoin(url, location)
        raise _FetchFailed("connection", f"Fetching {url}: Too many redirects")

    def _get_once(self, url: str) -> tuple[str, int, bytes, str | None]:
        parts = urlsplit(url)
        host = parts.hostname
        if not host or parts.scheme not in {"http", "https"}:
            raise _FetchFailed("connection", f"Fetching {url}: Invalid redirect target")
        address = self._address(host, url)
        connection = self._connection(parts.scheme, address)
        try:
            connection.request("GET", _target(parts.path, parts.query), headers={"Host": parts.netloc})
            response = connection.getresponse()
            return address, response.status, response.read(_MAX_BODY), response.getheader("Location")
        except TimeoutError as cause:
            raise _FetchFailed("connection", f"{address}: Fetching {url}: Timeout during connect or read") from cause
        except (OSError, ValueError, http.client.HTTPException) as cause:
            reason = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
            raise _FetchFailed("connection", f"{address}: Fetching {url}: {reason}") from cause
        finally:
            connection.close()

    def _connection(self, scheme: str, address: str) -> http.client.HTTPConnection:
        target = self._http
        if scheme == "http":
            return http.client.HTTPConnection(address, target.port, timeout=target.seconds)
        context = ssl.create_default_context()
        context.check_hostname = (
            False  # RFC 8555 section 10.2: a redirect to HTTPS is followed whatever its certificate
        )
        context.verify_mode = ssl.CERT_NONE
        return http.client.HTTPSConnection(address, target.https_port, timeout=target.seconds, context=context)

    def _address(self, host: str, url: str) -> str:
        if self._http.address is not None or self._resolver is None:
            return self._http.address or "127.0.0.1"
        if Identifier(host).is_address:
            return host  # RFC 8738 section 4: the address itself
        from acmectl.sandbox.lookup import LookupFailed, addresses

        try:
            found = addresses(host, self._resolver)
        except LookupFailed as cause:
            raise _FetchFailed("dns", f"DNS problem: {cause}") from cause
        if not found:
            raise _FetchFailed("dns", f"No valid IP addresses found for {host} ({url})")
        return found[0]


class _FetchFailed(Exception):
    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(detail)
        self.problem = Problem(kind, detail, 400)


def _target(path: str, query: str) -> str:
    return f"{path or '/'}?{query}" if query else path or "/"


def _digest(key_authorization: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(key_authorization.encode()).digest()).rstrip(b"=").decode()
