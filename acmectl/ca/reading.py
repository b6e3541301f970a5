"""Answers of a CA, read into our values.

`acme.messages` could decode them too, but an odd answer makes it return Nones (`{}` as an order), raise anything from TypeError to
AttributeError, or refuse a whole authorization for one challenge with a short token, a status `expired` or an error
about an identifier of a type that it does not know. A follower must read what a CA says of a name in all those cases.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from acmectl.ca.fields import Fields, is_url, read_object
from acmectl.errors import CAProtocolError, InvalidName, Problem
from acmectl.model.names import Identifier
from acmectl.model.orders import (
    Authorization,
    AuthorizationStatus,
    Challenge,
    ChallengeStatus,
    Order,
    OrderStatus,
)

if TYPE_CHECKING:
    from requests import Response

_ERROR_PREFIXES = ("urn:ietf:params:acme:error:", "urn:acme:error:")


def read_location(response: Response, what: str) -> str:
    """The URL of the resource that was just made (RFC 8555 sections 7.3 and 7.4: `Location`)."""
    location = response.headers.get("Location", "")
    if not is_url(location):
        raise CAProtocolError(f"the answer of `{response.url}` cannot be used: no `Location` says where {what} is")
    return location


def read_order(response: Response, url: str) -> Order:
    """The order in `response`, whose own URL is `url`."""
    fields = read_object(response)
    return Order(
        url=url,
        status=_order_status(fields),
        identifiers=frozenset(_identifier(f) for f in fields.objects("identifiers")),
        authorization_urls=fields.urls("authorizations"),
        finalize_url=fields.url("finalize"),
        certificate_url=fields.url("certificate") if fields.optional_text("certificate") else None,
        expires_at=fields.moment("expires"),
        profile=fields.optional_text("profile"),
        error=_error(fields),
    )


def read_authorization(response: Response, url: str) -> Authorization:
    """The authorization in `response`, whose own URL is `url`."""
    fields = read_object(response)
    identifier = _identifier(fields.object("identifier"))
    if fields.flag("wildcard") and not identifier.is_wildcard:
        identifier = Identifier(f"*.{identifier}")
    return Authorization(
        url=url,
        identifier=identifier,
        status=fields.status("status", AuthorizationStatus),
        expires_at=fields.moment("expires"),
        challenges=tuple(_challenge(f) for f in fields.objects("challenges")),
    )


def read_challenge(response: Response) -> Challenge:
    """The challenge in `response`."""
    return _challenge(read_object(response))


def read_problem(fields: Fields, *, status: int = 0) -> Problem:
    """A problem document (RFC 7807), read leniently: what is odd in it must not hide the rest."""
    kind, detail = (_lenient_text(fields, name) for name in ("type", "detail"))
    for prefix in _ERROR_PREFIXES:
        kind = kind.removeprefix(prefix)
    return Problem(
        type=kind or "about:blank",
        detail=detail or _lenient_text(fields, "title"),
        status=status,
        identifier=_problem_identifier(fields),
        subproblems=_subproblems(fields),
    )


def _order_status(fields: Fields) -> OrderStatus:
    # Pebble 2.4 derives the state of an order from its authorizations, and says `deactivated` after a deactivation.
    if fields.optional_text("status") in {"deactivated", "expired", "revoked"}:
        return OrderStatus.INVALID
    return fields.status("status", OrderStatus)


def _identifier(fields: Fields) -> Identifier:
    value = fields.text("value").lower().removesuffix(".")
    if fields.optional_text("type") == "ip":
        with suppress(InvalidName):  # then it is none of ours, as any unknown name
            return Identifier.parse(value)  # some CAs write addresses in another form than RFC 5952's
    return Identifier(value)


def _challenge(fields: Fields) -> Challenge:
    return Challenge(
        type=fields.text("type"),
        url=fields.url("url"),
        token=fields.token("token"),
        status=fields.status("status", ChallengeStatus),
        validated_at=fields.moment("validated"),
        error=_error(fields),
    )


def _error(fields: Fields) -> Problem | None:
    with suppress(CAProtocolError):
        error = fields.optional_object("error")
        return read_problem(error) if error.names else None
    return None


def _lenient_text(fields: Fields, name: str) -> str:
    with suppress(CAProtocolError):
        return fields.optional_text(name) or ""
    return ""


def _problem_identifier(fields: Fields) -> str | None:
    with suppress(CAProtocolError):
        return _lenient_text(fields.optional_object("identifier"), "value") or None
    return None


def _subproblems(fields: Fields) -> tuple[Problem, ...]:
    with suppress(CAProtocolError):
        return tuple(read_problem(f) for f in fields.objects("subproblems"))
    return ()
