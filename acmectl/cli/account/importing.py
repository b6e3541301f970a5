"""`acmectl account import`: an account that is there already comes to this host; nothing is ever registered."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace as changed
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from acmectl.cli.account.choosing import FILE, chosen, passphrase_in, refuse_existing, save_imported
from acmectl.cli.account.taking_over import CLIENTS, import_foreign, import_key
from acmectl.cli.context import Context, lock_wait, pass_context
from acmectl.cli.render import accounts as words_about
from acmectl.cli.render import words
from acmectl.errors import AccountUnknown, StorageError, UsageError
from acmectl.model.certificates import KIND

if TYPE_CHECKING:
    from acmectl.app import Host
    from acmectl.storage.accounts import StoredAccount


@click.command("import")
@click.argument("file", type=FILE, required=False)
@click.option("--account", metavar="NAME", help="Under which name, where the configuration has several.")
@click.option("--passphrase-file", type=FILE, metavar="FILE", help="Decrypt the bundle with the first line of FILE.")
@click.option("--replace", is_flag=True, help="Replace the account of that name on this host.")
@click.option(
    "--key", type=FILE, metavar="FILE", help="Instead of a bundle: the account's key alone, in PEM or as a JWK."
)
@click.option(
    "--from",
    "client",
    envvar="ACMECTL_ACCOUNT_IMPORT_FROM",
    type=click.Choice(CLIENTS),
    help="FILE is the folder of another client: take over its account.",
)
@click.option("--account-id", metavar="ID", help="With --from: which account, where the client has several.")
@lock_wait
@pass_context
def import_(
    context: Context,
    file: Path | None,
    *,
    account: str | None,
    passphrase_file: Path | None,
    key: Path | None,
    client: str | None,
    account_id: str | None,
    lock_wait: timedelta | None,
    replace: bool,
) -> int:
    """Take over the account that `account export` wrote to FILE.

    The CA is asked whether the key has this account; nothing is ever registered. Compare the thumbprint with the one
    that the export showed.

    With --from, FILE is another client's: /etc/letsencrypt, ~/.lego, /etc/acmebot, or the folder of one of its accounts.
    Nothing is changed there. With --key, the CA says which account the key has.
    """
    _refuse_mixtures(file, key, client, passphrase_file, account_id)
    if key is not None:
        return import_key(context, key, account=account, lock_wait=lock_wait, replace=replace)
    assert file is not None  # noqa: S101  # one of the two is there
    if client is not None:
        return import_foreign(
            context, client, file, account_id=account_id, account=account, lock_wait=lock_wait, replace=replace
        )
    passphrase = passphrase_in(passphrase_file)
    with context.working(lock_wait) as host:
        stored, placed = _import_bundle(host, chosen(host, account), file, passphrase, replace=replace)
    words_about.account(stored, "imported")
    words_about.placed_keys(tuple(placed))
    return 0


def _refuse_mixtures(
    file: Path | None, key: Path | None, client: str | None, passphrase_file: Path | None, account_id: str | None
) -> None:
    """Raises UsageError for options of different ways to import."""
    if file is None and key is None:
        raise click.UsageError("Missing argument 'FILE'.", click.get_current_context())
    if key is not None and (file is not None or client is not None):
        raise UsageError("give either the FILE of a bundle, `--key FILE`, or `--from CLIENT FILE`")
    if passphrase_file is not None and (key is not None or client is not None):
        raise UsageError("`--passphrase-file` is for bundles")
    if account_id is not None and client is None:
        raise UsageError("`--account-id` is for `--from`")


def _import_bundle(
    host: Host, name: str, file: Path, passphrase: bytes | None, *, replace: bool
) -> tuple[StoredAccount, Collection[str]]:
    """The account under the name that it has here, and the labels of the keys that came with it."""
    from acmectl.storage.bundle import read_bundle

    bundle = read_bundle(file, passphrase=passphrase)
    refuse_existing(host, name, replace=replace)
    stored = changed(bundle.account, name=name)
    _fits(host, stored, file)
    placed = _fit(host, bundle.certificate_keys, file)
    _verify(host, stored, file)
    for label, pem in placed.items():
        host.state.certificates.place_key(label, pem)
    save_imported(host, stored, "a bundle", replace=replace)
    return stored, placed.keys()


def _fit(host: Host, certificate_keys: Mapping[str, bytes], file: Path) -> dict[str, bytes]:
    """The keys of certificates by the labels that they have here, where the kinds of a certificate may be listed in another order.

    Raises UsageError for keys of certificates that this host does not have, or wants with keys of other kinds.
    """
    return {_label_here(host, label, pem, file): pem for label, pem in certificate_keys.items()}


def _label_here(host: Host, label: str, pem: bytes, file: Path) -> str:
    from acmectl import keys

    configured = label.partition(KIND)[0]
    wanted = host.config.certificates.get(configured)
    if wanted is None:
        raise UsageError(
            f"the bundle `{file}` has the key of `{label}`, and the configuration no such certificate",
            hint="give the certificate that label, or export without `--with-key`",
        )
    kind = keys.key_type_of(keys.from_pem(pem, what=f"the key of `{label}` in `{file}`"))
    for spec in wanted.specs:
        if kind is spec.key_type:
            return spec.label
    there = " and ".join(spec.key_type for spec in wanted.specs)
    raise UsageError(
        f"the bundle `{file}` has a key of type {kind or 'unknown'} for `{configured}`, and the configuration says {there}",
        hint=f"let its `key` be {kind}, or have it among several" if kind else None,
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
