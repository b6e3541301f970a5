"""One GET as Let's Encrypt's validation does it (http-01, RFC 8555 section 8.3), imported when something was published.

Redirects are followed as Boulder does (va/http.go): at most 10, to http on port 80 or https on port 443; the certificate is
not verified, because the one that is missing or expired may be why we are here. Nothing secret is sent or received.
Time and size have limits as a whole, not only for each read.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
from collections.abc import Iterator
from http import HTTPStatus
from urllib.parse import SplitResult, urljoin, urlsplit

from acmectl import __version__
from acmectl.dns.endpoints import Endpoint
from acmectl.errors import SolverError

_MAX_REDIRECTS = 10
_MAX_BODY = 4096
_PORTS = {"http": 80, "https": 443}


def fetch(url: str, *, address: Endpoint | None, seconds: float) -> bytes:
    """The first 4096 bytes of the body of `url`, asked at `address` in place of what its host resolves to.

    `seconds` limits each request as a whole. Raises SolverError when there is no answer or its status is not 200.
    """
    asked = url
    for _ in range(_MAX_REDIRECTS + 1):
        place = _place(asked, url, address)
        status, location, body = _get(urlsplit(asked), place, seconds, _words(asked, url, place))
        if status == HTTPStatus.OK:
            return body
        if not (300 <= status < 400 and location):
            raise SolverError(f"{_words(asked, url, place)} answers {status}", hint=_hint(status))
        asked = _joined(asked, location)
    raise SolverError(f"`{url}` redirects more than {_MAX_REDIRECTS} times")


def _place(asked: str, url: str, address: Endpoint | None) -> Endpoint:
    """Where to connect; a redirect within the name stays at `address`, on the port of its scheme."""
    try:
        parts = urlsplit(asked)
        host, port = parts.hostname, parts.port
    except ValueError as cause:  # a port that is no number
        raise SolverError(f"`{url}` redirects to `{asked}`, which is no URL") from cause
    if parts.scheme not in _PORTS or not host or port not in {None, _PORTS[parts.scheme]}:
        raise SolverError(
            f"`{url}` redirects to `{asked}`", hint="the CA follows redirects only to http on 80 and https on 443"
        )
    if not address or host != urlsplit(url).hostname:
        return Endpoint(host, _PORTS[parts.scheme])
    return address if parts.scheme == "http" else Endpoint(address.host, _PORTS["https"])


def _joined(asked: str, location: str) -> str:
    try:
        return urljoin(asked, location)
    except ValueError as cause:
        raise SolverError(f"`{asked}` redirects to `{location[:200]}`, which is no URL") from cause


def _words(asked: str, url: str, place: Endpoint) -> str:
    via = "" if asked == url else f" (a redirect from `{url}`)"
    at = "" if place.host == urlsplit(asked).hostname else f" (asked at `{place}`)"
    return f"`{asked}`{via}{at}"


def _hint(status: int) -> str | None:
    if status == HTTPStatus.NOT_FOUND:
        return "does the web server serve this directory for this name, and may it read the files?"
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return "let the web server answer `/.well-known/acme-challenge/` without a login, and read its files"
    return None


def _get(url: SplitResult, place: Endpoint, seconds: float, words: str) -> tuple[int, str | None, bytes]:
    late = threading.Event()
    try:
        with _connected(url, place, seconds, late) as connection:
            target = (url.path or "/") + (f"?{url.query}" if url.query else "")
            connection.request("GET", target, headers={"User-Agent": f"acmectl/{__version__}", "Accept": "*/*"})
            answer = connection.getresponse()
            result = answer.status, answer.getheader("Location"), answer.read(_MAX_BODY)
            if late.is_set():  # headers that were cut off look like headers that ended
                raise TimeoutError
            return result
    except (OSError, http.client.HTTPException, ValueError) as cause:
        reason = f"no complete answer within {seconds:g} s" if late.is_set() else _reason(cause, seconds)
        raise SolverError(f"{words} cannot be asked: {reason}", hint=connection_hint(cause)) from cause


@contextlib.contextmanager
def _connected(
    url: SplitResult, place: Endpoint, seconds: float, late: threading.Event
) -> Iterator[http.client.HTTPConnection]:
    """A connection to `place` that speaks for the host of `url`, and is cut off after `seconds`."""
    stream = socket.create_connection((place.host, place.port), timeout=seconds)
    timer = threading.Timer(seconds, _cut_off, (stream, late))
    timer.daemon = True
    timer.start()
    try:
        if url.scheme == "https":
            stream = _unverified().wrap_socket(stream, server_hostname=url.hostname)
        connection = http.client.HTTPConnection(url.hostname or "", 80)  # with a port, lest one is sought in IPv6
        connection.sock = stream
        yield connection
        connection.close()
    finally:
        timer.cancel()
        stream.close()


def _cut_off(stream: socket.socket, late: threading.Event) -> None:
    late.set()
    with contextlib.suppress(OSError):
        stream.shutdown(socket.SHUT_RDWR)


def _unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _reason(cause: Exception, seconds: float) -> str:
    if isinstance(cause, TimeoutError):
        return f"no answer within {seconds:g} s"
    if isinstance(cause, socket.gaierror):
        return "the name has no address here"
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror.lower()
    return str(cause) or type(cause).__name__


def connection_hint(cause: Exception) -> str | None:
    """What to do where nobody can be asked."""
    if isinstance(cause, OSError):
        return "where this host cannot reach its own public address, set `check_address` of the solver"
    return None
