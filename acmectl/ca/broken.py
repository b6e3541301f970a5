"""Why no answer came: what a failed connection, TLS handshake or resolver means, in words that name the thing to mend."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import requests
import urllib3

from acmectl.errors import CAUnreachable


class ConnectionBroken(CAUnreachable):
    """The connection could not be made, or broke: the CA may or may not have got the request, another try can help.

    `by_peer` tells that an open connection was cut, as by a server that closes idle ones.
    """

    def __init__(self, message: str, *, hint: str | None = None, by_peer: bool = False) -> None:
        """See CAUnreachable."""
        super().__init__(message, hint=hint)
        self.by_peer = by_peer


class TooSlow(CAUnreachable):
    """No complete answer within the time limit of a request."""

    def __init__(self, url: str, seconds: float) -> None:
        """`seconds` is the limit."""
        super().__init__(f"no complete answer of `{url}` within {seconds:g} s", hint="try again later")


@dataclass(frozen=True, slots=True)
class Bundle:
    """A file of trusted roots, and the setting that names it."""

    path: str
    setting: str


def explain(cause: Exception, url: str, bundle: Bundle | None) -> CAUnreachable:
    """The error for what `requests` or `urllib3` raised; without a `bundle` the public roots were trusted."""
    tls = _find(cause, ssl.SSLError)
    if isinstance(tls, ssl.SSLError):
        return _tls_failure(tls, url, bundle)
    if isinstance(cause, requests.exceptions.InvalidProxyURL):
        return CAUnreachable(
            f"the proxy on the way to `{url}` is no URL", hint="check `https_proxy` in the environment"
        )
    if isinstance(cause, requests.exceptions.InvalidURL | requests.exceptions.MissingSchema | ValueError):
        return CAUnreachable(f"`{url}` is no URL that can be asked", hint="a directory's URL begins with `https://`")
    if isinstance(cause, requests.exceptions.ReadTimeout | urllib3.exceptions.ReadTimeoutError):
        return CAUnreachable(f"no answer of `{url}` in time", hint="try again later")
    if isinstance(cause, requests.exceptions.ConnectionError | urllib3.exceptions.HTTPError):
        return _no_connection(cause, url)
    return _unusable_bundle(cause, url, bundle)


def _tls_failure(cause: ssl.SSLError, url: str, bundle: Bundle | None) -> CAUnreachable:
    host = urlsplit(url).hostname
    if isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return ConnectionBroken(f"`{url}` closed the connection during the TLS handshake", by_peer=True)
    if not isinstance(cause, ssl.SSLCertVerificationError):
        if bundle and not _has_roots(bundle.path):
            return _unusable_bundle(cause, url, bundle)
        reason = (cause.reason or "unknown reason").replace("_", " ").lower()
        return CAUnreachable(f"no TLS with `{url}`: {reason}", hint=f"does `{host}` speak HTTPS at this port?")
    return CAUnreachable(
        f"the TLS certificate of `{url}` cannot be trusted: {cause.verify_message.rstrip('.')}",
        hint=_certificate_hint(cause.verify_code, host, bundle),
    )


def _certificate_hint(code: int, host: str | None, bundle: Bundle | None) -> str:
    match code:  # X509_V_ERR_* of OpenSSL (x509_vfy.h)
        case 9:
            return "check this host's clock with `date -u`: for it the certificate lies in the future"
        case 10:
            return "check this host's clock with `date -u`; if it is right, the CA's own certificate has run out"
        case 62 | 64:
            return f"the certificate is for other names than `{host}`: check the URL of the directory"
        case _ if bundle:
            return (
                f"`{bundle.path}`, named by `{bundle.setting}`, does not contain the root that signed this certificate"
            )
        case _:
            return "for a CA with a root of its own, name the file of that root as `ca_bundle`"


def _no_connection(cause: Exception, url: str) -> CAUnreachable:
    host = urlsplit(url).hostname
    if isinstance(cause, requests.exceptions.ProxyError):
        return ConnectionBroken(
            f"the proxy does not lead to `{url}`: {_reason(cause)}", hint="check `https_proxy` in the environment"
        )
    if _find(cause, socket.gaierror) or _find(cause, urllib3.exceptions.NameResolutionError):
        return ConnectionBroken(
            f"the name `{host}` cannot be resolved, so `{url}` cannot be reached",
            hint=f"`getent hosts {host}` shows whether this host can resolve names",
        )
    cut = _find(cause, urllib3.exceptions.ProtocolError) is not None
    hint = None if cut else f"is the address right, and may this host connect to `{host}`?"
    return ConnectionBroken(f"cannot reach `{url}`: {_reason(cause)}", hint=hint, by_peer=cut)


def _unusable_bundle(cause: Exception, url: str, bundle: Bundle | None) -> CAUnreachable:
    if bundle is None:
        return CAUnreachable(f"cannot reach `{url}`: {_reason(cause)}")
    return CAUnreachable(
        f"the file of trusted roots `{bundle.path}` cannot be used, so `{url}` cannot be asked",
        hint=f"let `{bundle.setting}` name a readable file of PEM certificates",
    )


def _has_roots(bundle: str) -> bool:
    try:
        ssl.create_default_context(cafile=bundle)
    except (OSError, ValueError):
        return False
    return True


def _reason(cause: Exception) -> str:
    for link in _links(cause):
        if isinstance(link, OSError) and not isinstance(link, requests.RequestException) and link.strerror:
            return link.strerror.lower()
    silent = isinstance(cause, requests.exceptions.ConnectTimeout)
    return "nobody answers at this address" if silent else "the connection was cut"


def _find(cause: BaseException, kind: type[BaseException]) -> BaseException | None:
    return next((link for link in _links(cause) if isinstance(link, kind)), None)


def _links(cause: BaseException) -> Iterator[BaseException]:
    """`cause` and what it came from: `requests` and `urllib3` put that into `reason`, `args` or `__context__`."""
    waiting, seen = [cause], set()
    while waiting:
        link = waiting.pop(0)
        if id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        inner = [getattr(link, "reason", None), link.__cause__, link.__context__, *link.args]
        waiting += [found for found in inner if isinstance(found, BaseException)]
