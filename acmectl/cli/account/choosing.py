"""What the commands about accounts have in common: which account a person means, and secrets that come in files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from acmectl import files
from acmectl.errors import UsageError

if TYPE_CHECKING:
    from acmectl.app import Host

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
