"""Account requests: newAccount with External Account Binding, updates, keyChange (RFC 8555 section 7.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from acmectl.sandbox import documents, jws
from acmectl.sandbox.accounts import refuse_deactivated
from acmectl.sandbox.authority import Authority
from acmectl.sandbox.gate import Call
from acmectl.sandbox.objects import Account, Jwk
from acmectl.sandbox.problems import Refused, refuse, unauthorized
from acmectl.sandbox.replies import Reply
from acmectl.sandbox.urls import Urls


class Registration:
    """Answers requests about accounts. `external_accounts` maps key identifiers to HMAC keys; empty: none is needed."""

    def __init__(self, authority: Authority, urls: Urls, external_accounts: Mapping[str, bytes]) -> None:
        self._authority = authority
        self._urls = urls
        self._external_accounts = external_accounts

    def new_account(self, call: Call) -> Reply:
        """Find the key's account, or register one."""
        fields, thumbprint = call.fields(), jws.thumbprint(call.jwk)
        found = self._authority.accounts.by_key(thumbprint)
        if found is not None:
            refuse_deactivated(found)
            return self._reply(found, 200)
        if fields.get("onlyReturnExisting") is True:
            raise refuse("accountDoesNotExist", "No account exists with the provided key")
        if self._external_accounts:
            self._check_binding(fields.get("externalAccountBinding"), call)
        created = self._authority.accounts.register(
            call.jwk,
            thumbprint,
            contacts=_contacts(fields.get("contact", [])),
            terms_agreed=fields.get("termsOfServiceAgreed") is True,
        )
        return self._reply(created, 201)

    def account(self, call: Call, number: int) -> Reply:
        """Show an account, change its contacts, or deactivate it."""
        if call.owner.id != number:
            raise unauthorized("Request signing key did not match account key")
        if call.is_get:
            return self._reply(call.owner, 200)
        fields = call.fields()
        status = fields.get("status", "valid")
        if status == "deactivated":
            self._authority.accounts.deactivate(call.owner)
        elif status != "valid":
            raise refuse("malformed", f"Invalid value {status!r} provided for status field")
        elif "contact" in fields:
            self._authority.accounts.change_contacts(call.owner, _contacts(fields["contact"]))
        return self._reply(call.owner, 200)

    def key_change(self, call: Call) -> Reply:
        """Exchange the account's key: the inner JWS is signed by the new one, the outer by the old one."""
        inner = jws.parse(call.payload)
        new = jws.canonical(inner.header.get("jwk"))
        jws.verify(inner, new)
        if inner.header.get("url") != call.url or "nonce" in inner.header:
            raise refuse("malformed", "inner JWS must repeat the outer JWS's url, and have no nonce")
        wish = jws.load_object(inner.payload, "key-change payload")
        if wish.get("account") != self._urls.account(call.owner.id):
            raise refuse("malformed", "Rollover JWS account does not match the outer JWS's account")
        if jws.canonical(wish.get("oldKey")) != call.jwk:
            raise refuse("malformed", "Inner JWS does not contain old key field matching current account key")
        self._rekey(call.owner, new)
        return self._reply(call.owner, 200)

    def _rekey(self, account: Account, jwk: Jwk) -> None:
        holder = self._authority.accounts.rekey(account, jwk, jws.thumbprint(jwk))
        if holder is not None:
            conflict = refuse("conflict", "New key is already in use for a different account", 409)
            raise Refused(conflict.problem, headers={"Location": self._urls.account(holder.id)})

    def _check_binding(self, binding: object, call: Call) -> None:
        """RFC 8555 section 7.3.4."""
        if not isinstance(binding, dict):
            raise refuse(
                "externalAccountRequired", "this sandbox was started to require an external account binding", 403
            )
        signed = jws.parse(binding)
        key = self._external_accounts.get(str(signed.header.get("kid")))
        if key is None or not jws.verify_mac(signed, key):
            raise unauthorized("external account binding: unknown key identifier, or wrong key")
        if signed.header.get("url") != call.url or "nonce" in signed.header:
            raise refuse("malformed", "external account binding must repeat the outer JWS's url, and have no nonce")
        if jws.canonical(jws.load_object(signed.payload, "external account binding")) != call.jwk:
            raise refuse("malformed", "external account binding is for another key")

    def _reply(self, account: Account, status: int) -> Reply:
        body = documents.account(account, self._urls, self._authority.state.rules)
        terms = f'<{self._urls.terms}>;rel="terms-of-service"'
        return Reply(body, status=status, headers={"Location": self._urls.account(account.id)}, links=(terms,))


def _contacts(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(contact, str) for contact in value):
        raise refuse("malformed", "contact must be a list of strings")
    return tuple(value)
