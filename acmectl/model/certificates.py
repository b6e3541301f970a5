"""Certificates: what is wanted (CertificateSpec) and what is there (Installed)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from acmectl.model.names import Identifier


class KeyType(StrEnum):
    """The kinds of private keys that acmectl makes for certificates and accounts."""

    ECDSA_P256 = "ecdsa-p256"
    ECDSA_P384 = "ecdsa-p384"
    RSA_2048 = "rsa-2048"
    RSA_3072 = "rsa-3072"
    RSA_4096 = "rsa-4096"


@dataclass(frozen=True, slots=True)
class CertificateSpec:
    """A certificate as the configuration wants it. `profile` is None where the CA offers none."""

    label: str
    names: frozenset[Identifier]
    account: str
    profile: str | None
    key_type: KeyType = KeyType.ECDSA_P256


@dataclass(frozen=True, slots=True)
class Installed:
    """The certificate of one generation, as it lies in the state directory.

    `serial` is in lower-case hexadecimal, `fingerprint` the SHA-256 of the DER form, also in hexadecimal.
    """

    label: str
    generation: int
    names: frozenset[Identifier]
    key_type: KeyType | None
    serial: str
    fingerprint: str
    issuer: str
    not_before: datetime
    not_after: datetime

    @property
    def lifetime(self) -> timedelta:
        """From `not_before` to `not_after`."""
        return self.not_after - self.not_before


@dataclass(frozen=True, slots=True)
class Issuance:
    """What was asked for when the certificate of a generation was issued, and of which CA.

    The certificate itself does not say so: a CA can add names, and few name the profile. `fingerprint` is that of `Installed`,
    because a generation's number comes again where the folder was removed.
    """

    label: str
    generation: int
    fingerprint: str
    directory_url: str
    profile: str | None
    names: frozenset[Identifier]
