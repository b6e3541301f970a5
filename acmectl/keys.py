"""Private keys, CSRs, and whether a key and a chain belong together.

Two hosts that share an account and a set of names can share an order, and the certificate that comes back can be the
other host's (Boulder, observed): a chain is never taken without comparing its key with ours. cryptography is imported inside the
functions, because a run that finds nothing due must not pay its 90 ms.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from acmectl.errors import KeyMaterialError
from acmectl.model.certificates import KeyType
from acmectl.model.names import Identifier

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec, rsa
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

    PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey

_CURVES = {"secp256r1": KeyType.ECDSA_P256, "secp384r1": KeyType.ECDSA_P384}
_RSA_SIZES = {2048: KeyType.RSA_2048, 3072: KeyType.RSA_3072, 4096: KeyType.RSA_4096}
_RSA_MINIMUM = 2048  # CA/Browser Forum Baseline Requirements, section 6.1.5


@dataclass(frozen=True, slots=True)
class LeafFacts:
    """What the first certificate of a chain says, and how long the chain is.

    `serial` is in lower-case hexadecimal, `fingerprint` the SHA-256 of the DER form, also in hexadecimal; `key_type` is
    None for a key that acmectl would not make; `length` counts the certificates of the chain, the leaf included.
    """

    names: frozenset[Identifier]
    key_type: KeyType | None
    serial: str
    fingerprint: str
    issuer: str
    not_before: datetime
    not_after: datetime
    length: int


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


def csr_der(key: PrivateKey, names: Iterable[Identifier]) -> bytes:
    """A CSR for exactly `names` as subject alternative names, in DER (RFC 8555 section 7.4).

    No common name, because certificates need not carry one, and no extended key usage (Google refuses clientAuth).
    """
    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import Encoding

    sans = x509.SubjectAlternativeName([general_name(name) for name in sorted(set(names))])
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return builder.add_extension(sans, critical=False).sign(key, SHA256()).public_bytes(Encoding.DER)


def read_chain(pem: bytes, *, what: str = "the certificate chain") -> LeafFacts:
    """What the leaf of a chain in PEM says. Raises KeyMaterialError, which names `what`."""
    from cryptography.hazmat.primitives.hashes import SHA256

    leaf, *rest = _certificates(pem, what)
    try:
        return LeafFacts(
            names=_names(leaf),
            key_type=key_type_of(leaf.public_key()),
            serial=f"{leaf.serial_number:x}",
            fingerprint=leaf.fingerprint(SHA256()).hex(),
            issuer=leaf.issuer.rfc4514_string(),
            not_before=leaf.not_valid_before_utc,
            not_after=leaf.not_valid_after_utc,
            length=1 + len(rest),
        )
    except _unreadable() as error:
        raise KeyMaterialError(f"{what} has a leaf that cannot be read: {error}") from error


def split_chain(pem: bytes, *, what: str = "the certificate chain") -> tuple[bytes, ...]:
    """The certificates of a chain, each in PEM of its own, and nothing else that came with them.

    RFC 8555 section 7.4.2 warns of answers that carry more than certificates, such as a key of the CA's choice that a
    server would load with them. Raises KeyMaterialError.
    """
    from cryptography.hazmat.primitives.serialization import Encoding

    return tuple(certificate.public_bytes(Encoding.PEM) for certificate in _certificates(pem, what))


def matches(key: PrivateKey, chain_pem: bytes) -> bool:
    """Whether the leaf of the chain certifies this key. Raises KeyMaterialError for a chain that cannot be read."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    leaf = _certificates(chain_pem, "the certificate chain")[0]
    try:
        certified = leaf.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except _unreadable():
        return False
    return certified == key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def covers(leaf: LeafFacts, names: Iterable[Identifier]) -> bool:
    """Whether the certificate is good for every one of `names`, by the name itself or a wildcard above it."""
    return all(name in leaf.names or any(known.covers(name) for known in leaf.names) for name in names)


def _certificates(pem: bytes, what: str) -> list[x509.Certificate]:
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise KeyMaterialError(f"{what} holds no certificate in PEM form, or is damaged") from error


def _names(leaf: x509.Certificate) -> frozenset[Identifier]:
    from cryptography import x509

    try:
        sans = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return frozenset()
    names = {Identifier(name.lower()) for name in sans.get_values_for_type(x509.DNSName)}
    addresses = {Identifier(str(address)) for address in sans.get_values_for_type(x509.IPAddress)}
    return frozenset({name for name in names if not name.is_address} | addresses)  # an address as DNSName: RFC 6125 B.2


def general_name(name: Identifier) -> x509.GeneralName:
    """How a name stands among a certificate's alternative names (RFC 5280 section 4.2.1.6, RFC 8738 section 3)."""
    from cryptography import x509

    if not name.is_address:
        return x509.DNSName(name.value)
    import ipaddress

    return x509.IPAddress(ipaddress.ip_address(name.value))


def _unreadable() -> tuple[type[Exception], ...]:
    """What cryptography raises, late, for fields that it cannot read."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm

    return (ValueError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.UnsupportedGeneralNameType)
