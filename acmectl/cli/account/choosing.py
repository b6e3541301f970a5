"""What the commands about accounts have in common: which account a person means, and secrets that come in files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from acmectl import files
from acmectl.errors import UsageError

if TYPE_CHECKING:
    from acmectl.app import Host
    from acmectl.storage.accounts import StoredAccount

FILE = click.Path(path_type=Path)


def chosen(host: Host, name: str | None) -> str:
    """The account that a person means: a name of the configuration, or the only one."""
    configured = host.config.accounts
    if name is None and len(configured) == 1:
        return configured[0]
    listed = ", ".join(f"`{known}`" for known in configured)
    if name is None:
        raise UsageError("the configuration has several accounts", hint=f"name one of {listed}")
    if name not in configured:
        from acmectl.options import nearest

        raise UsageError(
            f"the configuration has no account `{name}`", hint=nearest(name, configured) or f"it has {listed}"
        )
    return name


def passphrase_in(file: Path | None) -> bytes | None:
    """The first line of a file that nobody else can read; raises StorageError and UsageError."""
    if file is None:
        return None
    lines = files.read_secret(file, what="the passphrase").splitlines()
    if not lines or not lines[0].strip():
        raise UsageError(f"the passphrase file `{file}` is empty", hint="its first line is the passphrase")
    return lines[0]


def subject(name: str) -> str:
    """What `acmectl log` calls an account."""
    return f"account/{name}"


def remember(host: Host, name: str, kind: str, text: str) -> None:
    """Write down what happened to an account, for `acmectl log`; under the lock."""
    from acmectl.model.memory import Event

    host.state.memory.add_event(Event(host.clock(), subject(name), kind, text))


def refuse_existing(host: Host, name: str, *, replace: bool) -> None:
    """An account that is there stays, unless a person says otherwise. Raises UsageError."""
    if host.state.accounts.exists(name) and not replace:
        raise UsageError(
            f"there is an account `{name}` on this host already",
            hint="`--replace` replaces it, or give another name with `--account`",
        )


def save_imported(host: Host, stored: StoredAccount, source: str, *, replace: bool) -> None:
    """Save an account that the CA was asked about, under the lock; what failed with an earlier key is tried again at once."""
    from acmectl.storage import identity

    host.state.accounts.save(stored, replace=replace)
    mine = [spec.label for w in host.config.certificates.values() for spec in w.specs if spec.account == stored.name]
    identity.renew(host.state.memory, stored.name, certificates=mine)
    remember(host, stored.name, "imported", f"from {source}: {stored.account_url}, thumbprint {stored.thumbprint}")
