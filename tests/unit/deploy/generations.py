"""Generations to deploy, how their files get into place, and owners to give files to."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from acmectl.deploy.target import Target
from tests.unit.storage.certificate_maker import make_leaf

_ROOT = os.geteuid() == 0
UID, GID, OTHER_GID = (54321, 54322, 54323) if _ROOT else (os.geteuid(), os.getegid(), os.getegid())
"""Somebody else, where we are root and may give files away."""


ISSUER = make_leaf(ec.generate_private_key(ec.SECP256R1()), ("issuer.example",), serial=0xDEF)


def certified_generation(directory: Path, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> Path:
    """A generation's folder with this key, and a certificate for it."""
    directory.mkdir()
    leaf, pem = make_leaf(key), key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for part, content in {"privkey": pem, "cert": leaf, "chain": ISSUER, "fullchain": leaf + ISSUER}.items():
        (directory / f"{part}.pem").write_bytes(content)
    return directory


def certificate_until(end: datetime, *, issuer: str = "somebody") -> tuple[bytes, bytes]:
    """A certificate of somebody that is good until some moment, and its key; he made it up himself, or says that another did."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject, by = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in ("somebody", issuer))
    builder = x509.CertificateBuilder(by, subject, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(end - timedelta(days=20)).not_valid_after(end)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return builder.sign(key, SHA256()).public_bytes(Encoding.PEM), pem


def written_passphrase(directory: Path) -> Path:
    """A file whose first line is a passphrase."""
    path = directory / "passphrase"
    path.touch(mode=0o600)
    path.write_text("correct horse\nanother line\n")
    return path


def made_generation(directory: Path, word: str) -> Path:
    """A generation's folder, whose files say which they are."""
    directory.mkdir()
    for part in ("privkey", "cert", "chain", "fullchain"):
        (directory / f"{part}.pem").write_text(f"{word} {part}\n")
    return directory


def install(target: Target, generation: Path) -> None:
    """The files of a generation, as a deployment puts them in place."""
    target.put(target.made(generation))
