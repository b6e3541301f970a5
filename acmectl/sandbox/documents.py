"""The JSON documents of RFC 8555 section 7.1, as Boulder writes them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from acmectl.model.orders import AuthorizationStatus, OrderStatus
from acmectl.sandbox.objects import Account, Authorization, Challenge, Order
from acmectl.sandbox.problems import document
from acmectl.sandbox.rules import Rules
from acmectl.sandbox.urls import DIRECTORY_PATHS, NEW_AUTHZ_PATH, Urls

_PROFILES = {
    "classic": "the default: 7-day orders, authorizations reused for 30 days",
    "tlsserver": "8-hour orders, authorizations reused for 7 hours, no common name",
    "shortlived": "as `tlsserver`, for certificates of 160 hours",
}


def moment(when: datetime) -> str:
    """RFC 3339 in UTC, whole seconds."""
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


def directory(urls: Urls, rules: Rules, *, needs_external_account: bool) -> dict[str, Any]:
    """The directory, with Let's Encrypt's profiles where the rules have them."""
    meta: dict[str, Any] = {"termsOfService": urls.terms, "website": urls.base}
    if rules.has_profiles:
        meta["profiles"] = {name: _PROFILES[name] for name in rules.profile_names}
    if needs_external_account:
        meta["externalAccountRequired"] = True
    paths = DIRECTORY_PATHS | ({"newAuthz": NEW_AUTHZ_PATH} if rules.new_authz else {})
    return {name: urls.base + path for name, path in paths.items()} | {"meta": meta}


def account(found: Account, urls: Urls, rules: Rules) -> dict[str, Any]:
    """An account; the list of its orders is Pebble's, Boulder has none."""
    shown: dict[str, Any] = {"key": dict(found.jwk), "status": found.status, "contact": list(found.contacts)}
    if rules.lists_orders:
        shown["orders"] = f"{urls.account(found.id)}/orders"
    return shown


def order(found: Order, status: OrderStatus, urls: Urls) -> dict[str, Any]:
    """An order."""
    shown: dict[str, Any] = {
        "status": status.value,
        "expires": moment(found.expires_at),
        "identifiers": [{"type": name.type, "value": name.value} for name in sorted(found.names)],
        # In no useful order, as with Boulder: clients must match by identifier.
        "authorizations": [urls.authorization(number) for number in reversed(found.authorization_ids)],
        "finalize": urls.finalize(found.id),
    }
    if found.profile:
        shown["profile"] = found.profile
    if found.replaces:
        shown["replaces"] = found.replaces
    if found.error is not None:
        shown["error"] = document(found.error)
    if status is OrderStatus.VALID and found.serial:
        shown["certificate"] = urls.certificate(found.serial)
    return shown


def authorization(found: Authorization, status: AuthorizationStatus, urls: Urls) -> dict[str, Any]:
    """An authorization: the base name, and `wildcard` beside it (RFC 8555 section 7.1.4)."""
    shown: dict[str, Any] = {
        "identifier": {"type": found.identifier.type, "value": found.identifier.base},
        "status": status.value,
        "expires": moment(found.expires_at),
        "challenges": [challenge(found, each, urls) for each in found.challenges],
    }
    if found.identifier.is_wildcard:
        shown["wildcard"] = True
    return shown


def challenge(parent: Authorization, found: Challenge, urls: Urls) -> dict[str, Any]:
    """One challenge."""
    shown: dict[str, Any] = {
        "type": found.type,
        "url": urls.challenge(parent.id, found.type),
        "status": found.status.value,
        "token": found.token,
    }
    if found.validated_at is not None:
        shown["validated"] = moment(found.validated_at)
    if found.error is not None:
        shown["error"] = document(found.error)
    return shown
