"""The ACME accounts that other clients keep: where each of them puts the key, and the URL of its account.

    certbot   ROOT/accounts/SERVER/PATH/ID/{private_key.json,regr.json,meta.json}   the key as JWK, mode 0400
    lego      ROOT/accounts/HOST_PORT/EMAIL/{account.json,keys/EMAIL.key}           the key in PEM, mode 0644 below 0700
    acmebot   RESOURCE/{client_key.json,registration.json}                          the key as JWK without `kty`

Layouts as written by certbot 2.1, lego 4.9 and acmebot 2.17. A path may be the client's root (where a person looks first), the folder
of one account, or anything between.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from acmectl import files, keys
from acmectl.errors import TakeoverError
from acmectl.importing.jwk import looks_like_jwk, read_jwk

if TYPE_CHECKING:
    from acmectl.keys import PrivateKey

_MAX_DEPTH = 8
_MAILTO = "mailto:"


@dataclass(frozen=True, slots=True)
class ForeignAccount:
    """An account as another client keeps it.

    `id` is what the client calls it; `server` is what the client wrote down of the CA's directory (certbot: its URL; lego: its host and
    port; acmebot: the host of the account), None where the path does not tell. `url` is None where it was not kept.
    """

    client: str
    id: str
    key_file: Path
    url: str | None
    server: str | None
    contact: tuple[str, ...] = field(default=())

    def is_at(self, directory_url: str) -> bool:
        """Whether this account may be one at that CA; what is not known is left for the CA to say."""
        if self.server is None:
            return True
        host = urlsplit(directory_url).netloc
        return self.server in (directory_url, host, host.replace(":", "_"))

    def private_key(self) -> PrivateKey:
        """The account's key; imports cryptography. Raises TakeoverError, or KeyMaterialError for what is no key."""
        what = f"the {self.client} key `{self.key_file}`"
        content = _read(self.key_file, what=f"the {self.client} key")
        return read_jwk(content, what=what) if looks_like_jwk(content) else keys.from_pem(content, what=what)


def find_accounts(client: str, path: Path) -> tuple[ForeignAccount, ...]:
    """All accounts of `client` (one of CLIENTS) below `path`, by their ids.

    Raises TakeoverError: no such path, not readable, none found, a file that is not what the client writes.
    """
    if not path.exists():
        raise TakeoverError(f"there is no `{path}`", hint=f"give {_WHERE[client]}")
    accounts = tuple(sorted(_READERS[client](path), key=lambda account: (account.id, str(account.key_file))))
    if not accounts:
        raise TakeoverError(f"no {client} account below `{path}`", hint=f"give {_WHERE[client]}")
    return accounts


def is_exposed(path: Path) -> bool:
    """Whether others can read the file: its mode lets them, and no folder above keeps them out, as lego's do."""
    try:
        open_to_others = files.exposure(path) is not None
        return open_to_others and all(folder.stat().st_mode & 0o011 for folder in path.absolute().parents)
    except OSError:
        return False


def _certbot(path: Path) -> Iterator[ForeignAccount]:
    """Links that certbot keeps between the folders of Let's Encrypt's older and newer URL are followed: an account can have two names."""
    for folder in _folders_with(path, "private_key.json"):
        regr = _json(folder / "regr.json")
        body = regr.get("body")
        yield ForeignAccount(
            client="certbot",
            id=folder.name,
            key_file=folder / "private_key.json",
            url=_text(regr, "uri", folder / "regr.json"),
            server=_below_accounts(folder.parent, lambda parts: "https://" + "/".join(parts)),
            contact=_contact(body.get("contact") if isinstance(body, dict) else None),
        )


def _lego(path: Path) -> Iterator[ForeignAccount]:
    for folder in _folders_with(path, "account.json"):
        record = _json(folder / "account.json")
        registration = record.get("registration")
        if not isinstance(registration, dict):
            raise TakeoverError(f"`{folder / 'account.json'}` is no lego account: it was never registered")
        email = record.get("email")
        yield ForeignAccount(
            client="lego",
            id=folder.name,
            key_file=_lego_key(folder),
            url=_text(registration, "uri", folder / "account.json"),
            server=_below_accounts(folder.parent, lambda parts: parts[-1]),
            contact=(email,) if isinstance(email, str) and "@" in email else (),
        )


def _lego_key(folder: Path) -> Path:
    own = folder / "keys" / f"{folder.name}.key"
    found = [own] if own.exists() else sorted((folder / "keys").glob("*.key"))
    if len(found) != 1:
        raise TakeoverError(f"`{folder / 'keys'}` has {len(found) or 'no'} keys: which is the account's is unknown")
    return found[0]


def _acmebot(path: Path) -> Iterator[ForeignAccount]:
    """The resource folder, or the configuration (file or folder) that names it."""
    from acmectl.importing.acmebot.reading import resource_directory

    folder = path if (path / "client_key.json").exists() else resource_directory(path)
    if not (folder / "client_key.json").exists():
        return
    registration = _json(folder / "registration.json")
    url = _text(registration, "uri", folder / "registration.json")
    body = registration.get("body")
    yield ForeignAccount(
        client="acmebot",
        id=url.rstrip("/").rpartition("/")[2],
        key_file=folder / "client_key.json",
        url=url,
        server=urlsplit(url).netloc,  # acmebot itself compares the hosts of account and directory
        contact=_contact(body.get("contact") if isinstance(body, dict) else None),
    )


def _folders_with(path: Path, name: str) -> list[Path]:
    """The folders at or below `path` that have a file `name`; links are followed, circles are not."""
    root = path.absolute()
    if root.is_file():
        root = root.parent
    if (root / "accounts").is_dir():
        root /= "accounts"
    found = []
    for folder, below, names in os.walk(root, followlinks=True):
        if name in names:
            found.append(Path(folder))
        if len(Path(folder).parts) - len(root.parts) >= _MAX_DEPTH:
            below.clear()
    return found


def _below_accounts(folder: Path, join: Callable[[tuple[str, ...]], str]) -> str | None:
    """What the folders between `accounts` and an account say of the CA."""
    parts = folder.parts
    if "accounts" not in parts[:-1]:
        return None
    last = len(parts) - 1 - parts[::-1].index("accounts")
    return join(parts[last + 1 :]) if parts[last + 1 :] else None


def _json(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(_read(path, what="the account"))
    except (ValueError, RecursionError) as cause:
        raise TakeoverError(f"`{path}` is damaged: {cause}") from cause
    if not isinstance(document, dict):
        raise TakeoverError(f"`{path}` is no account: not a JSON object")
    return document


def _read(path: Path, *, what: str) -> bytes:
    return files.read(path, what=what, error=TakeoverError)


def _text(document: dict[str, Any], key: str, path: Path) -> str:
    value = document.get(key)
    if not isinstance(value, str) or not value:
        raise TakeoverError(f"`{path}` is no account: it has no `{key}`")
    return value


def _contact(value: object) -> tuple[str, ...]:
    listed = value if isinstance(value, list) else []
    return tuple(entry.removeprefix(_MAILTO) for entry in listed if isinstance(entry, str))


_READERS: dict[str, Callable[[Path], Iterator[ForeignAccount]]] = {
    "certbot": _certbot,
    "lego": _lego,
    "acmebot": _acmebot,
}
_WHERE = {
    "certbot": "certbot's folder, such as `/etc/letsencrypt`",
    "lego": "lego's folder (its `--path`), such as `~/.lego`",
    "acmebot": "acmebot's configuration, such as `/etc/acmebot`, or its folder with `client_key.json`",
}

CLIENTS = tuple(_READERS)
"""The clients whose files are known."""
