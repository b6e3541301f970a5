"""Orders and authorizations (RFC 8555 sections 7.4 and 7.5): open, look at, wait for, give up.

An order is opened without a CSR, and never fetches its authorizations by itself: who waits for a hundred names looks at one order.
The waiting is done on a clock that nobody sets, as the CA's `Retry-After` asks, and ends with the last state that was seen.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import TypeVar

from acmectl.ca.patience import Polling
from acmectl.ca.purpose import Purpose
from acmectl.ca.reading import read_authorization, read_location, read_order
from acmectl.ca.session import Session
from acmectl.errors import CARefused, Problem
from acmectl.model.names import Identifier
from acmectl.model.orders import Authorization, AuthorizationStatus, Order, OrderStatus

log = logging.getLogger(__name__)

_Resource = TypeVar("_Resource", Order, Authorization)

_ORDER = Purpose("order", "to show the order", waits=True)
_AUTHORIZATION = Purpose("authorization", "to show the authorization", waits=True)
_DEACTIVATION = Purpose("deactivate", "to deactivate the authorization")
_NAMED = 5  # names in a message; more are counted


def new_order(
    session: Session,
    identifiers: Iterable[Identifier],
    *,
    profile: str | None,
    replaces: str | None = None,
    repeatable: bool = True,
) -> Order:
    """Open an order for exactly these identifiers, or get the one that the CA still has open for them (Boulder).

    `profile` is sent as it is (draft-ietf-acme-profiles); None sends none, which is something else than the default
    profile's name to a CA that reuses authorizations. `replaces` is the ARI identifier of a certificate (RFC 9773 section 5), sent
    where the CA has renewal information; an order that is refused because of it is sent once more without.

    Raises CARefused; its problem's subproblems, or only its detail, name the identifiers that are not wanted. RateLimited is
    not waited for. Sent again after a lost answer, if `repeatable`: the worst outcome is an order that nobody uses. Who counts orders
    sends each himself.
    """
    names = sorted(identifiers)
    if replaces is not None and "renewalInfo" in session.directory.endpoints:
        try:
            return _new_order(session, names, profile, replaces, repeatable=repeatable)
        except CARefused as refused:
            if not _is_about_replacement(refused.problem):
                raise
            log.info("the order is sent without `replaces`: %s", refused.problem)
    return _new_order(session, names, profile, None, repeatable=repeatable)


def _new_order(
    session: Session, names: Sequence[Identifier], profile: str | None, replaces: str | None, *, repeatable: bool
) -> Order:
    from acmectl.ca import messages

    response = session.post(
        session.directory.endpoint("newOrder"),
        messages.new_order(names, profile=profile, replaces=replaces),
        Purpose("newOrder", f"the new order for {listed(names)}", repeatable=repeatable),
    )
    url = read_location(response, "the order")
    session.look_later(url, response)
    return read_order(response, url)


def _is_about_replacement(problem: Problem) -> bool:
    """409 `alreadyReplaced` (RFC 9773 section 7.4), also while our own earlier order is open.

    Boulder: `Could not validate ARI 'replaces' field` with other types for a certificate of another account, or one it forgot.
    """
    return problem.type == "alreadyReplaced" or problem.status == 409 or "replace" in problem.detail.lower()


def new_authorization(session: Session, identifier: Identifier) -> Authorization:
    """A new authorization outside any order (newAuthz, RFC 8555 section 7.4.1); for no wildcard.

    Raises CAProtocolError where the directory does not have it, and CARefused where it has and nothing answers there.
    """
    from acmectl.ca import messages

    response = session.post(
        session.directory.endpoint("newAuthz"),
        messages.new_authorization(identifier),
        Purpose("newAuthz", f"a new authorization for {identifier}"),
    )
    url = read_location(response, "the authorization")
    session.look_later(url, response)
    return read_authorization(response, url)


def fetch_order(session: Session, url: str) -> Order:
    """The order as it is now. An expired one is a CARefused with status 404 (Boulder)."""
    response = session.post(url, None, _ORDER)
    session.look_later(url, response)
    return read_order(response, url)


def fetch_authorization(session: Session, url: str) -> Authorization:
    """The authorization as it is now. An expired one is a CARefused with status 404 (Boulder)."""
    response = session.post(url, None, _AUTHORIZATION)
    session.look_later(url, response)
    return read_authorization(response, url)


def deactivate_authorization(session: Session, url: str) -> Authorization:
    """Give an authorization up (RFC 8555 section 7.5.2); orders that stand on it turn invalid."""
    from acmectl.ca import messages

    return read_authorization(session.post(url, messages.deactivation(), _DEACTIVATION), url)


def wait_for_order(session: Session, url: str, *, while_in: frozenset[OrderStatus], timeout: timedelta) -> Order:
    """Look at the order until it is in none of the states `while_in`; after `timeout` the last state seen.

    It also returns early when the CA asks to be left alone for longer than is left.
    """
    return _wait(session, url, lambda: fetch_order(session, url), lambda order: order.status in while_in, timeout)


def wait_for_authorization(session: Session, url: str, *, timeout: timedelta) -> Authorization:
    """Look at the authorization while it is pending; after `timeout` the last state seen."""
    return _wait(
        session,
        url,
        lambda: fetch_authorization(session, url),
        lambda authorization: authorization.status is AuthorizationStatus.PENDING,
        timeout,
    )


def listed(identifiers: Iterable[Identifier]) -> str:
    """Names for a message: some, and how many more."""
    names = [identifier.value for identifier in identifiers]
    rest = len(names) - _NAMED
    return ", ".join(names) if rest <= 0 else f"{', '.join(names[:_NAMED])} and {rest} more"


def _wait(
    session: Session,
    url: str,
    fetch: Callable[[], _Resource],
    unfinished: Callable[[_Resource], bool],
    timeout: timedelta,
) -> _Resource:
    polling = Polling(session.clocks, timeout)
    if demanded := session.asked_to_wait(url):
        polling.wait(demanded)
    while True:
        resource = fetch()
        if not unfinished(resource) or not polling.wait(session.asked_to_wait(url)):
            return resource
