"""`acmectl account import --from CLIENT PATH`: an account that another client registered, with nothing proven again."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from acmectl.cli.account.choosing import chosen, refuse_existing, save_imported
from acmectl.cli.context import Context
from acmectl.cli.render import accounts as words_about
from acmectl.cli.render import words
from acmectl.errors import AccountUnknown, UsageError

if TYPE_CHECKING:
    from acmectl.app import Host
    from acmectl.importing.accounts import ForeignAccount
    from acmectl.keys import PrivateKey
    from acmectl.storage.accounts import StoredAccount

CLIENTS = ("certbot", "lego", "acmebot")


def import_foreign(
    context: Context,
    client: str,
    path: Path,
    *,
    account_id: str | None,
    account: str | None,
    lock_wait: timedelta | None,
    replace: bool,
) -> int:
    """Save the account of `client` below `path` as the account of the configuration called `account`."""
    with context.working(lock_wait) as host:
        name = chosen(host, account)
        refuse_existing(host, name, replace=replace)
        stored = foreign_account(host, client, path, account_id, name=name)
        save_imported(host, stored, client, replace=replace)
    words_about.account(stored, f"imported from {client}")
    return 0


def import_key(context: Context, file: Path, *, account: str | None, lock_wait: timedelta | None, replace: bool) -> int:
    """Save the account that the CA has for the key in `file`, PEM or JWK, as the account of the configuration called `account`."""
    with context.working(lock_wait) as host:
        name = chosen(host, account)
        refuse_existing(host, name, replace=replace)
        stored = _account_of_key(host, file, name=name)
        save_imported(host, stored, "its key", replace=replace)
    words_about.account(stored, "imported by its key")
    return 0


def _account_of_key(host: Host, file: Path, *, name: str) -> StoredAccount:
    from acmectl import files, keys
    from acmectl.importing.jwk import looks_like_jwk, read_jwk

    what = f"the account key `{file}`"
    content = files.read_secret(file, what="the account key")
    key = read_jwk(content, what=what) if looks_like_jwk(content) else keys.from_pem(content, what=what)
    return _found(host, key, file, name=name)


def foreign_account(host: Host, client: str, path: Path, account_id: str | None, *, name: str) -> StoredAccount:
    """The account of `client` below `path` as ours called `name`, after asking the CA whether its key has it.

    Raises TakeoverError for files that cannot be read, UsageError where there are several, none at the configuration's CA,
    or the CA knows another.
    """
    from acmectl.importing.accounts import find_accounts, is_exposed

    foreign = _selected(find_accounts(client, path), host.config.authority.directory_url, account_id)
    stored = _found(host, foreign.private_key(), foreign.key_file, name=name, contact=foreign.contact)
    if foreign.url is not None and stored.account_url != foreign.url:
        raise UsageError(
            f"the key `{foreign.key_file}` has the account {stored.account_url}, and {client} says {foreign.url}",
            hint=f"is it an account at {stored.directory_url}, as the configuration says?",
        )
    if is_exposed(foreign.key_file):
        words.say("warning", f"the key `{foreign.key_file}` can be read by others: consider it known", words.YELLOW)
    return stored


def _found(host: Host, key: PrivateKey, file: Path, *, name: str, contact: tuple[str, ...] = ()) -> StoredAccount:
    """The account that the CA has for a key (`onlyReturnExisting`, RFC 8555 section 7.3.1); nothing is registered."""
    from acmectl import keys
    from acmectl.ca import accounts
    from acmectl.storage.accounts import StoredAccount

    directory_url = host.config.authority.directory_url
    with host.session(key) as session:
        try:
            found = accounts.find(session)
        except AccountUnknown as error:
            raise UsageError(
                f"the CA knows no account for the key `{file}`",
                hint=f"is it an account at {directory_url}, as the configuration says?",
            ) from error
        words.clock_warning(session.clock_offset)
    return StoredAccount(
        name=name,
        directory_url=directory_url,
        account_url=found.url,
        profile=host.config.profile,
        contact=found.contact or contact or host.config.contact,
        thumbprint=found.thumbprint,
        key_pem=keys.to_pem(key),
    )


def _selected(found: tuple[ForeignAccount, ...], directory_url: str, account_id: str | None) -> ForeignAccount:
    """The account that a person means: by its id or URL, else the only one at the configuration's CA."""
    if account_id is not None:
        named = [account for account in found if account_id in {account.id, account.url}]
        if not named:
            raise UsageError(f"there is no {found[0].client} account `{account_id}`", hint=f"there is {_listed(found)}")
    else:
        named = list(found)
    here = [account for account in named if account.is_at(directory_url)]
    if not here:
        raise UsageError(
            f"{found[0].client} has no account at the configuration's CA, {directory_url}",
            hint=f"it has {_listed(tuple(named))}: set `authority` to that CA",
        )
    if len({account.key_file.resolve() for account in here}) > 1:
        raise UsageError(
            f"{found[0].client} has several accounts there",
            hint=f"choose one with `--account-id`: {_listed(tuple(here))}",
        )
    return here[0]


def _listed(accounts: tuple[ForeignAccount, ...]) -> str:
    return ", ".join(f"`{account.id}` at {account.server or 'an unknown CA'}" for account in accounts)
