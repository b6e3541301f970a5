"""What a service presents to its clients: read from the files that are in the places of its target, whoever put them there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from acmectl import keys
from acmectl.deploy.contents import Content, passphrase
from acmectl.errors import AcmectlError

if TYPE_CHECKING:
    from acmectl.deploy.target import Copy, Target


@dataclass(frozen=True, slots=True)
class Presented:
    """The pin of the key, and when the certificate expires; None where no file has one.

    `is_self_issued` says that no CA vouches for it.
    """

    spki: str
    not_after: datetime | None = None
    is_self_issued: bool = False


def presented(target: Target, *, brings_key: bool) -> Presented | None:
    """What the first of the target's files says that has a certificate, or a key where they are for none; None where none can be used.

    Nor where both do not fit and the next generation mends that: it `brings_key`. Else the key is a person's, and lies where that person
    wants it.
    """
    leaf, key = (_first(read, target) for read in (_leaf, _key))
    needs_key_file = brings_key and any(copy.content.is_key_alone for copy in target.wanted)
    if leaf is not None and needs_key_file and (key is None or key.spki != leaf.spki):
        return None
    has_no_leaf = all(copy.content.is_key_alone or copy.content is Content.CHAIN for copy in target.wanted)
    return leaf or (key if has_no_leaf else None)


def _first(read: Callable[[Copy, bytes, Target], Presented | None], target: Target) -> Presented | None:
    return next((one for copy in target.wanted if (one := _read(read, copy, target)) is not None), None)


def _read(read: Callable[[Copy, bytes, Target], Presented | None], copy: Copy, target: Target) -> Presented | None:
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        return read(copy, copy.path.read_bytes(), target) if copy.path.is_file() else None
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm, AcmectlError):  # TypeError: a key that is encrypted
        return None


def _leaf(copy: Copy, content: bytes, target: Target) -> Presented | None:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.hazmat.primitives.serialization.pkcs12 import load_pkcs12

    match copy.content:
        case Content.CERT | Content.FULLCHAIN | Content.KEY_THEN_CHAIN | Content.CHAIN_THEN_KEY:
            pem = content
        case Content.CERT_DER:
            pem = x509.load_der_x509_certificate(content).public_bytes(Encoding.PEM)
        case Content.PKCS12:
            bag = load_pkcs12(content, passphrase(target.passphrase_file)).cert
            pem = bag.certificate.public_bytes(Encoding.PEM) if bag else b""
        case _:
            return None
    leaf = keys.read_chain(pem)
    return Presented(leaf.spki, leaf.not_after, leaf.issuer == leaf.subject)


def _key(copy: Copy, content: bytes, _: Target) -> Presented | None:
    from cryptography.hazmat.primitives.serialization import load_der_private_key

    match copy.content:
        case Content.PRIVKEY:
            return Presented(keys.pin(keys.from_pem(content, what=f"`{copy.path}`")))
        case Content.PRIVKEY_DER:
            return Presented(keys.pin(load_der_private_key(content, None).public_key()))
        case _:
            return None
