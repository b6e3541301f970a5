"""The keys of a CA for nobody: a root and an intermediate that live as long as the sandbox, and what they sign.

Two roots vouch for the one intermediate, so that there is an alternate chain (RFC 8555 section 7.4.2). The keys never
touch the disk, but for the server's own key in the moment in which OpenSSL reads it.
"""

from __future__ import annotations

import base64
import ipaddress
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPublicKeyTypes, CertificatePublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from acmectl.keys import general_name
from acmectl.model.names import Identifier

_YEARS = timedelta(days=30 * 365)  # the sandbox's clock is moved by years
_BACKDATED = timedelta(hours=1)  # as Let's Encrypt does, for clients whose clock is late
_LONGEST_CN = 64  # RFC 5280, ub-common-name


@dataclass(frozen=True, slots=True)
class Leaf:
    """A certificate just signed. `chains` are PEM bundles, the default one first; `ari_id` is RFC 9773's name for it."""

    serial: str
    ari_id: str
    der: bytes
    chains: tuple[str, ...]
    not_before: datetime
    not_after: datetime


class Issuer:
    """A root, an alternate root, and the intermediate that both have signed."""

    def __init__(self) -> None:
        self._mark = secrets.token_hex(3)
        root, other = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        self._root_key = root
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._root = self._authority("Root", root, root.public_key(), "Root", depth=None)
        self._alternate_root = self._authority(
            "Alternate Root", other, other.public_key(), "Alternate Root", depth=None
        )
        self._intermediate = self._authority("Root", root, self._key.public_key(), "Intermediate", depth=0)
        self._cross = self._authority("Alternate Root", other, self._key.public_key(), "Intermediate", depth=0)

    @property
    def root_pem(self) -> str:
        """The root that clients must trust."""
        return _pem(self._root)

    @property
    def alternate_root_pem(self) -> str:
        """The root of the alternate chain."""
        return _pem(self._alternate_root)

    def issue(
        self,
        public_key: CertificatePublicKeyTypes,
        names: Iterable[str],
        *,
        now: datetime,
        lifetime: timedelta,
        common_name: bool,
    ) -> Leaf:
        """Sign a server certificate for `names`; no clientAuth, as Let's Encrypt since 2026."""
        ordered = sorted(names, key=lambda name: (len(name), name))
        named = next((name for name in ordered if not Identifier(name).is_address), "")
        subject = named if common_name and 0 < len(named) <= _LONGEST_CN else None
        not_before = (now - _BACKDATED).replace(microsecond=0)
        not_after = not_before + lifetime - timedelta(seconds=1)
        alternatives = x509.SubjectAlternativeName([general_name(Identifier(name)) for name in sorted(ordered)])
        builder = _leaf(public_key, subject, alternatives, not_before, not_after)
        certificate = (
            builder.issuer_name(self._intermediate.subject)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        own = _pem(certificate)
        return Leaf(
            serial=f"{certificate.serial_number:x}",
            ari_id=self._ari_id(certificate.serial_number),
            der=certificate.public_bytes(serialization.Encoding.DER),
            chains=(own + _pem(self._intermediate), own + _pem(self._cross)),
            not_before=not_before,
            not_after=not_after,
        )

    def server_identity(self) -> tuple[bytes, bytes]:
        """Key and chain (PEM) with which the sandbox itself answers on loopback; the root signs it directly."""
        key = ec.generate_private_key(ec.SECP256R1())
        alternatives = x509.SubjectAlternativeName(
            [x509.DNSName("localhost"), *(x509.IPAddress(ipaddress.ip_address(a)) for a in ("127.0.0.1", "::1"))]
        )
        start = _long_ago()
        builder = _leaf(key.public_key(), None, alternatives, start, start + _YEARS).issuer_name(self._root.subject)
        certificate = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(self._root_key.public_key()), critical=False
        ).sign(self._root_key, hashes.SHA256())
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return private, _pem(certificate).encode()

    def _ari_id(self, serial: int) -> str:
        """RFC 9773 section 4.1: the authority key identifier and the serial number's DER bytes."""
        authority = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()).digest
        number = serial.to_bytes(serial.bit_length() // 8 + 1, "big")
        return f"{_base64url(authority)}.{_base64url(number)}"

    def _authority(
        self,
        issuer: str,
        signer: ec.EllipticCurvePrivateKey,
        key: CertificateIssuerPublicKeyTypes,
        name: str,
        *,
        depth: int | None,
    ) -> x509.Certificate:
        start = _long_ago()
        return (
            x509.CertificateBuilder()
            .subject_name(self._name(name))
            .issuer_name(self._name(issuer))
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + _YEARS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=depth), critical=True)
            .add_extension(_key_usage(signs_certificates=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
            .sign(signer, hashes.SHA256())
        )

    def _name(self, role: str) -> x509.Name:
        common_name = f"acmectl sandbox {role} {self._mark} (trust by nobody)"
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _leaf(
    key: CertificatePublicKeyTypes,
    common_name: str | None,
    alternatives: x509.SubjectAlternativeName,
    not_before: datetime,
    not_after: datetime,
) -> x509.CertificateBuilder:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else []
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name(attributes))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        # RFC 5280 section 4.2.1.6: critical where the subject is empty
        .add_extension(alternatives, critical=not attributes)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _long_ago() -> datetime:
    """A start before every time to which a rehearsal sets its clocks."""
    return datetime.now(UTC).replace(microsecond=0) - timedelta(days=3 * 365)


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
