"""`acmectl account`: the ACME account that master and followers share; its key leaves a host only by `export`."""

from __future__ import annotations

import dataclasses
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from acmectl import files
from acmectl.cli.context import Context, as_json, lock_wait, pass_context
from acmectl.cli.render import accounts as words_about
from acmectl.cli.render import words
from acmectl.errors import AccountUnknown, CARefused, StorageError, UsageError
from acmectl.model.certificates import KeyType

if TYPE_CHECKING:
    from acmectl.app import Host
    from acmectl.storage.accounts import StoredAccount

_FILE = click.Path(path_type=Path)


@click.group()
def account() -> None:
    """Register an ACME account, and share it with followers."""


@account.command()
@click.argument("name", required=False)
@click.option("--agree-tos", is_flag=True, help="Agree to the CA's terms of service; asked on a terminal otherwise.")
@click.option(
    "--key",
    type=click.Choice([k.value for k in KeyType]),
    default=KeyType.ECDSA_P256.value,
    show_default=True,
    help="The kind of the account's key.",
)
@lock_wait
@pass_context
def register(context: Context, name: str | None, key: str, lock_wait: timedelta | None, *, agree_tos: bool) -> int:
    """Make a key and register it with the CA.

    NAME is an account of the configuration; the only one is implied.
    """
    from acmectl import keys
    from acmectl.ca import accounts
    from acmectl.storage.accounts import StoredAccount

    with context.reading() as host:
        name = _chosen(host, name)
        with host.state.locked(wait=lock_wait):  # before a person is asked anything
            _require_no(host, name)
        private_key = keys.generate(KeyType(key))
        with host.session(private_key) as session:
            if host.config.master is not None:  # its first run would fail: better before there is an account
                session.directory.profile_for(host.config.profile)
            agreed = agree_tos or _agrees(
                session.directory.terms_of_service
            )  # without the lock: that may take any time
            with host.state.locked(wait=lock_wait):
                _require_no(host, name)
                registered = accounts.register(session, contact=host.config.contact, terms_agreed=agreed)
                words.clock_warning(session.clock_offset)
                stored = StoredAccount(
                    name=name,
                    directory_url=host.config.authority.directory_url,
                    account_url=registered.url,
                    profile=host.config.profile,
                    contact=host.config.contact,
                    thumbprint=registered.thumbprint,
                    key_pem=keys.to_pem(private_key),
                )
                host.state.accounts.save(stored)
    words_about.account(stored, "registered")
    return 0


@account.command()
@click.argument("name", required=False)
@click.option("--live", is_flag=True, help="Ask the CA whether it still knows the account.")
@as_json
@pass_context
def show(context: Context, name: str | None, *, live: bool, json: bool) -> int:
    """Show the accounts of this host (or one), never a key."""
    with context.reading() as host:
        known = host.state.accounts.names()
        names = (_chosen(host, name),) if name or not known else known
        shown = [
            (stored, _live_status(host, stored) if live else None) for stored in map(host.state.accounts.load, names)
        ]
    if json:
        words.json_out({"accounts": [words_about.account_json(stored, status) for stored, status in shown]})
        return 0
    for stored, status in shown:
        words_about.account(stored, None, status)
    return 0


@account.command("export")
@click.argument("file", type=_FILE)
@click.option("--account", metavar="NAME", help="Which account, where there are several.")
@click.option("--passphrase-file", type=_FILE, metavar="FILE", help="Encrypt the bundle with the first line of FILE.")
@pass_context
def export_(context: Context, file: Path, account: str | None, passphrase_file: Path | None) -> int:
    """Write the account with its key to FILE, for a follower.

    FILE is made with mode 0600. Whoever has it can get certificates for every name that the master keeps authorized:
    carry it by a safe way, and remove it afterwards. An existing FILE is never overwritten, and the key never goes to a screen or pipe (`-`).
    """
    from acmectl.storage.bundle import write_bundle

    if str(file) == "-":
        raise UsageError(
            "the bundle holds the account's key, and is written to a file only", hint="give the name of a new file"
        )

    with context.reading() as host:
        stored = host.state.accounts.load(_chosen(host, account))
        _require_whole(stored)
        profile = host.config.profile
    write_bundle(file, dataclasses.replace(stored, profile=profile), passphrase=_passphrase(passphrase_file))
    words_about.exported(stored, file, encrypted=passphrase_file is not None)
    return 0


@account.command("import")
@click.argument("file", type=_FILE)
@click.option("--account", metavar="NAME", help="Under which name, where the configuration has several.")
@click.option("--passphrase-file", type=_FILE, metavar="FILE", help="Decrypt the bundle with the first line of FILE.")
@click.option("--replace", is_flag=True, help="Replace the account of that name on this host.")
@lock_wait
@pass_context
def import_(
    context: Context,
    file: Path,
    account: str | None,
    passphrase_file: Path | None,
    lock_wait: timedelta | None,
    *,
    replace: bool,
) -> int:
    """Take over the account that `account export` wrote to FILE.

    The CA is asked whether the key has this account; nothing is ever registered. Compare the thumbprint with the one
    that the export showed.
    """
    from acmectl.storage.bundle import read_bundle

    passphrase = _passphrase(passphrase_file)
    with context.working(lock_wait) as host:
        name = _chosen(host, account)
        bundle = dataclasses.replace(read_bundle(file, passphrase=passphrase), name=name)
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


def _chosen(host: Host, name: str | None) -> str:
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


def _require_no(host: Host, name: str) -> None:
    if host.state.accounts.exists(name):
        raise UsageError(
            f"there is an account `{name}` on this host already", hint="see it with `acmectl account show`"
        )


def _require_whole(stored: StoredAccount) -> None:
    """A damaged key is found here, and not on the follower that gets it."""
    from acmectl import keys

    if keys.thumbprint(stored.private_key()) != stored.thumbprint:
        raise StorageError(
            f"the account `{stored.name}` is damaged: its thumbprint is not its key's",
            hint="restore both files from a backup",
        )


def _agrees(terms: str | None) -> bool:
    """Whether the person agrees to the terms at this URL (RFC 8555 section 7.3.3); asked on a terminal only."""
    if terms is None:
        return True
    if not sys.stdin.isatty():
        raise UsageError(
            f"the CA asks to agree to its terms of service: {terms}", hint="read them, and add `--agree-tos`"
        )
    if not click.confirm(f"Do you agree to the CA's terms of service at {terms}?", err=True):
        raise UsageError("without agreeing to the terms of service there is no account")
    return True


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


def _live_status(host: Host, stored: StoredAccount) -> str:
    from acmectl.ca import accounts

    with host.session(stored.private_key(), stored.account_url) as session:
        try:
            return accounts.fetch(session).status
        except CARefused as refused:
            return str(refused.problem)
        finally:
            words.clock_warning(session.clock_offset)


def _passphrase(file: Path | None) -> bytes | None:
    if file is None:
        return None
    lines = files.read_secret(file, what="the passphrase").splitlines()
    if not lines or not lines[0].strip():
        raise UsageError(f"the passphrase file `{file}` is empty", hint="its first line is the passphrase")
    return lines[0]


def _profile(profile: str | None) -> str:
    return "none" if profile is None else f"`{profile}`"
