"""`acmectl account export`: the one copy that a follower needs, and the only way in which a key leaves this host."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from acmectl import files
from acmectl.cli.account.choosing import FILE, chosen, passphrase_in, remember
from acmectl.cli.account.handing_over import export_foreign
from acmectl.cli.account.taking_over import CLIENTS
from acmectl.cli.context import Context, lock_wait, pass_context
from acmectl.cli.render import accounts as words_about
from acmectl.errors import StorageError, UsageError
from acmectl.model.certificates import KIND, title_of

if TYPE_CHECKING:
    from acmectl.app import Host
    from acmectl.storage.accounts import StoredAccount


@click.command("export")
@click.argument("file", type=FILE)
@click.option("--account", metavar="NAME", help="Which account, where there are several.")
@click.option("--passphrase-file", type=FILE, metavar="FILE", help="Encrypt the bundle with the first line of FILE.")
@click.option(
    "--with-key",
    "labels",
    envvar="ACMECTL_ACCOUNT_EXPORT_WITH_KEY",
    multiple=True,
    metavar="LABEL",
    help="Add the private key of this certificate, for hosts that share it on purpose; needs --passphrase-file.",
)
@click.option(
    "--for",
    "client",
    envvar="ACMECTL_ACCOUNT_EXPORT_FOR",
    type=click.Choice(CLIENTS),
    help="FILE is the folder of another client: write its files there.",
)
@lock_wait
@pass_context
def export_(
    context: Context,
    file: Path,
    *,
    account: str | None,
    passphrase_file: Path | None,
    labels: tuple[str, ...],
    client: str | None,
    lock_wait: timedelta | None,
) -> int:
    """Write the account with its key to FILE, for a follower.

    FILE is made with mode 0600. Whoever has it can get certificates for every name that the master keeps authorized:
    carry it by a safe way, and remove it afterwards. An existing FILE is never overwritten, and the key never goes to a
    screen or pipe (`-`).

    With --for, another client gets the account: certbot (FILE is its --config-dir), lego (its --path) or acmebot (its
    folder `resource`). It then issues, without any challenge, what the master keeps authorized.
    """
    if client is not None and (passphrase_file is not None or labels):
        raise UsageError(
            f"the files of {client} cannot be encrypted, nor hold keys of certificates",
            hint="leave out `--passphrase-file` and `--with-key`",
        )
    if labels and passphrase_file is None:
        raise UsageError(
            "the key of a certificate leaves this host only in an encrypted bundle", hint="add `--passphrase-file FILE`"
        )
    if str(file) == "-":
        raise UsageError(
            "the bundle holds the account's key, and is written to a file only", hint="give the name of a new file"
        )
    passphrase = passphrase_in(passphrase_file)
    with context.working(lock_wait) as host:
        stored = _exportable(host, chosen(host, account))
        if client is not None:
            export_foreign(host, stored, client, file)
            return 0
        keys_of = write_export(host, stored, file, passphrase=passphrase, labels=labels)
        changing = _will_change(host, keys_of)
    words_about.exported(stored, file, keys_of, encrypted=passphrase is not None)
    words_about.keys_will_change(changing)
    return 0


def write_export(
    host: Host, stored: StoredAccount, file: Path, *, passphrase: bytes | None, labels: Sequence[str] = ()
) -> tuple[str, ...]:
    """Write a bundle with the account, and what this host knows of the names that are authorized for it; under the lock.

    The keys of the certificates `labels`, of all their kinds, go with it; returns whose they are. Raises StorageError, UsageError.
    """
    from acmectl.storage.bundle import Bundle, write_bundle

    carried = {title: pem for label in labels for title, pem in _certificate_keys(host, label).items()}
    kept = tuple(sorted(wanted.identifier.value for wanted in host.wanted if wanted.account == stored.name))
    account = replace(stored, profile=host.config.profile, opens=kept or stored.opens)
    write_bundle(file, Bundle(account, carried), passphrase=passphrase)
    with_keys = f" with the key of {', '.join(carried)}" if carried else ""
    remember(host, stored.name, "exported", f"to {file.absolute()}{with_keys}")
    return tuple(carried)


def _exportable(host: Host, name: str) -> StoredAccount:
    """The account, if its key is whole, and will be the account's for longer than a moment."""
    stored = host.state.accounts.load(name)
    if stored.next_key_pem is not None:
        stored = host.account(name)
    if stored.next_key_pem is not None:
        raise UsageError(
            f"the rollover of the key of `{name}` is unfinished: a copy could be void at any moment",
            hint=f"finish it: `acmectl account rollover {name}`",
        )
    _require_whole(stored)
    return stored


def _require_whole(stored: StoredAccount) -> None:
    """A damaged key is found here, and not on the follower that gets it."""
    from acmectl import keys

    if keys.thumbprint(stored.private_key()) != stored.thumbprint:
        raise StorageError(
            f"the account `{stored.name}` is damaged: its thumbprint is not its key's",
            hint="restore both files from a backup",
        )


def _certificate_keys(host: Host, label: str) -> dict[str, bytes]:
    """The keys of a certificate in all its kinds: the one that was placed for it, else the one in use.

    Raises UsageError where there is none, or one was revoked as compromised; StorageError.
    """
    certificates = host.state.certificates
    found = {}
    wanted = host.config.certificates.get(label)
    here = [spec.label for spec in wanted.specs] if wanted else []  # else all that is left of it
    for kind in here or [kind for kind in certificates.labels() if kind.partition(KIND)[0] == label]:
        path = certificates.keys.in_use(kind)
        if (placed := certificates.placed_key(kind)) is not None:
            found[kind] = placed
        elif path.exists():
            found[kind] = files.read_secret(path, what="the private key")
    if not found:
        there = ", ".join(f"`{known}`" for known in certificates.labels() if KIND not in known)
        raise UsageError(f"there is no key of a certificate `{label}` on this host", hint=there and f"there is {there}")
    for kind, pem in found.items():
        _refuse_compromised(host, kind, pem)
    return found


def _refuse_compromised(host: Host, label: str, pem: bytes) -> None:
    """A key that this host itself never uses again is given to no other."""
    from acmectl import keys

    if keys.pin(keys.from_pem(pem, what=f"the key of `{label}`")) in host.state.certificates.keys.distrusted():
        raise UsageError(
            f"the key of `{title_of(label)}` was revoked as compromised, and is never used again",
            hint=f"`acmectl cert renew {label.partition(KIND)[0]}` issues with another",
        )


def _will_change(host: Host, labels: Sequence[str]) -> tuple[str, ...]:
    """Those whose key this host itself will replace at its next renewal, so that it is shared no more."""
    specs = {spec.label: spec for wanted in host.config.certificates.values() for spec in wanted.specs}
    return tuple(
        label
        for label in labels
        if (spec := specs.get(label)) is not None
        and not (spec.reuse_key or spec.key_file or spec.csr_file)
        and host.state.certificates.placed_key(label) is None
    )
