"""`acmectl account register`: the one command that makes an account at the CA."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from acmectl.cli.account.choosing import chosen
from acmectl.cli.context import Context, lock_wait, pass_context
from acmectl.cli.render import accounts as words_about
from acmectl.cli.render import words
from acmectl.errors import CARefused, UsageError
from acmectl.model.certificates import KeyType

if TYPE_CHECKING:
    from acmectl.app import Host


@click.command()
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

    NAME is an account of the configuration; the only one is implied. Interrupted, the same command goes on with the same key.
    """
    from acmectl import keys
    from acmectl.app.binding import binding_for
    from acmectl.ca import accounts
    from acmectl.storage.accounts import StoredAccount

    with context.reading() as host:
        name = chosen(host, name)
        with host.state.locked(wait=lock_wait):  # before a person is asked anything
            begun = _begun(host, name)
        private_key = keys.from_pem(begun, what="the key that was begun with") if begun else keys.generate(KeyType(key))
        with host.session(private_key) as session:
            if host.config.master is not None:  # its first run would fail: better before there is an account
                session.directory.profile_for(host.config.profile)
            binding = binding_for(host.config, name, session.directory)
            terms = session.directory.terms_of_service
            agreed = agree_tos or agrees(terms)  # without the lock: that may take any time
            with host.state.locked(wait=lock_wait):
                if _begun(host, name) != begun:
                    raise UsageError(f"another command began to register `{name}` meanwhile", hint="register again")
                host.state.accounts.begin(name, keys.to_pem(private_key))
                try:
                    registered = accounts.register(
                        session, contact=host.config.contact, terms_agreed=agreed, binding=binding
                    )
                except CARefused:
                    host.state.accounts.abandon(name)
                    raise
                words.clock_warning(session.clock_offset)
                stored = StoredAccount(
                    name=name,
                    directory_url=host.config.authority.directory_url,
                    account_url=registered.url,
                    profile=host.config.profile,
                    contact=host.config.contact,
                    thumbprint=registered.thumbprint,
                    key_pem=keys.to_pem(private_key),
                    kid=binding.kid if binding else None,
                    terms=terms,
                )
                host.state.accounts.save(stored)
    words_about.account(stored, "registered")
    return 0


def _begun(host: Host, name: str) -> bytes | None:
    """The key of an interrupted registration, if there is one; under the lock. Raises UsageError where there is an account."""
    if host.state.accounts.exists(name):
        raise UsageError(
            f"there is an account `{name}` on this host already", hint="see it with `acmectl account show`"
        )
    return host.state.accounts.begun(name)


def agrees(terms: str | None) -> bool:
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
