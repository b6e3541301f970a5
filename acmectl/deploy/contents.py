"""What a file for a service can hold: parts of a generation, alone or joined, in PEM, DER or PKCS #12.

Services that take key and certificate from one file get them from one file: one rename then switches both, and nobody ever reads
a key that does not belong to the certificate beside it.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from acmectl import files, keys
from acmectl.errors import DeployError


class Content(StrEnum):
    """The contents that `files` may name, in the order in which they are put in place: keys first, the full chain last."""

    PRIVKEY = "privkey"
    PRIVKEY_DER = "privkey.der"
    CHAIN = "chain"
    CERT = "cert"
    CERT_DER = "cert.der"
    PKCS12 = "pkcs12"
    KEY_THEN_CHAIN = "privkey+fullchain"
    CHAIN_THEN_KEY = "fullchain+privkey"
    FULLCHAIN = "fullchain"

    @property
    def has_key(self) -> bool:
        """Whether the file is a secret."""
        return self in _SECRET

    @property
    def is_key_alone(self) -> bool:
        """Whether there is nothing else in it."""
        return self in {Content.PRIVKEY, Content.PRIVKEY_DER}


_SECRET = frozenset(
    {Content.PRIVKEY, Content.PRIVKEY_DER, Content.PKCS12, Content.KEY_THEN_CHAIN, Content.CHAIN_THEN_KEY}
)


def made_from(generation: Path, content: Content, passphrase_file: Path | None = None) -> bytes:
    """The content of a file, from the folder of a generation. Raises DeployError, and KeyMaterialError for what is damaged.

    The passphrase of a PKCS #12 file is the first line of `passphrase_file`.
    """
    match content:
        case Content.KEY_THEN_CHAIN:
            return _ended(_part(generation, "privkey")) + _part(generation, "fullchain")
        case Content.CHAIN_THEN_KEY:
            return _ended(_part(generation, "fullchain")) + _part(generation, "privkey")
        case Content.CERT_DER:
            return _leaf_der(_part(generation, "cert"))
        case Content.PRIVKEY_DER:
            return _key_der(_part(generation, "privkey"))
        case Content.PKCS12:
            return _pkcs12(generation, passphrase_file)
        case _:
            return _part(generation, content.value)


def _part(generation: Path, part: str) -> bytes:
    return files.read(generation / f"{part}.pem", what=f"the {part} to deploy", error=DeployError)


def _ended(pem: bytes) -> bytes:
    """With the newline that a person's own key can lack."""
    return pem if pem.endswith(b"\n") else pem + b"\n"


def _leaf_der(pem: bytes) -> bytes:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    leaf, *_ = keys.split_chain(pem, what="the cert to deploy")
    return x509.load_pem_x509_certificate(leaf).public_bytes(Encoding.DER)


def _key_der(pem: bytes) -> bytes:
    """PKCS #8, whatever form a person's own key has."""
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return keys.from_pem(pem, what="the key to deploy").private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def _pkcs12(generation: Path, passphrase_file: Path | None) -> bytes:
    """Made in this process: a program would want the passphrase in its arguments or in a file."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption
    from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates

    key = keys.from_pem(_part(generation, "privkey"), what="the key to deploy")
    chain = keys.split_chain(_part(generation, "fullchain"), what="the fullchain to deploy")
    leaf, *others = map(x509.load_pem_x509_certificate, chain)
    encryption = BestAvailableEncryption(passphrase(passphrase_file))
    return serialize_key_and_certificates(None, key, leaf, others, encryption)


def passphrase(path: Path | None) -> bytes:
    """The first line of a passphrase file. Raises DeployError."""
    if path is None:
        raise DeployError("a PKCS #12 file needs a passphrase", hint="name a `passphrase_file`")
    first, *_ = files.read_secret(path, what="the passphrase", error=DeployError).splitlines() or [b""]
    if not first:
        raise DeployError(f"the first line of the passphrase file `{path}` is empty")
    return first
