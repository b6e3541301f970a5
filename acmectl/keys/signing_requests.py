"""Certificate signing requests (PKCS #10): ours for an order, and those that a person brings, whose key is elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from acmectl.errors import InvalidName, KeyMaterialError
from acmectl.keys.chains import unreadable
from acmectl.keys.private import key_type_of, pin
from acmectl.model.certificates import KeyType
from acmectl.model.names import Identifier

if TYPE_CHECKING:
    from cryptography import x509

    from acmectl.keys.private import PrivateKey


@dataclass(frozen=True, slots=True)
class SigningRequest:
    """A CSR as a CA gets it (DER), what it asks for, and the pin of its key."""

    der: bytes
    names: frozenset[Identifier]
    spki: str
    key_type: KeyType | None


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


def read_csr(pem: bytes, *, what: str) -> SigningRequest:
    """A CSR in PEM that a person made. `names` are those of the extension and of the common name: an order is for both.

    Raises KeyMaterialError, which names `what`, for one that no CA would take for DNS names.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    hint = "make one: `openssl req -new -key KEY -subj / -addext subjectAltName=DNS:NAME,DNS:NAME -out FILE`"
    try:
        csr = x509.load_pem_x509_csr(pem)
        signed, key = csr.is_signature_valid, csr.public_key()
        names = _names(csr, what)
        key_type = key_type_of(key)
    except unreadable() as cause:
        raise KeyMaterialError(f"{what} is no CSR in PEM form, or is damaged", hint=hint) from cause
    if not signed:
        raise KeyMaterialError(f"{what} is not signed by its own key", hint=hint)
    if not names:
        raise KeyMaterialError(f"{what} names nothing", hint=hint)
    return SigningRequest(csr.public_bytes(Encoding.DER), names, pin(key), key_type)


def general_name(name: Identifier) -> x509.GeneralName:
    """How a name stands among a certificate's alternative names (RFC 5280 section 4.2.1.6, RFC 8738 section 3)."""
    from cryptography import x509

    if not name.is_address:
        return x509.DNSName(name.value)
    import ipaddress

    return x509.IPAddress(ipaddress.ip_address(name.value))


def _names(csr: x509.CertificateSigningRequest, what: str) -> frozenset[Identifier]:
    from cryptography import x509

    try:
        sans = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        sans = x509.SubjectAlternativeName([])
    if any(not isinstance(name, x509.DNSName | x509.IPAddress) for name in sans):
        hint = "leave only `DNS:` names and `IP:` addresses in it"
        raise KeyMaterialError(f"{what} asks for something else than names and addresses", hint=hint)
    common = csr.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    addresses = map(str, sans.get_values_for_type(x509.IPAddress))
    texts = [*sans.get_values_for_type(x509.DNSName), *addresses, *(str(name.value) for name in common)]
    try:
        return frozenset(Identifier.parse(text) for text in texts)
    except InvalidName as cause:
        raise KeyMaterialError(f"{what} asks for a name that no certificate holds: {cause.message}") from cause
