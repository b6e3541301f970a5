"""The account's private key as JOSE wants it: a JWK, the one algorithm that fits it, and its thumbprint.

The key comes from `cryptography`, never from bytes: `josepy.JWK.load` takes what it cannot read for a symmetric key, and
a CA would be told that our password file is a key. The algorithm must match the curve (RFC 7518 section 3.4).
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import Any

from acme import jws
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from josepy.errors import DeserializationError
from josepy.json_util import decode_b64jose, encode_b64jose
from josepy.jwa import ES256, ES384, HS256, RS256, JWASignature
from josepy.jwk import JWK, JWKEC, JWKRSA, JWKOct

from acmectl.errors import KeyMaterialError

_ALGORITHMS = {"secp256r1": ES256, "secp384r1": ES384}
_LEAST_RSA_BITS = 2048


@dataclass(frozen=True, slots=True)
class AccountKey:
    """A key that signs requests; its repr shows nothing of it."""

    jwk: JWK = field(repr=False)
    algorithm: JWASignature
    thumbprint: str

    @classmethod
    def wrap(cls, key: object) -> AccountKey:
        """`key` of `cryptography`, ready to sign; raises KeyMaterialError for kinds that CAs do not take."""
        jwk, algorithm = _wrapped(key)
        digest = base64.urlsafe_b64encode(jwk.thumbprint()).rstrip(b"=").decode("ascii")
        return cls(jwk, algorithm, digest)

    def sign(self, payload: bytes, *, nonce: str, url: str, account_url: str | None) -> str:
        """The JWS (RFC 8555 section 6.2) as JSON; without `account_url` it carries the public key instead."""
        signed = jws.JWS.sign(payload, self.jwk, self.algorithm, nonce=decode_b64jose(nonce), url=url, kid=account_url)
        return str(signed.json_dumps())

    def bound(self, *, kid: str, hmac_key: bytes, url: str) -> dict[str, Any]:
        """The External Account Binding of this key (RFC 8555 section 7.3.4), sent to `url`: our public key, signed with the CA's."""
        payload = json.dumps(self.public()).encode("ascii")
        return _members(jws.JWS.sign(payload, JWKOct(key=hmac_key), HS256, nonce=None, url=url, kid=kid))

    def takes_over_from(self, old: AccountKey, *, account_url: str, url: str) -> dict[str, Any]:
        """The inner JWS of a key change (RFC 8555 section 7.3.5), sent to `url`: this key says that it wants to be the account's."""
        payload = json.dumps({"account": account_url, "oldKey": old.public()}).encode("ascii")
        return _members(jws.JWS.sign(payload, self.jwk, self.algorithm, nonce=None, url=url))

    def public(self) -> dict[str, Any]:
        """The public key as a JWK."""
        return dict(json.loads(self.jwk.public_key().json_dumps()))


def _members(signed: jws.JWS) -> dict[str, Any]:
    return dict(json.loads(signed.json_dumps()))


def is_nonce(text: str) -> bool:
    """Whether `text` is base64url as RFC 8555 section 6.5.1 wants it; anything else must be ignored."""
    try:
        return bool(text) and encode_b64jose(decode_b64jose(text)) == text
    except DeserializationError:
        return False


def _wrapped(key: object) -> tuple[JWK, JWASignature]:
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in _ALGORITHMS:
        return JWKEC(key=key), _ALGORITHMS[key.curve.name]
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size >= _LEAST_RSA_BITS:
        return JWKRSA(key=key), RS256
    raise KeyMaterialError(
        "the account key is of a kind that cannot sign ACME requests",
        hint="use an EC key (P-256 or P-384) or an RSA key of at least 2048 bits",
    )
