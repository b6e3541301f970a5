"""`acmectl account export --for CLIENT DIRECTORY`: the account in the files of another client, which then issues what our master keeps."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from acmectl import files
from acmectl.cli.account.choosing import remember
from acmectl.cli.render import accounts as words_about
from acmectl.errors import UsageError

if TYPE_CHECKING:
    from acmectl.app import Host
    from acmectl.importing.draft import DraftFile
    from acmectl.storage.accounts import StoredAccount


def export_foreign(host: Host, stored: StoredAccount, client: str, directory: Path) -> None:
    """Write the account below `directory`, which is that client's, under the lock; nothing that is there is overwritten."""
    from acmectl.importing.handover import OwnAccount, account_files

    contact = stored.contact or host.config.contact
    own = OwnAccount(stored.directory_url, stored.account_url, contact, stored.private_key())
    _write(directory, account_files(client, own, now=host.clock()))
    remember(host, stored.name, "exported", f"for {client} to {directory.absolute()}")
    words_about.handed_over(stored, client, directory)


def _write(directory: Path, wanted: tuple[DraftFile, ...]) -> None:
    """Make what is missing of `directory` and below it for its owner alone."""
    for file in wanted:
        if (directory / file.path).exists():
            raise UsageError(f"`{directory / file.path}` exists already", hint="choose another directory")
    for file in wanted:
        target = directory / file.path
        below = target.parent.relative_to(directory)
        for folder in reversed([below, *below.parents]):
            files.make_directory(directory / folder)
        files.write_new(target, file.content, mode=file.mode)
