"""The one file that carries an account from the master to a follower: `account export` and `account import`.

The file is JSON: a header (format, version, how it is encrypted), a payload, and a checksum of both. With a passphrase
the payload is encrypted with AES-256-GCM under a key that scrypt derives, and the header is authenticated with it. The checksum is no
protection against an attacker; it tells a damaged file from a wrong passphrase, which AES-GCM alone cannot.

Version 1 holds an account. Version 2 also holds private keys of certificates, and is always encrypted. What is written is the lowest
version that says all, so that older followers read what they can use; other members of a payload are ignored.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from acmectl import files, keys
from acmectl.errors import KeyMaterialError, StorageError
from acmectl.storage import folders
from acmectl.storage.accounts import StoredAccount, check_record, record

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

FORMAT = "acmectl account bundle"
VERSION = 2
_ACCOUNT_ONLY = 1
_SCRYPT = {"kdf": "scrypt", "n": 2**17, "r": 8, "p": 1}  # 128 MB and about half a second: OWASP's recommendation
_CIPHER = "aes-256-gcm"
_AGAIN = "export the account again on the master, and copy the whole file"


@dataclass(frozen=True, slots=True)
class Bundle:
    """What a bundle carries: an account, and the private keys (PEM) of certificates that hosts share on purpose, by label."""

    account: StoredAccount
    certificate_keys: Mapping[str, bytes] = field(default_factory=dict, repr=False)


def write_bundle(path: Path, bundle: Bundle, *, passphrase: bytes | None = None) -> None:
    """Write the account, with its key, to a new file of mode 0600; an existing file is never overwritten.

    Raises StorageError, also for an empty passphrase, and without one where keys of certificates are to leave the host.
    """
    if bundle.certificate_keys and passphrase is None:
        raise StorageError(
            "a bundle with the key of a certificate is always encrypted", hint="give `--passphrase-file FILE`"
        )
    payload = json.dumps(_fields(bundle)).encode("utf-8")
    header: dict[str, Any] = {"format": FORMAT, "version": VERSION if bundle.certificate_keys else _ACCOUNT_ONLY}
    if passphrase is not None:
        header["encryption"] = _SCRYPT | {
            "cipher": _CIPHER,
            "salt": _text(os.urandom(16)),
            "nonce": _text(os.urandom(12)),
        }
        payload = _cipher(header["encryption"], passphrase).encrypt(
            _bytes(header["encryption"]["nonce"]), payload, _canonical(header)
        )
    document = header | {"payload": _text(payload), "checksum": _checksum(header, payload)}
    files.write_new(path, json.dumps(document, indent=2).encode("ascii") + b"\n")


def read_bundle(path: Path, *, passphrase: bytes | None = None) -> Bundle:
    """What a bundle carries, after checking that each key is one, and the account's has the thumbprint it says.

    Raises StorageError: not a bundle, cut short, damaged, from a newer acmectl, readable by others while not
    encrypted, passphrase missing, wrong, or given for a bundle that has none.
    """
    content = files.read(path, what="the account bundle")
    header, payload = _parse(path, content)
    encryption = header.get("encryption")
    if encryption is None:
        if header["version"] > _ACCOUNT_ONLY:
            raise _damaged(path)
        if passphrase is not None:
            raise StorageError(f"`{path}` is not encrypted", hint="leave out `--passphrase-file`")
        files.read_secret(path, what="the account bundle")
    elif passphrase is None:
        raise StorageError(f"`{path}` is encrypted", hint="give its passphrase with `--passphrase-file FILE`")
    else:
        payload = _decrypt(path, header, payload, passphrase)
    return _bundle(path, payload)


def is_encrypted(path: Path) -> bool:
    """Whether reading this bundle needs a passphrase. Raises StorageError if it is no bundle."""
    return "encryption" in _parse(path, files.read(path, what="the account bundle"))[0]


def _fields(bundle: Bundle) -> dict[str, Any]:
    account = bundle.account
    fields = {"name": account.name, **record(account), "key": account.key_pem.decode("ascii")}
    carried = {label: pem.decode("ascii") for label, pem in bundle.certificate_keys.items()}
    return fields | ({"certificate_keys": carried} if carried else {})


def _parse(path: Path, content: bytes) -> tuple[dict[str, Any], bytes]:
    """Header and payload of an intact bundle of a version that we know."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as cause:
        if FORMAT.encode("ascii") in content[:200]:
            raise StorageError(f"the account bundle `{path}` is cut short or damaged", hint=_AGAIN) from cause
        document = None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise StorageError(f"`{path}` is no account bundle", hint="make one with `acmectl account export FILE`")
    _check_version(path, document.get("version"))
    header = {key: value for key, value in document.items() if key not in ("payload", "checksum")}
    try:
        payload = _bytes(document["payload"])
    except (KeyError, TypeError, ValueError) as cause:
        raise _damaged(path) from cause
    if document.get("checksum") != _checksum(header, payload):
        raise _damaged(path)
    return header, payload


