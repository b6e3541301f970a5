"""Private keys as JSON Web Keys (RFC 7517, RFC 7518 section 6): how certbot and acmebot keep theirs.

Read with cryptography alone: josepy, which `acme` brings, takes garbage for a symmetric key, and belongs to the room `ca`.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from acmectl import keys
from acmectl.errors import KeyMaterialError

if TYPE_CHECKING:
    from acmectl.keys import PrivateKey

_RSA_MEMBERS = ("n", "e", "d", "p", "q", "dp", "dq", "qi")
_CURVES = {"P-256": "SECP256R1", "P-384": "SECP384R1", "P-521": "SECP521R1"}


def looks_like_jwk(content: bytes) -> bool:
    """Whether this is JSON rather than PEM."""
    return content.lstrip()[:1] == b"{"


def read_jwk(content: bytes, *, what: str) -> PrivateKey:
    """The private key in a JWK.

    acmebot leaves out `kty`, since its keys are RSA: what has a modulus is RSA. Raises KeyMaterialError, which names
    `what` and never quotes content.
    """
    members = _members(content, what)
    try:
        key = _ec(members) if members.get("kty", "EC" if "crv" in members else "RSA") == "EC" else _rsa(members)
    except (KeyError, AttributeError, TypeError, ValueError, binascii.Error):  # not chained: their words can quote it
        raise KeyMaterialError(f"{what} is no private JSON Web Key, or is damaged") from None
    return keys.from_pem(keys.to_pem(key), what=what)  # refuses sizes and curves that CAs do not take


def jwk_of(key: PrivateKey) -> dict[str, str]:
    """The private JWK of a key, for clients that want one."""
    from cryptography.hazmat.primitives.asymmetric import rsa

    numbers = key.private_numbers()
    if isinstance(key, rsa.RSAPrivateKey):
        rsa_numbers: Any = numbers
        public = rsa_numbers.public_numbers
        values = [public.n, public.e, rsa_numbers.d, rsa_numbers.p, rsa_numbers.q]
        values += [rsa_numbers.dmp1, rsa_numbers.dmq1, rsa_numbers.iqmp]
        return {"kty": "RSA"} | {name: _text(value) for name, value in zip(_RSA_MEMBERS, values, strict=True)}
    ec_numbers: Any = numbers
    size, point = (key.key_size + 7) // 8, ec_numbers.public_numbers
    coordinates = {"x": point.x, "y": point.y, "d": ec_numbers.private_value}
    return {"kty": "EC", "crv": f"P-{key.key_size}"} | {name: _text(value, size) for name, value in coordinates.items()}


def _members(content: bytes, what: str) -> Mapping[str, Any]:
    try:
        members = json.loads(content)
    except (ValueError, RecursionError):
        raise KeyMaterialError(f"{what} is no JSON, or is damaged") from None
    if not isinstance(members, dict):
        raise KeyMaterialError(f"{what} is no JSON Web Key")
    return members


def _rsa(members: Mapping[str, Any]) -> PrivateKey:
    from cryptography.hazmat.primitives.asymmetric import rsa

    n, e, d, p, q, dp, dq, qi = (_number(members[name]) for name in _RSA_MEMBERS)
    return rsa.RSAPrivateNumbers(p, q, d, dp, dq, qi, rsa.RSAPublicNumbers(e, n)).private_key()


def _ec(members: Mapping[str, Any]) -> PrivateKey:
    from cryptography.hazmat.primitives.asymmetric import ec

    curve = getattr(ec, _CURVES[members["crv"]])()
    x, y, d = (_number(members[name]) for name in ("x", "y", "d"))
    return ec.EllipticCurvePrivateNumbers(d, ec.EllipticCurvePublicNumbers(x, y, curve)).private_key()


def _number(text: str) -> int:
    padded = text + "=" * (-len(text) % 4)
    return int.from_bytes(base64.b64decode(padded.encode("ascii"), altchars=b"-_", validate=True), "big")


def _text(number: int, size: int | None = None) -> str:
    octets = number.to_bytes(size or (number.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode("ascii")
