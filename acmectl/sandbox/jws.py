"""JWS as RFC 8555 section 6.2 narrows it, verified with cryptography alone: an implementation independent of our client's."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from acmectl.errors import Problem
from acmectl.sandbox.objects import Jwk
from acmectl.sandbox.problems import Refused, refuse

_BASE64URL = re.compile(r"[A-Za-z0-9_-]*\Z")
_CURVES: Mapping[str, tuple[ec.EllipticCurve, str, hashes.HashAlgorithm]] = {
    "P-256": (ec.SECP256R1(), "ES256", hashes.SHA256()),
    "P-384": (ec.SECP384R1(), "ES384", hashes.SHA384()),
    "P-521": (ec.SECP521R1(), "ES512", hashes.SHA512()),
}
_ALGORITHMS = ("RS256", "ES256", "ES384", "ES512")
_MEMBERS = {"EC": ("crv", "kty", "x", "y"), "RSA": ("e", "kty", "n")}  # RFC 7638 section 3.2, in its order


@dataclass(frozen=True, slots=True)
class Signed:
    """A JWS that was parsed and not yet verified."""

    header: Mapping[str, Any]
    payload: bytes
    signature: bytes
    signing_input: bytes


def parse(body: bytes | Mapping[str, Any]) -> Signed:
    """The parts of a flattened JWS; raises `malformed`."""
    jws = load_object(body, "JWS") if isinstance(body, bytes) else body
    if "header" in jws or "signatures" in jws:
        raise refuse("malformed", "JWS must have one signature and no unprotected header (RFC 8555 section 6.2)")
    parts = [jws.get(part) for part in ("protected", "payload", "signature")]
    if not all(isinstance(part, str) for part in parts):
        raise refuse("malformed", "JWS lacks `protected`, `payload` or `signature`")
    protected, payload, signature = (str(part) for part in parts)
    return Signed(
        header=load_object(decode(protected), "JWS protected header"),
        payload=decode(payload),
        signature=decode(signature),
        signing_input=f"{protected}.{payload}".encode(),
    )


def load_object(text: bytes, what: str) -> dict[str, Any]:
    """A JSON object; raises `malformed` for anything else, however deeply nested."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise refuse("malformed", f"{what} is not JSON") from None
    if not isinstance(value, dict):
        raise refuse("malformed", f"{what} is not a JSON object")
    return value


def decode(text: str) -> bytes:
    """Base64url without padding; raises `malformed`."""
    if not _BASE64URL.match(text):
        raise refuse("malformed", "not base64url without padding")
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (ValueError, binascii.Error):
        raise refuse("malformed", "not base64url without padding") from None


def encode(data: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def canonical(value: Any) -> Jwk:
    """A public key as JWK with its required members only; raises `malformed` or `badPublicKey`."""
    if not isinstance(value, dict) or value.get("kty") not in _MEMBERS:
        raise refuse("badPublicKey", "jwk is not an EC or RSA key")
    members = {name: value.get(name) for name in _MEMBERS[value["kty"]]}
    if not all(isinstance(member, str) for member in members.values()):
        raise refuse("malformed", "jwk lacks a member")
    jwk = {name: str(member) for name, member in members.items()}
    public_key(jwk)
    return jwk


def thumbprint(jwk: Jwk) -> str:
    """RFC 7638, SHA-256, base64url."""
    text = json.dumps({name: jwk[name] for name in _MEMBERS[jwk["kty"]]}, separators=(",", ":"))
    return encode(hashlib.sha256(text.encode()).digest())


def public_key(jwk: Jwk) -> ec.EllipticCurvePublicKey | rsa.RSAPublicKey:
    """The key of a canonical JWK; raises `badPublicKey`."""
    try:
        if jwk["kty"] == "RSA":
            return _rsa(_integer(jwk["e"]), _integer(jwk["n"]))
        curve = _CURVES[jwk["crv"]][0]
        return ec.EllipticCurvePublicNumbers(_integer(jwk["x"]), _integer(jwk["y"]), curve).public_key()
    except KeyError:
        raise refuse("badPublicKey", f"ECDSA curve {jwk['crv']} not allowed") from None
    except ValueError as cause:
        raise refuse("badPublicKey", f"invalid public key: {cause}") from cause


def public_numbers(key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey) -> object:
    """What two keys are compared by."""
    return key.public_numbers()


def verify(signed: Signed, jwk: Jwk) -> None:
    """Check the signature; raises `badSignatureAlgorithm`, or `malformed` as Boulder does."""
    key = public_key(jwk)
    expected = "RS256" if jwk["kty"] == "RSA" else _CURVES[jwk["crv"]][1]
    if signed.header.get("alg") != expected:
        raise _bad_algorithm(signed.header.get("alg"), expected)
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signed.signature, signed.signing_input, padding.PKCS1v15(), hashes.SHA256())
        else:
            _verify_ec(key, signed, _CURVES[jwk["crv"]][2])
    except InvalidSignature:
        raise refuse("malformed", "JWS verification error") from None


def verify_mac(signed: Signed, key: bytes) -> bool:
    """Whether an External Account Binding is signed with HS256 and `key` (RFC 8555 section 7.3.4)."""
    digest = hmac.digest(key, signed.signing_input, "sha256")
    return signed.header.get("alg") == "HS256" and hmac.compare_digest(digest, signed.signature)


def _verify_ec(key: ec.EllipticCurvePublicKey, signed: Signed, algorithm: hashes.HashAlgorithm) -> None:
    """RFC 7518 section 3.4: the signature is R and S, each as long as the curve's order."""
    size = (key.curve.key_size + 7) // 8
    if len(signed.signature) != 2 * size:
        raise InvalidSignature
    r, s = (int.from_bytes(half, "big") for half in (signed.signature[:size], signed.signature[size:]))
    key.verify(encode_dss_signature(r, s), signed.signing_input, ec.ECDSA(algorithm))


def _rsa(exponent: int, modulus: int) -> rsa.RSAPublicKey:
    if not 2048 <= modulus.bit_length() <= 4096:
        raise ValueError(f"key size not supported: {modulus.bit_length()}")
    return rsa.RSAPublicNumbers(exponent, modulus).public_key()


def _integer(text: str) -> int:
    return int.from_bytes(decode(text), "big")


def _bad_algorithm(found: object, expected: str) -> Refused:
    allowed = f"expected {expected} for this key" if found in _ALGORITHMS else f"not one of {', '.join(_ALGORITHMS)}"
    problem = Problem(
        "badSignatureAlgorithm", f"JWS signature header has unsupported algorithm {found!r}: {allowed}", 400
    )
    return Refused(problem, extra={"algorithms": list(_ALGORITHMS)})
