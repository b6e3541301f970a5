"""ACME accounts on disk: `accounts/NAME/` holds `key.pem` and `account.json`, both or neither.

An account is saved as a whole folder. Replacing one (a new key) takes two renames, since a folder that is not empty cannot be renamed over:
`NAME` becomes `.NAME.old`, then `.NAME.new`, complete before the first rename, becomes `NAME`. Killed between the two, `.NAME.new` is
the account: readers look there, and the next writer finishes the move.

While its key is being exchanged at the CA an account has two keys, `key.pem` and `next-key.pem`: either may be the one that the CA knows,
and neither is given up before the CA said so. A deactivated account is kept under `archive/accounts/`, out of the way of a new one.

The key of an account that is being registered lies in `.NAME.registering`, so that one that the CA made and whose answer never came is not lost:
some CAs let each External Account Binding be used once.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from acmectl import files, keys
from acmectl.errors import AccountMissing, StorageError
from acmectl.storage import folders

if TYPE_CHECKING:
    from acmectl.keys import PrivateKey

_KEY, _NEXT_KEY, _RECORD = "key.pem", "next-key.pem", "account.json"
_ARCHIVED = "%Y%m%dT%H%M%SZ"
_RESTORE = "restore it from a backup, or import the account again: `acmectl account import FILE --replace`"


@dataclass(frozen=True, slots=True)
class StoredAccount:
    """An account with its key. `thumbprint` (RFC 7638) is what people compare; no key ever shows in a repr.

    `kid` is the key identifier of the External Account Binding (RFC 8555 section 7.3.4) it was registered with, `terms` the URL of the
    terms of service that were agreed to then. `opens` are the names that the master kept authorized for it when it exported the account,
    None where nobody told us. `next_key_pem` is the key that it will have once the CA confirms a rollover that was begun.
    """

    name: str
    directory_url: str
    account_url: str
    profile: str | None
    contact: tuple[str, ...]
    thumbprint: str
    key_pem: bytes = field(repr=False)
    kid: str | None = None
    terms: str | None = None
    opens: tuple[str, ...] | None = None
    next_key_pem: bytes | None = field(default=None, repr=False)

    def private_key(self) -> PrivateKey:
        """The key, ready to sign; imports cryptography. Raises KeyMaterialError."""
        return keys.from_pem(self.key_pem, what=f"the key of the account `{self.name}`")

    def rolled_over(self) -> StoredAccount:
        """The account once the CA knows its next key instead of the old one. Raises KeyMaterialError."""
        assert self.next_key_pem is not None  # noqa: S101  # only a rollover that was begun can end
        thumbprint = keys.thumbprint(
            keys.from_pem(self.next_key_pem, what=f"the next key of the account `{self.name}`")
        )
        return replace(self, key_pem=self.next_key_pem, thumbprint=thumbprint, next_key_pem=None)


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
            raise self._missing(name)
        next_key = folder / _NEXT_KEY
        with folders.translated(f"read `{folder}`"):
            rolling_over = folders.exists(next_key)
        return StoredAccount(
            name=name,
            key_pem=_read_key(folder / _KEY),
            next_key_pem=_read_key(next_key) if rolling_over else None,
            **_parse_record(folder / _RECORD),
        )

    def save(self, account: StoredAccount, *, replace: bool = False) -> None:
        """Store the account; an existing one is refused unless `replace`. Raises StorageError."""
        target = self._directory / folders.check_name(account.name, what="an account")
        self._tidy(account.name)
        exists = self.exists(account.name)
        if exists and not replace:
            raise StorageError(
                f"there is an account `{account.name}` already: `{target}`", hint="choose another name for the new one"
            )
        contents = {_KEY: account.key_pem, _RECORD: _record(account)}
        if account.next_key_pem is not None:
            contents[_NEXT_KEY] = account.next_key_pem
        folder = folders.build(target, contents)
        if exists:
            folders.put(folder, self._new(account.name))
            folders.put(target, self._old(account.name))
            folder = self._new(account.name)
        folders.put(folder, target)
        self._tidy(account.name)

    def begin(self, name: str, key_pem: bytes) -> None:
        """Keep the key of an account that is about to be registered; `save` and `abandon` end that. Raises StorageError."""
        self._tidy(name)
        files.write_atomically(self._registering(name), key_pem)

    def begun(self, name: str) -> bytes | None:
        """The key of a registration that was interrupted. Raises StorageError."""
        path = self._registering(folders.check_name(name, what="an account"))
        with folders.translated(f"read `{path}`"):
            if not folders.exists(path):
                return None
        return _read_key(path)

    def abandon(self, name: str) -> None:
        """The CA made no account for the key that was kept. Raises StorageError."""
        with folders.translated(f"tidy `{self._directory}`"):
            self._registering(name).unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                self._directory.rmdir()  # if it was made for this

    def archive(self, name: str, *, at: datetime) -> Path:
        """Put a deactivated account out of the way by one rename; returns where it lies. Raises StorageError."""
        self._tidy(name)
        archive = self._archive
        files.make_directory(archive.parent)
        files.make_directory(archive)
        target = archive / f"{folders.check_name(name, what='an account')}-{at:{_ARCHIVED}}"
        folders.put(self._directory / name, target)
        with folders.translated(f"archive the account `{name}`"):
            files.sync_directory(self._directory)
        return target

    @property
    def _archive(self) -> Path:
        return self._directory.parent / "archive" / "accounts"

    def _missing(self, name: str) -> AccountMissing:
        former = re.compile(re.escape(name) + r"-\d{8}T\d{6}Z")
        if archived := [entry for entry in folders.entries(self._archive) if former.fullmatch(entry)]:
            return AccountMissing(
                f"the account `{name}` was deactivated: what was it lies in `{self._archive / archived[-1]}`",
                hint="`acmectl account register` makes another, on a master; "
                "`acmectl account import FILE` brings the master's to a follower",
            )
        return AccountMissing(
            f"no account `{name}` in `{self._directory}`",
            hint="`acmectl account register`, or `acmectl account import FILE` with a bundle from the master",
        )

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
            if folders.exists(target):
                self._registering(name).unlink(missing_ok=True)
            for leftover in (new, old):
                if folders.exists(leftover):
                    shutil.rmtree(leftover)
        folders.sweep(self._directory)

    def _registering(self, name: str) -> Path:
        return self._directory / f".{name}.registering"

    def _new(self, name: str) -> Path:
        return self._directory / f".{name}.new"

    def _old(self, name: str) -> Path:
        return self._directory / f".{name}.old"


def _read_key(path: Path) -> bytes:
    key_pem = files.read_secret(path, what="the account key")
    if b"-----BEGIN " not in key_pem or not key_pem.rstrip().endswith(b" PRIVATE KEY-----"):
        raise StorageError(f"the account key `{path}` is damaged: no private key in it", hint=_RESTORE)
    return key_pem


def record(account: StoredAccount) -> dict[str, Any]:
    """What is written of an account beside its name and keys; `check_record` reads it. What nobody knows is left out."""
    known = {
        "directory_url": account.directory_url,
        "account_url": account.account_url,
        "profile": account.profile,
        "contact": list(account.contact),
        "thumbprint": account.thumbprint,
    }
    more = {"kid": account.kid, "terms": account.terms}
    opens = {} if account.opens is None else {"opens": list(account.opens)}
    return known | {key: value for key, value in more.items() if value is not None} | opens


def _record(account: StoredAccount) -> bytes:
    return json.dumps(record(account), indent=2).encode("utf-8") + b"\n"


def _parse_record(path: Path) -> dict[str, Any]:
    content = files.read(path, what="the account")
    try:
        return check_record(json.loads(content))
    except (ValueError, RecursionError) as cause:
        raise StorageError(f"the account `{path}` is damaged: {cause}", hint=_RESTORE) from cause


def check_record(record: object) -> dict[str, Any]:
    """The fields of a StoredAccount but its name and keys, from JSON. Raises ValueError with what is wrong."""
    if not isinstance(record, dict):
        raise ValueError("not a JSON object")
    for key in ("directory_url", "account_url", "thumbprint"):
        if not isinstance(record.get(key), str) or not record[key]:
            raise ValueError(f"no text under `{key}`")
    for key in ("profile", "kid", "terms"):
        if not isinstance(record.get(key), str | None):
            raise ValueError(f"`{key}` is no text")
    opens = None if record.get("opens") is None else _texts(record, "opens")
    fields = {key: record[key] for key in ("directory_url", "account_url", "thumbprint")}
    optional = {key: record.get(key) for key in ("profile", "kid", "terms")}
    return fields | optional | {"contact": _texts(record, "contact"), "opens": opens}


def _texts(record: dict[str, Any], key: str) -> tuple[str, ...]:
    texts = record.get(key, [])
    if not isinstance(texts, list) or not all(isinstance(entry, str) for entry in texts):
        raise ValueError(f"`{key}` is no list of texts")
    return tuple(texts)
