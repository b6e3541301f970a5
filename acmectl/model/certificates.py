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

    @property
    def family(self) -> str:
        """`ecdsa` or `rsa`: a server that has both kinds of certificates has one of each family."""
        return self.value.partition("-")[0]


KIND = "+"
"""Between a configured label and the key type of a further kind of the same certificate: `xmpp+rsa-2048`."""


def title_of(label: str) -> str:
    """What people are told: `xmpp`, and `xmpp (rsa-2048)` for a further kind of it."""
    configured, _, kind = label.partition(KIND)
    return f"{configured} ({kind})" if kind else label


@dataclass(frozen=True, slots=True)
class CertificateSpec:
    """A certificate as the configuration wants it. `profile` is None where the CA offers none.

    A certificate that is wanted with two kinds of keys is two of these. The first has the configured label, the other
    `LABEL+KEYTYPE`, which no configured label can be: each has generations, an order and a draft of its own.

    Where its key comes from, by the first of these that is there: the CSR in `csr_file` (its key is not on this host), the key in
    `key_file`, the key that was placed for it (`Certificates.place_key`), with `reuse_key` the one in use, with `prepare_key`
    the one that was made ahead, else a new one of `key_type`. The paths are absolute.

    `preferred_chain` is the common name of the root that the chain shall lead to. `pinned` says that its keys are published as TLSA
    records: a key is not used before every client accepts it.
    """

    label: str
    names: frozenset[Identifier]
    account: str
    profile: str | None
    key_type: KeyType = KeyType.ECDSA_P256
    reuse_key: bool = False
    prepare_key: bool = False
    key_file: str | None = None
    csr_file: str | None = None
    preferred_chain: str | None = None
    pinned: bool = False

    @property
    def configured_label(self) -> str:
        """The label that the configuration and people use: that of all kinds of this certificate."""
        return self.label.partition(KIND)[0]

    @property
    def title(self) -> str:
        """What people are told: `xmpp`, and `xmpp (rsa-2048)` for a further kind of it."""
        return title_of(self.label)


@dataclass(frozen=True, slots=True)
class ImposedKey:
    """A key that the certificate must have, because a person put it there: `origin` says how, in words.

    `spki` is its pin: base64 of the SHA-256 of the SubjectPublicKeyInfo (RFC 7469 section 2.4). `names` are those of a CSR.
    """

    origin: str
    spki: str
    names: frozenset[Identifier] | None = None


@dataclass(frozen=True, slots=True)
class Installed:
    """The certificate of one generation, as it lies in the state directory.

    `serial` is in lower-case hexadecimal, `fingerprint` the SHA-256 of the DER form, also in hexadecimal. `spki` is the pin of
    its key: base64 of the SHA-256 of the SubjectPublicKeyInfo (RFC 7469 section 2.4). `has_key` is False where it was issued for
    a person's CSR, and the private key is not on this host.
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
    spki: str = ""
    has_key: bool = True

    @property
    def title(self) -> str:
        """What people are told: `xmpp`, and `xmpp (rsa-2048)` for a further kind of it."""
        return title_of(self.label)

    @property
    def lifetime(self) -> timedelta:
        """From `not_before` to `not_after`."""
        return self.not_after - self.not_before


@dataclass(frozen=True, slots=True)
class Issuance:
    """What was asked for when the certificate of a generation was issued, and of which CA.

    The certificate itself does not say so: a CA can add names, and few name the profile. `fingerprint` is that of `Installed`,
    because a generation's number comes again where the folder was removed.

    `issued_at` is when it was put into use, by our clock: CAs date certificates back, some by an hour. None where that is not known.
    `hurried` says that the CA's advice had it replace one that had hardly been used.
    """

    label: str
    generation: int
    fingerprint: str
    directory_url: str
    profile: str | None
    names: frozenset[Identifier]
    issued_at: datetime | None = None
    hurried: bool = False
