"""`acmectl account update`, `rollover` and `deactivate`: what changes an account at the CA, and for every host that has it."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from acmectl import files
from acmectl.cli.account.choosing import FILE, chosen, passphrase_in, remember, subject
from acmectl.cli.account.registering import agrees
from acmectl.cli.context import Context, lock_wait, pass_context
from acmectl.cli.render import accounts as words_about
from acmectl.cli.render import words
from acmectl.errors import StorageError, UsageError
from acmectl.model.certificates import KeyType

if TYPE_CHECKING:
    from acmectl.app import Host
    from acmectl.model.memory import Event
    from acmectl.storage.accounts import StoredAccount

_ROOM = 16_384  # bytes: no bundle of an account alone is larger


@click.command()
@click.argument("name", required=False)
@click.option("--agree-tos", is_flag=True, help="Agree to the CA's terms of service, if they changed.")
@click.option("--no-contact", is_flag=True, help="Take all contacts away, where the configuration has none.")
@lock_wait
@pass_context
def update(
    context: Context, name: str | None, lock_wait: timedelta | None, *, agree_tos: bool, no_contact: bool
) -> int:
    """Give the account the contacts of the configuration.

    NAME is an account of the configuration; the only one is implied. When the CA's terms of service changed since they were
    agreed to here, that is asked on a terminal.
    """
    from acmectl.ca import account_changes

    with context.reading() as host:
        name = chosen(host, name)
        contact = host.config.contact
        before = host.state.accounts.load(name)
        if before.contact and not contact and not no_contact:
            raise UsageError(
                f"the configuration has no `contact`, and the account has {', '.join(before.contact)}",
                hint="write it into the configuration, or take it away with `--no-contact`",
            )
        with host.session() as session:
            terms = session.directory.terms_of_service
        agreed = agree_tos or _agrees_anew(before, terms)  # without the lock: that may take any time
        with host.state.locked(wait=lock_wait):
            stored = host.account(name)
            with host.session(stored.private_key(), stored.account_url) as session:
                account_changes.update(session, contact=contact, terms_agreed=agreed)
                words.clock_warning(session.clock_offset)
            updated = replace(stored, contact=contact, terms=terms if agreed else stored.terms)
            host.state.accounts.save(updated, replace=True)
    words_about.account(updated, "updated")
    if stored.terms not in {None, terms} and not agreed:
        words_about.terms_changed(terms)
    return 0


@click.command()
@click.argument("name", required=False)
@click.option(
    "--key",
    type=click.Choice([k.value for k in KeyType]),
    default=KeyType.ECDSA_P256.value,
    show_default=True,
    help="The kind of the new key.",
)
@click.option("--bundle", type=FILE, metavar="FILE", help="Export the account with its new key to FILE.")
@click.option("--passphrase-file", type=FILE, metavar="FILE", help="Encrypt the bundle with the first line of FILE.")
@lock_wait
@pass_context
def rollover(
    context: Context,
    name: str | None,
    *,
    key: str,
    bundle: Path | None,
    passphrase_file: Path | None,
    lock_wait: timedelta | None,
) -> int:
    """Give the account a new key; the old one stops at once.

    Authorizations and certificates stay. Every other host of the account, master or follower, needs a new copy: import
    the bundle there with --replace. Interrupted at any point, both keys are kept, and the next command or run finds out
    which one the CA knows.
    """
    from acmectl.app.rollover import told

    is_asked = click.get_current_context().get_parameter_source("key") is not ParameterSource.DEFAULT
    passphrase = passphrase_in(passphrase_file)
    _check_bundle(bundle, passphrase_file)
    with context.working(lock_wait) as host:
        name = chosen(host, name)
        if is_asked:
            _refuse_another_kind(host, name, KeyType(key))
        rolled = _rolled_over(host, name, KeyType(key))
        words_about.account(rolled, "rolled over")
        words_about.void(_void_exports(host, name))  # now: whatever fails from here on, those copies are void
        remember(host, name, "rolled over", f"to the key with the thumbprint {rolled.thumbprint}")
        told(host.state.memory, name)
        if bundle is not None:
            write_bundle(host, rolled, bundle, passphrase)
    words_about.other_hosts(rolled, bundle, encrypted=passphrase is not None)
    return 0


@click.command()
@click.argument("name", required=False)
@click.option("--confirm", metavar="URL", help="The account's URL, as a confirmation; asked on a terminal otherwise.")
@lock_wait
@pass_context
def deactivate(context: Context, name: str | None, confirm: str | None, lock_wait: timedelta | None) -> int:
    """Give the account up, for good, on every host that has it.

    Nobody can get certificates by it any more, and its authorizations are lost; certificates that are there stay valid.
    The files of the account are put into the archive of the state directory.
    """
    from acmectl.ca import account_changes

    with context.reading() as host:
        name = chosen(host, name)
        meant = host.state.accounts.load(name)
        _confirm(meant, confirm)  # without the lock: that may take any time
        with host.state.locked(wait=lock_wait):
            stored = host.account(name)
            if stored.account_url != meant.account_url:
                raise UsageError(f"the account `{name}` was replaced meanwhile: nothing was done")
            with host.session(stored.private_key(), stored.account_url) as session:
                account_changes.deactivate(session)
                words.clock_warning(session.clock_offset)
            archived = host.state.accounts.archive(name, at=host.clock())
            host.state.memory.forget_account(name)  # its authorizations are lost with it
            remember(host, name, "deactivated", f"{stored.account_url}, archived as {archived}")
    words_about.deactivated(stored, archived)
    return 0


def _agrees_anew(stored: StoredAccount, terms: str | None) -> bool:
    """Whether a person agrees to terms that changed; nobody is asked about the same ones, or away from a terminal."""
    if terms is None or stored.terms in {None, terms} or not sys.stdin.isatty():
        return False
    return agrees(terms)


def _refuse_another_kind(host: Host, name: str, key_type: KeyType) -> None:
    """A rollover that was begun goes on with the key that it was begun with."""
    from acmectl import keys

    begun = host.state.accounts.load(name).next_key_pem
    if begun is None:
        return
    kind = keys.key_type_of(keys.from_pem(begun, what=f"the next key of the account `{name}`"))
    if kind is not key_type:
        raise UsageError(
            f"the rollover of the key of `{name}` is unfinished, and its new key is of type {kind or 'unknown'}",
            hint=f"finish it without `--key`: `acmectl account rollover {name}`; another one brings a key of type {key_type}",
        )


def _rolled_over(host: Host, name: str, key_type: KeyType) -> StoredAccount:
    """The account with a new key; where an earlier command was killed after the CA had changed the key, that one is it."""
    from acmectl import keys
    from acmectl.app.rollover import begin, roll_over

    was_unfinished = host.state.accounts.load(name).next_key_pem is not None
    stored = host.account(name)
    if was_unfinished and stored.next_key_pem is None:
        return stored
    begin(host.state.memory, stored)
    return roll_over(
        host.state.accounts, stored, host.session, new_key_pem=lambda: keys.to_pem(keys.generate(key_type))
    )


def _check_bundle(bundle: Path | None, passphrase_file: Path | None) -> None:
    """A bundle that cannot be written is told before the old bundles become void: something as large is written beside it."""
    if bundle is None:
        if passphrase_file is not None:
            raise UsageError("`--passphrase-file` is for `--bundle`", hint="give the bundle a file: `--bundle FILE`")
        return
    if bundle.exists() or not bundle.absolute().parent.is_dir():
        why = "exists already" if bundle.exists() else "would be in a directory that does not exist"
        raise UsageError(f"`{bundle}` {why}", hint="choose another file for `--bundle`")
    trial = files.temporary_name(bundle)
    try:
        files.write_new(trial, bytes(_ROOM))
    except StorageError as cause:
        raise UsageError(
            f"`{bundle}` cannot be made: {cause.message}", hint="choose another file for `--bundle`"
        ) from cause
    finally:
        with contextlib.suppress(OSError):
            trial.unlink()


def write_bundle(host: Host, rolled: StoredAccount, bundle: Path, passphrase: bytes | None) -> None:
    """Export the account after its key was exchanged, under the lock. Raises StorageError that says that it was."""
    from acmectl.cli.account.exporting import write_export

    try:
        write_export(host, rolled, bundle, passphrase=passphrase)
    except StorageError as error:
        raise StorageError(
            f"the key was exchanged, and the bundle was not written: {error.message}",
            hint=f"export it: `acmectl account export FILE --account {rolled.name}`; the key need not be exchanged again",
        ) from error


def _confirm(stored: StoredAccount, url: str | None) -> None:
    if url is None:
        if not sys.stdin.isatty():
            raise UsageError(
                f"the account `{stored.name}` is {stored.account_url}, and deactivating it is for good",
                hint=f"confirm it: `--confirm {stored.account_url}`",
            )
        words_about.account(stored, None)
        url = str(click.prompt("Deactivating is for good. Type the URL of the account to confirm", err=True)).strip()
    if url != stored.account_url:
        raise UsageError(f"that is not the URL of the account `{stored.name}`: nothing was done")


def _void_exports(host: Host, name: str) -> tuple[Event, ...]:
    """The exports since the key was last exchanged, as far as this host remembers."""
    events = host.state.memory.events(subject(name))
    last = max((at for at, event in enumerate(events) if event.kind == "rolled over"), default=-1)
    return tuple(event for event in events[last + 1 :] if event.kind == "exported")
