"""Who speaks: every POST is a JWS with a fresh nonce, for this URL, by a key or an account (RFC 8555 sections 6.2 to 6.5)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from acmectl.sandbox import jws
from acmectl.sandbox.objects import Account, Jwk
from acmectl.sandbox.problems import Refused, refuse, unauthorized

if TYPE_CHECKING:
    from acmectl.sandbox.authority import Authority
    from acmectl.sandbox.nonces import Nonces
    from acmectl.sandbox.urls import Urls

_CONTENT_TYPE = "application/jose+json"
_BY_KEY = frozenset({"newAccount", "revokeCert"})  # the others are signed by an account
_BY_ACCOUNT_TOO = frozenset({"revokeCert"})
_ACCOUNT_NUMBER = re.compile(r"\d{1,18}\Z")


@dataclass(frozen=True, slots=True)
class Call:
    """A request whose signature is good. `account` is None where the key speaks for itself."""

    account: Account | None
    jwk: Jwk
    payload: bytes
    url: str

    @property
    def is_get(self) -> bool:
        """POST-as-GET (RFC 8555 section 6.3)."""
        return not self.payload

    @property
    def owner(self) -> Account:
        """The account, where the gate has seen to it that there is one."""
        if self.account is None:
            raise unauthorized("no account")
        return self.account

    def fields(self) -> dict[str, Any]:
        """The payload as a JSON object."""
        return jws.load_object(self.payload, "request payload")


class Gate:
    """Lets requests in, or raises Refused."""

    def __init__(self, authority: Authority, nonces: Nonces, urls: Urls) -> None:
        self._authority = authority
        self._nonces = nonces
        self._urls = urls

    def open(self, kind: str, body: bytes, content_type: str, url: str) -> Call:
        """Check one POST of `kind` to `url`."""
        if content_type.partition(";")[0].strip().lower() != _CONTENT_TYPE:
            raise refuse("malformed", f"Invalid Content-Type header on POST; must be {_CONTENT_TYPE}", 415)
        signed = jws.parse(body)
        account, jwk = self._speaker(kind, signed.header)
        jws.verify(signed, jwk)
        self._check_nonce(signed.header.get("nonce"))
        if signed.header.get("url") != url:
            raise unauthorized(
                f'JWS header parameter "url" incorrect. Expected "{url}" got "{signed.header.get("url")}"'
            )
        return Call(account, jwk, signed.payload, url)

    def _speaker(self, kind: str, header: Mapping[str, Any]) -> tuple[Account | None, Jwk]:
        kid, jwk = header.get("kid"), header.get("jwk")
        if (kid is None) == (jwk is None):
            raise refuse("malformed", "JWS header must have exactly one of jwk and kid")
        if kid is None:
            if kind not in _BY_KEY:
                raise refuse("malformed", "No Key ID in JWS header")
            return None, jws.canonical(jwk)
        if kind in _BY_KEY and kind not in _BY_ACCOUNT_TOO:
            raise refuse("malformed", "No embedded JWK in JWS header")
        account = self._account(kid)
        return account, account.jwk

    def _account(self, kid: object) -> Account:
        prefix = self._urls.account("")
        number = kid.removeprefix(prefix) if isinstance(kid, str) and kid.startswith(prefix) else ""
        if not _ACCOUNT_NUMBER.match(number):
            raise refuse("malformed", f"KeyID header contained an invalid account URL: {kid!r}")
        return self._authority.accounts.by_number(int(number))

    def _check_nonce(self, nonce: object) -> None:
        if not isinstance(nonce, str):
            raise _bad_nonce("JWS has no anti-replay nonce")
        state = self._authority.state
        if not self._nonces.use(nonce) or state.happens(state.rules.nonce_reject_percent):
            raise _bad_nonce("JWS has an invalid anti-replay nonce")


def _bad_nonce(detail: str) -> Refused:
    return refuse("badNonce", detail)
