"""Chains as a CA issues them, leaf and intermediate under a root that nobody trusts, for servers whose certificate is looked at."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from acmectl import keys
from acmectl.model.certificates import Installed, KeyType
from acmectl.model.names import Identifier

_DAY = timedelta(days=1)
_Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True, slots=True)
class Generation:
    """A folder as the state directory has it for a generation."""

    directory: Path

    @property
    def key(self) -> Path:
        return self.directory / "privkey.pem"

    @property
    def leaf(self) -> Path:
        return self.directory / "cert.pem"

    @property
    def chain(self) -> Path:
        return self.directory / "chain.pem"

    @property
    def fullchain(self) -> Path:
        return self.directory / "fullchain.pem"

    @property
    def installed(self) -> Installed:
        facts = keys.read_chain(self.fullchain.read_bytes())
        return Installed(
            label="site",
            generation=int(self.directory.name),
            names=facts.names,
            key_type=facts.key_type,
            serial=facts.serial,
            fingerprint=facts.fingerprint,
            issuer=facts.issuer,
            not_before=facts.not_before,
            not_after=facts.not_after,
            spki=facts.spki,
        )

    @property
    def names(self) -> tuple[Identifier, ...]:
        return tuple(sorted(self.installed.names))


def issue(
    directory: Path,
    *names: str,
    key_type: KeyType = KeyType.ECDSA_P256,
    begins: timedelta = -_DAY,
    ends: timedelta = 60 * _DAY,
    intermediate_ends: timedelta = 400 * _DAY,
) -> Generation:
    """Issue for `names` into a folder that is made, and named by a number; valid from `begins` to `ends` counted from now."""
    directory.mkdir(parents=True)
    now = datetime.now(UTC)
    intermediate, issuer_key = _intermediate(intermediate_ends)
    key = private_key(key_type, 1 + int(directory.name) % 2)
    leaf = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(intermediate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + begins)
        .not_valid_after(now + ends)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=True)
        .sign(issuer_key, hashes.SHA256())
    )
    generation = Generation(directory)
    generation.key.touch(mode=0o600)
    generation.key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    leaf_pem, chain_pem = (one.public_bytes(serialization.Encoding.PEM) for one in (leaf, intermediate))
    generation.leaf.write_bytes(leaf_pem)
    generation.chain.write_bytes(chain_pem)
    generation.fullchain.write_bytes(leaf_pem + chain_pem)
    return generation


@cache
def private_key(key_type: KeyType, number: int) -> _Key:
    """One of a few keys that all tests of a process share: RSA keys take their time."""
    del number  # only tells them apart
    if key_type.family == "rsa":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return ec.generate_private_key(ec.SECP256R1())


@cache
def _intermediate(ends: timedelta) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    now = datetime.now(UTC)
    root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "intermediate of tests")]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "root of tests")]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - 400 * _DAY)
        .not_valid_after(now + ends)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(root_key, hashes.SHA256())
    )
    return certificate, key
