"""Requests about orders, authorizations, challenges and certificates (RFC 8555 sections 7.4 to 7.6, RFC 9773)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from acmectl.errors import Problem
from acmectl.model.names import Identifier
from acmectl.model.orders import AuthorizationStatus, OrderStatus
from acmectl.sandbox import documents, jws
from acmectl.sandbox.authority import Authority
from acmectl.sandbox.gate import Call
from acmectl.sandbox.objects import Authorization, Order
from acmectl.sandbox.ordering import Wish
from acmectl.sandbox.problems import not_found, refuse, rejected
from acmectl.sandbox.replies import Reply
from acmectl.sandbox.signing_requests import certificate_key
from acmectl.sandbox.urls import Urls

_RENEWAL_INFO_AGAIN = timedelta(hours=6)  # as Let's Encrypt asks


class Resources:
    """Answers requests about what an account has."""

    def __init__(self, authority: Authority, urls: Urls) -> None:
        self._authority = authority
        self._urls = urls

    def new_order(self, call: Call) -> Reply:
        """Open an order, or hand out the one that is open already: 201 in either case, as Boulder."""
        order, status = self._authority.ordering.new_order(call.owner, _wish(call.fields()))
        return self._order(order, 201, status=status)

    def new_authorization(self, call: Call) -> Reply:
        """A new authorization outside any order (RFC 8555 section 7.4.1), beside whatever is valid already."""
        if self._authority.state.rules.new_authz != "offered":
            raise not_found("Page not found")
        made = self._authority.ordering.new_authorization(call.owner, _name(call.fields().get("identifier")))
        reply = self._authorization(made)
        return replace(reply, status=201, headers={"Location": self._urls.authorization(made.id)})

    def order(self, call: Call, number: int) -> Reply:
        """Show an order."""
        return self._order(self._authority.issuing.find_order(call.owner, number), 200)

    def orders(self, call: Call, number: int) -> Reply:
        """The account's orders (RFC 8555 section 7.1.2.1): Pebble lists them, Boulder does not."""
        state = self._authority.state
        if not state.rules.lists_orders or number != call.owner.id:
            raise not_found("No such resource")
        with state.lock:
            urls = [self._urls.order(order.id) for order in state.store.orders.values() if order.account_id == number]
        return Reply({"orders": urls})

    def finalize(self, call: Call, number: int) -> Reply:
        """Finalize an order with a CSR."""
        csr = call.fields().get("csr")
        if not isinstance(csr, str):
            raise refuse("malformed", "finalize request lacks `csr`")
        return self._order(self._authority.issuing.finalize(call.owner, number, jws.decode(csr)), 200)

    def authorization(self, call: Call, number: int) -> Reply:
        """Show an authorization, or deactivate it."""
        if call.is_get:
            return self._authorization(self._authority.authorizing.find(call.owner, number))
        if call.fields().get("status") != AuthorizationStatus.DEACTIVATED.value:
            raise refuse("malformed", 'An authorization can only be updated to the status "deactivated"')
        return self._authorization(self._authority.authorizing.deactivate(call.owner, number))

    def challenge(self, call: Call, number: int, kind: str) -> Reply:
        """Show a challenge, or take its answer."""
        if call.is_get:
            parent, found = self._authority.authorizing.find_challenge(call.owner, number, kind)
        else:
            call.fields()
            parent, found = self._authority.answer(call.owner, number, kind)
        up = f'<{self._urls.authorization(parent.id)}>;rel="up"'
        with self._authority.state.lock:
            body = documents.challenge(parent, found, self._urls)
        return Reply(body, links=(up,), headers={"Location": self._urls.challenge(parent.id, found.type)})

    def certificate(self, call: Call, serial: str, chain: int = 0) -> Reply:
        """A certificate with one of its chains; the others are linked as alternates."""
        found = self._authority.issuing.certificate(call.owner, serial)
        if chain >= len(found.chains):
            raise not_found("Unknown issuance chain")
        others = [number for number in range(len(found.chains)) if number != chain]
        links = tuple(f'<{self._urls.certificate(serial, number)}>;rel="alternate"' for number in others)
        return Reply(found.chains[chain], content_type="application/pem-certificate-chain", links=links)

    def revoke(self, call: Call) -> Reply:
        """Revoke a certificate, signed by an account or by the certificate's own key."""
        fields = call.fields()
        encoded, reason = fields.get("certificate"), fields.get("reason", 0)
        if not isinstance(encoded, str) or not isinstance(reason, int) or isinstance(reason, bool):
            raise refuse("malformed", "revocation request lacks `certificate`, or its `reason` is no number")
        der = jws.decode(encoded)
        by_own_key = call.account is None
        if by_own_key and jws.public_numbers(certificate_key(der)) != jws.public_numbers(jws.public_key(call.jwk)):
            raise refuse("unauthorized", "JWK embedded in revocation request must be the same public key", 403)
        self._authority.issuing.revoke(der, reason, account=call.account, by_own_key=by_own_key)
        return Reply("", content_type="text/plain")

    def renewal_info(self, ari_id: str) -> Reply:
        """When to renew a certificate; asked without a signature (RFC 9773 section 4.1)."""
        window = self._authority.issuing.renewal_window(ari_id)
        suggested = {"start": documents.moment(window.start), "end": documents.moment(window.end)}
        explained = {"explanationURL": window.explanation_url} if window.explanation_url else {}
        return Reply({"suggestedWindow": suggested} | explained, retry_after=_RENEWAL_INFO_AGAIN)

    def _order(self, order: Order, code: int, *, status: OrderStatus | None = None) -> Reply:
        state = self._authority.state
        with state.lock:
            status = status or state.order_status(order, state.clock.now())
            body = documents.order(order, status, self._urls)
        in_work = status in {OrderStatus.PROCESSING, OrderStatus.PENDING} and code == 200
        return Reply(
            body,
            status=code,
            headers={"Location": self._urls.order(order.id)},
            retry_after=state.rules.poll_after if in_work else None,
        )

    def _authorization(self, authorization: Authorization) -> Reply:
        state = self._authority.state
        with state.lock:
            status = state.authorization_status(authorization, state.clock.now())
            body = documents.authorization(authorization, status, self._urls)
        return Reply(body, retry_after=state.rules.poll_after if status is AuthorizationStatus.PENDING else None)


