"""The other way: an account of ours in the files of another client, so that it can issue from what our master keeps authorized.

What each client insists on was read in its source: certbot 2.1 computes an account's id from its key and refuses another, lego 4.9 reads
keys in the traditional PEM forms only, acmebot 2.17 takes RSA keys only, and wants no `kty`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from acmectl.errors import TakeoverError
from acmectl.importing.draft import DraftFile
from acmectl.importing.jwk import jwk_of

if TYPE_CHECKING:
    from acmectl.keys import PrivateKey


@dataclass(frozen=True, slots=True)
class OwnAccount:
    """What other clients need to know of an account of ours; the key never shows."""

    directory_url: str
    url: str
    contact: tuple[str, ...]
    key: PrivateKey = field(repr=False)


def account_files(client: str, account: OwnAccount, *, now: datetime) -> tuple[DraftFile, ...]:
    """The files of `client` (one of `accounts.CLIENTS`) for this account, relative to the folder that it keeps everything in.

    `now` is aware UTC. Raises TakeoverError where the client cannot use such an account.
    """
    return _WRITERS[client](account, now)


def _certbot(account: OwnAccount, now: datetime) -> tuple[DraftFile, ...]:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    public = account.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    identity = hashlib.md5(public, usedforsecurity=False).hexdigest()  # certbot's account ids
    server = urlsplit(account.directory_url)
    folder = f"accounts/{server.netloc}{server.path}/{identity}"
    meta = {"creation_dt": now.strftime("%Y-%m-%dT%H:%M:%SZ"), "creation_host": "localhost"}
    return (
        DraftFile(f"{folder}/private_key.json", _json(jwk_of(account.key)), 0o400),
        DraftFile(f"{folder}/regr.json", _json({"body": {}, "uri": account.url})),
        DraftFile(f"{folder}/meta.json", _json(meta)),
    )


def _lego(account: OwnAccount, now: datetime) -> tuple[DraftFile, ...]:  # noqa: ARG001  # one signature for all
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    if not account.contact:
        raise TakeoverError(
            "lego calls accounts by their mail address, and this one has none",
            hint="set `contact` in the configuration, then `acmectl account update`",
        )
    email = account.contact[0]
    folder = f"accounts/{urlsplit(account.directory_url).netloc.replace(':', '_')}/{email}"
    body = {"status": "valid", "contact": [f"mailto:{address}" for address in account.contact]}
    record = {"email": email, "registration": {"body": body, "uri": account.url}}
    key = account.key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    return (DraftFile(f"{folder}/account.json", _json(record)), DraftFile(f"{folder}/keys/{email}.key", key))


def _acmebot(account: OwnAccount, now: datetime) -> tuple[DraftFile, ...]:  # noqa: ARG001  # one signature for all
    from cryptography.hazmat.primitives.asymmetric import rsa

    if not isinstance(account.key, rsa.RSAPrivateKey):
        raise TakeoverError(
            "acmebot takes accounts with RSA keys only, and this one has an ECDSA key",
            hint="`acmectl account register --key rsa-4096` makes one that acmebot can share",
        )
    key = {name: value for name, value in jwk_of(account.key).items() if name != "kty"}
    return (
        DraftFile("client_key.json", _json(key)),
        DraftFile("registration.json", _json({"body": {}, "uri": account.url})),
    )


def _json(document: dict[str, Any]) -> bytes:
    return json.dumps(document).encode("utf-8")


_WRITERS: dict[str, Callable[[OwnAccount, datetime], tuple[DraftFile, ...]]] = {
    "certbot": _certbot,
    "lego": _lego,
    "acmebot": _acmebot,
}