def _check_version(path: Path, version: object) -> None:
    if isinstance(version, int) and version > VERSION:
        raise StorageError(
            f"`{path}` was written by a newer acmectl (bundle version {version}, this one knows {VERSION})",
            hint="upgrade acmectl on this host",
        )
    if not isinstance(version, int) or isinstance(version, bool) or not _ACCOUNT_ONLY <= version <= VERSION:
        raise _damaged(path)


def _decrypt(path: Path, header: Mapping[str, Any], payload: bytes, passphrase: bytes) -> bytes:
    from cryptography.exceptions import InvalidTag

    encryption = header["encryption"]
    # only the one way that we write: a file must not choose how much memory deriving the key takes
    if not isinstance(encryption, dict) or encryption | _SCRYPT | {"cipher": _CIPHER} != encryption:
        raise _damaged(path)
    try:
        cipher = _cipher(encryption, passphrase)
        return cipher.decrypt(_bytes(encryption["nonce"]), payload, _canonical(header))
    except InvalidTag as cause:
        raise StorageError(
            f"wrong passphrase for `{path}` (its checksum agrees, so the file was copied whole)"
        ) from cause
    except (KeyError, TypeError, ValueError) as cause:
        raise _damaged(path) from cause


def _cipher(encryption: Mapping[str, Any], passphrase: bytes) -> AESGCM:
    """The cipher, keyed by the passphrase. Raises StorageError."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    if not passphrase:
        raise StorageError("the passphrase is empty", hint="write one into the file that `--passphrase-file` names")
    salt, n, r, p = _bytes(encryption["salt"]), encryption["n"], encryption["r"], encryption["p"]
    try:
        return AESGCM(Scrypt(salt=salt, length=32, n=n, r=r, p=p).derive(passphrase))
    except MemoryError as cause:
        raise StorageError("not enough memory to derive a key from the passphrase (128 MB)") from cause


def _bundle(path: Path, payload: bytes) -> Bundle:
    try:
        fields = json.loads(payload)
        known = check_record(fields)
        name, key = fields["name"], fields["key"].encode("ascii")
        private = keys.from_pem(key, what=f"the key in `{path}`")
        carried = _certificate_keys(path, fields.get("certificate_keys", {}))
    except (KeyError, AttributeError, ValueError, RecursionError, KeyMaterialError, StorageError) as cause:
        raise _damaged(path) from cause
    if not isinstance(name, str) or keys.thumbprint(private) != known["thumbprint"]:
        raise _damaged(path)
    return Bundle(StoredAccount(name=name, key_pem=key, **known), carried)


def _certificate_keys(path: Path, carried: Any) -> dict[str, bytes]:
    """The keys of certificates by label; each label can be the name of a folder, and each key is one."""
    found = {folders.check_name(label, what="a certificate"): pem.encode("ascii") for label, pem in carried.items()}
    for label, pem in found.items():
        keys.from_pem(pem, what=f"the key of `{label}` in `{path}`")
    return found


def _damaged(path: Path) -> StorageError:
    return StorageError(f"the account bundle `{path}` is damaged", hint=_AGAIN)


def _checksum(header: Mapping[str, Any], payload: bytes) -> str:
    return hashlib.sha256(_canonical(header) + b"\n" + payload).hexdigest()


def _canonical(header: Mapping[str, Any]) -> bytes:
    return json.dumps(header, sort_keys=True, separators=(",", ":")).encode("ascii")


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