def _wish(fields: dict[str, Any]) -> Wish:
    if "notBefore" in fields or "notAfter" in fields:
        raise refuse("malformed", "NotBefore and NotAfter are not supported")
    profile, replaces = fields.get("profile") or "", fields.get("replaces")
    if not isinstance(profile, str) or not (replaces is None or isinstance(replaces, str)):
        raise refuse("malformed", "profile and replaces must be strings")
    identifiers = fields.get("identifiers")
    if not isinstance(identifiers, list):
        raise refuse("malformed", "NewOrder request did not specify any identifiers")
    return Wish(tuple(_name(identifier) for identifier in identifiers), profile, replaces or None)


def _name(identifier: Any) -> str:
    """A DNS name or an address: which, is told by its form, and must be as the type says."""
    value = identifier.get("value") if isinstance(identifier, dict) else None
    if not isinstance(value, str):
        raise refuse("malformed", "an identifier must have a type and a value")
    kind, is_address = identifier.get("type"), Identifier(value).is_address
    if kind not in {"dns", "ip"}:
        raise refuse("unsupportedIdentifier", f"unsupported identifier: type {kind!r}, value {value!r}")
    if kind == "dns" and is_address:
        fault = Problem("malformed", "Domain name is an IP address", 400, identifier=value)
        raise rejected([fault])
    if kind == "ip" and not is_address:
        raise rejected([Problem("malformed", "IP address is invalid", 400, identifier=value)])
    return value
