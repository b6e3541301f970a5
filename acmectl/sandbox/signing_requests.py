"""Certificate signing requests: exactly the order's identifiers, signed, with a sound key that is not the account's."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from acmectl.keys import unreadable
from acmectl.model.names import Identifier
from acmectl.sandbox.jws import public_key, public_numbers
from acmectl.sandbox.objects import Jwk
from acmectl.sandbox.problems import Refused, refuse

PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey
_BAD: tuple[type[Exception], ...] = (*unreadable(), InvalidSignature, TypeError)
_CURVES = frozenset({"secp256r1", "secp384r1"})
_RSA_SIZES = frozenset({2048, 3072, 4096})  # Let's Encrypt takes these and no others


@dataclass(frozen=True, slots=True)
class Request:
    """What is left of a CSR once it was checked."""

    public_key: PublicKey


def read_request(der: bytes, names: Iterable[Identifier], account_key: Jwk) -> Request:
    """Check a CSR against an order (RFC 8555 section 7.4); raises `badCSR` with the reason."""
    try:
        csr = x509.load_der_x509_csr(der)
        is_signed = csr.is_signature_valid
        key = csr.public_key()
        asked = _names(csr)
    except _BAD as cause:
        raise _bad("Error parsing certificate request") from cause
    if not is_signed:
        raise _bad("invalid signature on CSR")
    checked = _sound(key)
    if public_numbers(checked) == public_numbers(public_key(account_key)):
        raise _bad("certificate public key must be different than account key")
    wanted = {name.value for name in names}
    if asked != wanted:
        missing, extra = ", ".join(sorted(wanted - asked)), ", ".join(sorted(asked - wanted))
        raise _bad(
            f"CSR does not specify same identifiers as Order (missing: {missing or 'none'}, extra: {extra or 'none'})"
        )
    return Request(checked)


def _names(csr: x509.CertificateSigningRequest) -> set[str]:
    """The names and addresses of the SAN, and the common name, which must be one of them; ValueError for other kinds."""
    found = {str(name.value).lower() for name in csr.subject.get_attributes_for_oid(NameOID.COMMON_NAME)}
    try:
        alternatives = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return found
    if any(not isinstance(name, x509.DNSName | x509.IPAddress) for name in alternatives):
        raise ValueError("CSR contains names that are neither DNS names nor IP addresses")
    names = {name.lower() for name in alternatives.get_values_for_type(x509.DNSName)}
    if any(Identifier(name).is_address for name in names):
        raise ValueError("CSR contains an IP address as a DNS name")
    return found | names | {str(address) for address in alternatives.get_values_for_type(x509.IPAddress)}


def _sound(key: object) -> PublicKey:
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVES:
        return key
    if isinstance(key, rsa.RSAPublicKey) and key.key_size in _RSA_SIZES:
        return key
    raise _bad("key of the CSR is of a kind or size that is not allowed: P-256, P-384, RSA 2048, 3072 or 4096")


def _bad(detail: str) -> Refused:
    return refuse("badCSR", detail)


def certificate_key(der: bytes) -> PublicKey:
    """The public key of a certificate that shall be revoked; raises `malformed`."""
    try:
        return _sound(x509.load_der_x509_certificate(der).public_key())
    except unreadable() as cause:
        raise refuse("malformed", "unable to parse the certificate") from cause
