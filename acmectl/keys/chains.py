"""Certificate chains in PEM: what their leaf says, and whether it certifies a key."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from acmectl.errors import KeyMaterialError
from acmectl.keys.private import key_type_of, pin
from acmectl.model.certificates import KeyType
from acmectl.model.names import Identifier

if TYPE_CHECKING:
    from cryptography import x509

    from acmectl.keys.private import PrivateKey


@dataclass(frozen=True, slots=True)
class LeafFacts:
    """What the first certificate of a chain says, and how long the chain is.

    `serial` is in lower-case hexadecimal, `fingerprint` the SHA-256 of the DER form, also in hexadecimal; `key_type` is
    None for a key that acmectl would not make, `spki` the key's pin; `length` counts the certificates of the chain, the leaf included.
    """

    names: frozenset[Identifier]
    key_type: KeyType | None
    spki: str
    serial: str
    fingerprint: str
    subject: str
    issuer: str
    not_before: datetime
    not_after: datetime
    length: int


def read_chain(pem: bytes, *, what: str = "the certificate chain") -> LeafFacts:
    """What the leaf of a chain in PEM says. Raises KeyMaterialError, which names `what`."""
    from cryptography.hazmat.primitives.hashes import SHA256

    leaf, *rest = _certificates(pem, what)
    try:
        return LeafFacts(
            names=_names(leaf),
            key_type=key_type_of(leaf.public_key()),
            spki=pin(leaf.public_key()),
            serial=f"{leaf.serial_number:x}",
            fingerprint=leaf.fingerprint(SHA256()).hex(),
            subject=leaf.subject.rfc4514_string(),
            issuer=leaf.issuer.rfc4514_string(),
            not_before=leaf.not_valid_before_utc,
            not_after=leaf.not_valid_after_utc,
            length=1 + len(rest),
        )
    except unreadable() as error:
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
    return certifies(chain_pem, pin(key))


def certifies(chain_pem: bytes, spki: str) -> bool:
    """Whether the leaf of the chain certifies the key with this pin. Raises KeyMaterialError as `matches` does."""
    leaf = _certificates(chain_pem, "the certificate chain")[0]
    try:
        return pin(leaf.public_key()) == spki
    except unreadable():
        return False


def covers(leaf: LeafFacts, names: Iterable[Identifier]) -> bool:
    """Whether the certificate is good for every one of `names`, by the name itself or a wildcard above it."""
    return all(name in leaf.names or any(known.covers(name) for known in leaf.names) for name in names)


def _certificates(pem: bytes, what: str) -> list[x509.Certificate]:
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificates(pem)
    except unreadable() as error:
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


def unreadable() -> tuple[type[Exception], ...]:
    """What cryptography raises for certificates and CSRs that it cannot read: at once, or late for single fields."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm

    return (
        ValueError,
        UnsupportedAlgorithm,
        x509.InvalidVersion,
        x509.DuplicateExtension,
        x509.UnsupportedGeneralNameType,
    )
