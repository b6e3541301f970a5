"""ACME accounts on disk: `accounts/NAME/` holds `key.pem` and `account.json`, both or neither.

An account is saved as a whole folder. Replacing one (a new key) takes two renames, since a folder that is not empty cannot be renamed over:
`NAME` becomes `.NAME.old`, then `.NAME.new`, complete before the first rename, becomes `NAME`. Killed between the two, `.NAME.new` is
the account: readers look there, and the next writer finishes the move.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from acmectl import files, keys
from acmectl.errors import AccountMissing, StorageError
from acmectl.storage import folders

if TYPE_CHECKING:
    from acmectl.keys import PrivateKey

_KEY, _RECORD = "key.pem", "account.json"
_RESTORE = "restore it from a backup, or import the account again: `acmectl account import FILE --replace`"


@dataclass(frozen=True, slots=True)
class StoredAccount:
    """An account with its key. `thumbprint` (RFC 7638) is what people compare; the key never shows in a repr."""

    name: str
    directory_url: str
    account_url: str
    profile: str | None
    contact: tuple[str, ...]
    thumbprint: str
    key_pem: bytes = field(repr=False)

    def private_key(self) -> PrivateKey:
        """The key, ready to sign; imports cryptography. Raises KeyMaterialError."""
        return keys.from_pem(self.key_pem, what=f"the key of the account `{self.name}`")


class Accounts:
    """The accounts of this host. Whatever changes them needs the lock of the state directory."""

    def __init__(self, directory: Path) -> None:
        """`directory` is made when the first account is saved."""
        self._directory = directory

    def names(self) -> tuple[str, ...]:
        """The names of all accounts, sorted."""
        found = folders.entries(self._directory)
        names = {name[1:].removesuffix(".old") if name.startswith(".") else name for name in found}
        return tuple(sorted(name for name in names if name[:1].isalnum() and self.exists(name)))

    def exists(self, name: str) -> bool:
        """Whether there is an account of that name, damaged or not."""
        return self._folder(name) is not None

    def load(self, name: str) -> StoredAccount:
        """The account; its key is looked at, but not parsed (see `StoredAccount.private_key`).

        Raises AccountMissing, and StorageError with the file that is damaged or readable by others.
        """
        folder = self._folder(name)
        if folder is None:
            raise AccountMissing(
                f"no account `{name}` in `{self._directory}`",
                hint="`acmectl account register`, or `acmectl account import FILE` with a bundle from the master",
            )
        record = _parse_record(folder / _RECORD)
        key_pem = files.read_secret(folder / _KEY, what="the account key")
        if b"-----BEGIN " not in key_pem or not key_pem.rstrip().endswith(b" PRIVATE KEY-----"):
            raise StorageError(f"the account key `{folder / _KEY}` is damaged: no private key in it", hint=_RESTORE)
        return StoredAccount(name=name, key_pem=key_pem, **record)

    def save(self, account: StoredAccount, *, replace: bool = False) -> None:
        """Store the account; an existing one is refused unless `replace`. Raises StorageError."""
        target = self._directory / folders.check_name(account.name, what="an account")
        self._tidy(account.name)
        exists = self.exists(account.name)
        if exists and not replace:
            raise StorageError(
                f"there is an account `{account.name}` already: `{target}`", hint="choose another name for the new one"
            )
        folder = folders.build(target, {_KEY: account.key_pem, _RECORD: _record(account)})
        if exists:
            folders.put(folder, self._new(account.name))
            folders.put(target, self._old(account.name))
            folder = self._new(account.name)
        folders.put(folder, target)
        self._tidy(account.name)

    def _folder(self, name: str) -> Path | None:
        """Where the account lies: at its name, or where a killed `save` left it."""
        target = self._directory / folders.check_name(name, what="an account")
        with folders.translated(f"read `{self._directory}`"):
            return target if folders.exists(target) else self._survivor(name)

    def _survivor(self, name: str) -> Path | None:
        """The account that a `save` killed between its two renames left: the new one, which is complete."""
        old, new = self._old(name), self._new(name)
        if not folders.exists(old):
            return None
        return new if folders.exists(new) else old

    def _tidy(self, name: str) -> None:
        """Make the directory, finish what a killed `save` began, and remove what it left."""
        files.make_directory(self._directory.parent)
        files.make_directory(self._directory)
        target, new, old = self._directory / name, self._new(name), self._old(name)
        with folders.translated(f"tidy `{self._directory}`"):
            if not folders.exists(target) and (survivor := self._survivor(name)):
                folders.put(survivor, target)
            for leftover in (new, old):
                if folders.exists(leftover):
                    shutil.rmtree(leftover)
        folders.sweep(self._directory)

    def _new(self, name: str) -> Path:
        return self._directory / f".{name}.new"

    def _old(self, name: str) -> Path:
        return self._directory / f".{name}.old"


def _record(account: StoredAccount) -> bytes:
    record = {
        "directory_url": account.directory_url,
        "account_url": account.account_url,
        "profile": account.profile,
        "contact": list(account.contact),
        "thumbprint": account.thumbprint,
    }
    return json.dumps(record, indent=2).encode("utf-8") + b"\n"


def _parse_record(path: Path) -> dict[str, Any]:
    content = files.read(path, what="the account")
    try:
        return check_record(json.loads(content))
    except (ValueError, RecursionError) as cause:
        raise StorageError(f"the account `{path}` is damaged: {cause}", hint=_RESTORE) from cause


def check_record(record: object) -> dict[str, Any]:
    """The fields of a StoredAccount but its name and key, from JSON. Raises ValueError with what is wrong."""
    if not isinstance(record, dict):
        raise ValueError("not a JSON object")
    for key in ("directory_url", "account_url", "thumbprint"):
        if not isinstance(record.get(key), str) or not record[key]:
            raise ValueError(f"no text under `{key}`")
    contact, profile = record.get("contact", []), record.get("profile")
    if not isinstance(contact, list) or not all(isinstance(entry, str) for entry in contact):
        raise ValueError("`contact` is no list of texts")
    if not isinstance(profile, str | None):
        raise ValueError("`profile` is no text")
    fields = {key: record[key] for key in ("directory_url", "account_url", "thumbprint")}
    return fields | {"profile": profile, "contact": tuple(contact)}
