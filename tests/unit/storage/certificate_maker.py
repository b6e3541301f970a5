"""Certificates for tests, made with cryptography itself and not with the code under test."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def make_leaf(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey,
    names: tuple[str, ...] = ("mail.example.com",),
    *,
    serial: int = 0xABC,
    issuer: str = "Test Intermediate",
) -> bytes:
    """One certificate in PEM, signed by a throw-away issuer."""
    return make_certificate(key, names, serial=serial, issuer=issuer).public_bytes(Encoding.PEM)


def make_certificate(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey,
    names: tuple[str, ...] = ("mail.example.com",),
    *,
    serial: int = 0xABC,
    issuer: str = "Test Intermediate",
) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(START)
        .not_valid_after(START + timedelta(days=90))
    )
    if names:
        sans = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
        builder = builder.add_extension(sans, critical=False)
    return builder.sign(ec.generate_private_key(ec.SECP256R1()), SHA256())


def make_chain(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, names: tuple[str, ...] = ("mail.example.com",)
) -> bytes:
    """A leaf and one certificate above it, as CAs send them."""
    intermediate = make_leaf(ec.generate_private_key(ec.SECP256R1()), (), serial=1, issuer="Test Root")
    return make_leaf(key, names) + intermediate
