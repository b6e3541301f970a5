"""`acmectl account export --for CLIENT DIRECTORY`: the account in the files of another client, which then issues what our master keeps."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from acmectl import files
from acmectl.cli.account.choosing import chosen
from acmectl.cli.context import Context
from acmectl.cli.render import accounts as words_about
from acmectl.errors import StorageError, UsageError

if TYPE_CHECKING:
    from acmectl.importing.draft import DraftFile


def export_foreign(context: Context, client: str, directory: Path, *, account: str | None) -> int:
    """Write the account below `directory`, which is that client's; nothing that is there is overwritten."""
    from acmectl import keys
    from acmectl.importing.handover import OwnAccount, account_files

    with context.reading() as host:
        stored = host.state.accounts.load(chosen(host, account))
        key = stored.private_key()
        if keys.thumbprint(key) != stored.thumbprint:
            raise StorageError(
                f"the account `{stored.name}` is damaged: its thumbprint is not its key's",
                hint="restore both files from a backup",
            )
        own = OwnAccount(stored.directory_url, stored.account_url, stored.contact or host.config.contact, key)
        wanted = account_files(client, own, now=host.clock())
    _write(directory, wanted)
    words_about.handed_over(stored, client, directory)
    return 0


def _write(directory: Path, wanted: tuple[DraftFile, ...]) -> None:
    for file in wanted:
        if (directory / file.path).exists():
            raise UsageError(f"`{directory / file.path}` exists already", hint="choose another directory")
    for file in wanted:
        target = directory / file.path
        for folder in reversed([target.parent, *target.parent.relative_to(directory).parents]):
            files.make_directory(directory / folder)
        files.write_new(target, file.content, mode=file.mode)
