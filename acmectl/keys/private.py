"""Private keys: made, read and written, and how people recognise them (thumbprint of a JWK, pin)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from acmectl.errors import KeyMaterialError
from acmectl.model.certificates import KeyType

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec, rsa
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

    PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey

_CURVES = {"secp256r1": KeyType.ECDSA_P256, "secp384r1": KeyType.ECDSA_P384}
_RSA_SIZES = {2048: KeyType.RSA_2048, 3072: KeyType.RSA_3072, 4096: KeyType.RSA_4096}
_RSA_MINIMUM = 2048  # CA/Browser Forum Baseline Requirements, section 6.1.5


def generate(key_type: KeyType) -> PrivateKey:
    """A new private key."""
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    match key_type:
        case KeyType.ECDSA_P256:
            return ec.generate_private_key(ec.SECP256R1())
        case KeyType.ECDSA_P384:
            return ec.generate_private_key(ec.SECP384R1())
        case KeyType.RSA_2048 | KeyType.RSA_3072 | KeyType.RSA_4096:
            size = next(size for size, known in _RSA_SIZES.items() if known is key_type)
            return rsa.generate_private_key(public_exponent=65537, key_size=size)


def to_pem(key: PrivateKey) -> bytes:
    """The key as unencrypted PKCS #8 in PEM, which every server reads."""
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def from_pem(pem: bytes, *, what: str) -> PrivateKey:
    """The private key in `pem` (PKCS #8, PKCS #1 or SEC 1).

    Raises KeyMaterialError, which names `what` (such as "the key of the account `default`") and never quotes content.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    if b"PUBLIC KEY-----" in pem or b"CERTIFICATE-----" in pem:
        raise KeyMaterialError(f"{what} holds no private key alone", hint="give the file of the private key")
    try:
        key = load_pem_private_key(pem, password=None)
    except TypeError:  # how cryptography says that a password is needed
        raise KeyMaterialError(
            f"{what} is encrypted", hint="remove its pass phrase: `openssl pkey -in FILE -out NEW`"
        ) from None
    except (ValueError, UnsupportedAlgorithm):  # not chained: their words can quote the content
        raise KeyMaterialError(f"{what} is no private key in PEM form, or is damaged") from None
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size < _RSA_MINIMUM:
        raise KeyMaterialError(f"{what} is an RSA key of {key.key_size} bits; CAs want {_RSA_MINIMUM} or more")
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name not in {*_CURVES, "secp521r1"}:
        raise KeyMaterialError(f"{what} is on the curve {key.curve.name}, which CAs do not take")
    if isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        return key
    kind = type(key).__name__.removesuffix("PrivateKey").lstrip("_")
    raise KeyMaterialError(f"{what} is of the kind {kind}, which cannot be used", hint="use an ECDSA or an RSA key")


def key_type_of(key: PrivateKey | PublicKeyTypes) -> KeyType | None:
    """The type of a private or public key, None for one that acmectl would not make itself."""
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    if isinstance(key, ec.EllipticCurvePrivateKey | ec.EllipticCurvePublicKey):
        return _CURVES.get(key.curve.name)
    if isinstance(key, rsa.RSAPrivateKey | rsa.RSAPublicKey):
        return _RSA_SIZES.get(key.key_size)
    return None


def pin(key: PrivateKey | PublicKeyTypes) -> str:
    """Base64 of the SHA-256 of the SubjectPublicKeyInfo (RFC 7469 section 2.4): what pins, and TLSA records, are about."""
    import base64
    import hashlib

    from cryptography.hazmat.primitives.asymmetric import ec, rsa
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    public = key.public_key() if isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) else key
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(der).digest()).decode("ascii")


def thumbprint(key: PrivateKey | PublicKey) -> str:
    """The JWK thumbprint (RFC 7638, SHA-256, base64url): how an account key is recognised by people and CAs."""
    import hashlib
    import json

    canonical = json.dumps(_jwk(key), sort_keys=True, separators=(",", ":")).encode("ascii")
    return _base64url(hashlib.sha256(canonical).digest())


def _jwk(key: PrivateKey | PublicKey) -> dict[str, str]:
    """The required members of the public JWK (RFC 7638 section 3.2)."""
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    public = key.public_key() if isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) else key
    if isinstance(public, rsa.RSAPublicKey):
        numbers = public.public_numbers()
        return {"e": _base64url_int(numbers.e), "kty": "RSA", "n": _base64url_int(numbers.n)}
    point, size = public.public_numbers(), (public.key_size + 7) // 8
    return {
        "crv": f"P-{key.key_size}",
        "kty": "EC",
        "x": _base64url(point.x.to_bytes(size, "big")),
        "y": _base64url(point.y.to_bytes(size, "big")),
    }


def _base64url_int(number: int) -> str:
    return _base64url(number.to_bytes((number.bit_length() + 7) // 8, "big"))


def _base64url(content: bytes) -> str:
    import base64

    return base64.urlsafe_b64encode(content).rstrip(b"=").decode("ascii")
