"""Answers that say no, as errors of ours with a hint: problem documents (RFC 8555 section 6.7), and pages instead of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from acmectl.ca.fields import Fields, is_web_page, printable, read_object
from acmectl.ca.patience import http_date, retry_after
from acmectl.ca.reading import read_problem
from acmectl.errors import (
    AccountDeactivated,
    AccountUnknown,
    CAError,
    CAProtocolError,
    CARefused,
    CAUnreachable,
    OrderNotReady,
    Problem,
    RateLimited,
)

if TYPE_CHECKING:
    from requests import Response

    from acmectl.ca.directory import Directory

_GONE = (404, 410)  # an expired order or authorization (Boulder), or a resource that was never there
_URL = re.compile(r"https?://[^\s\"'<>()]+")

_HINTS = {
    "accountDoesNotExist": "`acmectl account register` makes an account for this key, on a master; "
    "`acmectl account import` brings the master's account to this host",
    "badCSR": "the CA does not accept the certificate's key or names: try another `key` for this certificate",
    "badPublicKey": "the CA does not accept keys of this kind: an ECDSA P-256 key is accepted by all",
    "badSignatureAlgorithm": "the CA does not accept keys of this kind: an ECDSA P-256 key is accepted by all",
    "caa": "a CAA record of the domain forbids it: compare `issue`, `accounturi` and `validationmethods` there "
    "with this CA and account",
    "externalAccountRequired": "this CA needs External Account Binding: get a key identifier and an HMAC key on its web "
    "site, and give them to the configuration: `accounts: {NAME: {eab: {kid: ..., hmac_key_file: FILE}}}`",
    "invalidContact": "check `contact` in the configuration: the CA wants addresses whose domain receives mail",
    "unsupportedContact": "check `contact` in the configuration: CAs want e-mail addresses",
    "rejectedIdentifier": "take the refused name out of the configuration, or ask the CA why it issues nothing for it",
    "unsupportedIdentifier": "take the refused name out of the configuration: this CA does not do names of this kind",
}


def error_for(response: Response, *, doing: str, directory: Directory | None, now: datetime) -> CAError:
    """The error for an answer whose status is not 2xx.

    `doing` completes "the CA refused ...". A server error is CAUnreachable: what it says is about itself, not about us.
    """
    status = response.status_code
    fields = _problem_document(response)
    demanded = retry_after(response.headers, now)
    if status >= 500:
        return _server_error(response, fields, demanded)
    if fields is None:
        if status not in (*_GONE, 429):
            return _no_problem(response)
        fields = Fields({"detail": f"HTTP status {status}"}, str(response.url))
    problem = read_problem(fields, status=status)
    if _kind(problem) is RateLimited:
        hint: str | None = _rate_limit_hint(problem, demanded, http_date(response.headers.get("Date", "")) or now)
    else:
        hint = _hint(problem, response, fields, directory)
    return _kind(problem)(problem, doing=doing, hint=hint, retry_after=demanded)


def hint_of(kind: str) -> str | None:
    """What can be done about a problem of this type, where that does not depend on the answer that carried it."""
    return _HINTS.get(kind)


def is_bad_nonce(response: Response) -> bool:
    """Whether the CA wants the same request again, signed with another nonce (RFC 8555 section 6.5)."""
    if response.status_code not in (400, 403):  # RFC 8555 says 400
        return False
    fields = _problem_document(response)
    return fields is not None and read_problem(fields).type == "badNonce"


def _problem_document(response: Response) -> Fields | None:
    try:
        return read_object(response)
    except CAProtocolError:
        return None


def _server_error(response: Response, fields: Fields | None, demanded: timedelta | None) -> CAUnreachable:
    said = f": {read_problem(fields)}" if fields else ""
    return CAUnreachable(
        f"the CA has trouble of its own, `{response.url}` answers HTTP status {response.status_code}{said}",
        hint="try again later",
        retry_after=demanded,
    )


def _no_problem(response: Response) -> CAProtocolError:
    if response.is_redirect:
        target = printable(response.headers["Location"])
        return CAProtocolError(f"`{response.url}` redirects to `{target}`, which no ACME server does here")
    found = "a web page" if is_web_page(response) else "something else"
    return CAProtocolError(
        f"`{response.url}` answers HTTP status {response.status_code} with {found} instead of a problem document",
        hint="does a proxy or a firewall stand between this host and the CA?",
    )


def _kind(problem: Problem) -> type[CARefused]:
    if problem.status == 429:
        return RateLimited
    if _is_deactivated(problem):
        return AccountDeactivated
    by_type = {"accountDoesNotExist": AccountUnknown, "orderNotReady": OrderNotReady, "rateLimited": RateLimited}
    return by_type.get(problem.type, CARefused)


def _is_deactivated(problem: Problem) -> bool:
    """RFC 8555 section 7.3.6 gives it no type of its own; Boulder: `Account is not valid, has status "deactivated"`."""
    detail = problem.detail.lower()
    return problem.type == "unauthorized" and "account" in detail and "deactivated" in detail


def _hint(problem: Problem, response: Response, fields: Fields, directory: Directory | None) -> str | None:
    match problem.type:
        case "userActionRequired":
            return _terms_hint(response, fields, directory)
        case "invalidProfile":
            return _profile_hint(directory.profiles if directory else {})
        case "unauthorized" if _is_deactivated(problem):
            return (
                "the account was deactivated, for good: on the master `acmectl account deactivate` puts its files away and "
                "`acmectl account register` makes another; followers take that over by `acmectl account import FILE --replace`"
            )
        case kind:
            return _HINTS.get(kind)


def _rate_limit_hint(problem: Problem, demanded: timedelta | None, now: datetime) -> str:
    if demanded is not None:
        return f"wait until {now + demanded:%Y-%m-%d %H:%M:%S} UTC; asking earlier only makes it longer"
    if url := _URL.search(problem.detail):
        return f"a person must lift this: open `{url[0].rstrip('.,;')}`"
    return "the CA does not say when it will answer again: a person must find out why, then try again"


def _terms_hint(response: Response, fields: Fields, directory: Directory | None) -> str:
    url = (
        response.links.get("terms-of-service", {}).get("url")
        or (fields.optional_text("instance") if fields.has_url("instance") else None)
        or (directory.terms_of_service if directory else None)
    )
    return f"read and agree to `{printable(url)}`" if url else "the CA wants something of you: see its web site"


def _profile_hint(profiles: Mapping[str, str]) -> str:
    if not profiles:
        return "this CA offers no profiles: take `profile` out of the configuration"
    return f"set `profile` to one that this CA offers: {', '.join(f'`{name}`' for name in sorted(profiles))}"
