"""`acmectl account export` and `import`: the one copy that a follower needs."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from acmectl.cli.account.choosing import FILE, chosen, passphrase_in
from acmectl.cli.account.handing_over import export_foreign
from acmectl.cli.account.taking_over import CLIENTS, import_foreign
from acmectl.cli.context import Context, lock_wait, pass_context
from acmectl.cli.render import accounts as words_about
from acmectl.cli.render import words
from acmectl.errors import AccountUnknown, StorageError, UsageError

if TYPE_CHECKING:
    from acmectl.app import Host
    from acmectl.storage.accounts import StoredAccount


@click.command("export")
@click.argument("file", type=FILE)
@click.option("--account", metavar="NAME", help="Which account, where there are several.")
@click.option("--passphrase-file", type=FILE, metavar="FILE", help="Encrypt the bundle with the first line of FILE.")
@click.option(
    "--for", "client", type=click.Choice(CLIENTS), help="FILE is the folder of another client: write its files there."
)
@pass_context
def export_(
    context: Context, file: Path, *, account: str | None, passphrase_file: Path | None, client: str | None
) -> int:
    """Write the account with its key to FILE, for a follower.

    FILE is made with mode 0600. Whoever has it can get certificates for every name that the master keeps authorized:
    carry it by a safe way, and remove it afterwards. An existing FILE is never overwritten.

    With --for, another client gets the account: certbot (FILE is its --config-dir), lego (its --path) or acmebot (its
    folder `resource`). It then issues, without any challenge, what the master keeps authorized.
    """
    if client is not None:
        if passphrase_file is not None:
            raise UsageError(f"the files of {client} cannot be encrypted", hint="leave out `--passphrase-file`")
        return export_foreign(context, client, file, account=account)
    from acmectl.storage.bundle import Bundle, write_bundle

    with context.reading() as host:
        stored = host.state.accounts.load(chosen(host, account))
        _require_whole(stored)
        profile = host.config.profile
    write_bundle(file, Bundle(dataclasses.replace(stored, profile=profile)), passphrase=passphrase_in(passphrase_file))
    words_about.exported(stored, file, encrypted=passphrase_file is not None)
    return 0


@click.command("import")
@click.argument("file", type=FILE)
@click.option("--account", metavar="NAME", help="Under which name, where the configuration has several.")
@click.option("--passphrase-file", type=FILE, metavar="FILE", help="Decrypt the bundle with the first line of FILE.")
@click.option("--replace", is_flag=True, help="Replace the account of that name on this host.")
@click.option(
    "--from", "client", type=click.Choice(CLIENTS), help="FILE is the folder of another client: take over its account."
)
@click.option("--account-id", metavar="ID", help="With --from: which account, where the client has several.")
@lock_wait
@pass_context
def import_(
    context: Context,
    file: Path,
    *,
    account: str | None,
    passphrase_file: Path | None,
    client: str | None,
    account_id: str | None,
    lock_wait: timedelta | None,
    replace: bool,
) -> int:
    """Take over the account that `account export` wrote to FILE.

    The CA is asked whether the key has this account; nothing is ever registered. Compare the thumbprint with the one
    that the export showed.

    With --from, FILE is another client's: /etc/letsencrypt, ~/.lego, /etc/acmebot, or the folder of one of its accounts.
    Nothing is changed there.
    """
    if client is not None:
        return import_foreign(
            context, client, file, account_id=account_id, account=account, lock_wait=lock_wait, replace=replace
        )
    from acmectl.storage.bundle import read_bundle

    passphrase = passphrase_in(passphrase_file)
    with context.working(lock_wait) as host:
        name = chosen(host, account)
        bundle = dataclasses.replace(read_bundle(file, passphrase=passphrase).account, name=name)
        if host.state.accounts.exists(name) and not replace:
            raise UsageError(
                f"there is an account `{name}` on this host already",
                hint="`--replace` replaces it, or give another name with `--account`",
            )
        _fits(host, bundle, file)
        _verify(host, bundle, file)
        host.state.accounts.save(bundle, replace=replace)
    words_about.account(bundle, "imported")
    return 0


def _require_whole(stored: StoredAccount) -> None:
    """A damaged key is found here, and not on the follower that gets it."""
    from acmectl import keys

    if keys.thumbprint(stored.private_key()) != stored.thumbprint:
        raise StorageError(
            f"the account `{stored.name}` is damaged: its thumbprint is not its key's",
            hint="restore both files from a backup",
        )


def _fits(host: Host, bundle: StoredAccount, file: Path) -> None:
    """A bundle for another CA or profile would find no authorization of the master's; say so now."""
    if bundle.directory_url != host.config.authority.directory_url:
        raise UsageError(
            f"the bundle `{file}` is for another CA: {bundle.directory_url}",
            hint=f"the configuration says {host.config.authority.directory_url}: set `authority` to the master's",
        )
    if bundle.profile != host.config.profile:
        raise UsageError(
            f"the bundle `{file}` is for profile {_profile(bundle.profile)}, "
            f"and the configuration says {_profile(host.config.profile)}",
            hint="the CA reuses authorizations only under the same profile: set `profile` to the master's",
        )


def _verify(host: Host, bundle: StoredAccount, file: Path) -> None:
    """Ask the CA for the account of the bundle's key (`onlyReturnExisting`, RFC 8555 section 7.3.1)."""
    from acmectl.ca import accounts

    with host.session(bundle.private_key()) as session:
        try:
            found = accounts.find(session)
        except AccountUnknown as error:
            raise UsageError(
                f"the CA knows no account for the key in `{file}`", hint="export it anew on the master"
            ) from error
        words.clock_warning(session.clock_offset)
    if found.url != bundle.account_url:
        raise UsageError(f"the key in `{file}` has the account {found.url}, not {bundle.account_url}")
    if found.thumbprint != bundle.thumbprint:
        raise StorageError(f"the bundle `{file}` is damaged: its thumbprint is not its key's")


def _profile(profile: str | None) -> str:
    return "none" if profile is None else f"`{profile}`"
