"""Accounts: found by key, registered, changed, rekeyed, deactivated (RFC 8555 section 7.3)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from acmectl.sandbox.objects import Account, Jwk
from acmectl.sandbox.problems import Refused, refuse, unauthorized
from acmectl.sandbox.state import State

_ADDRESS = re.compile(r"mailto:[^@\s,?]+@[^@\s,?]+\.[^@\s,?]+\Z")
_MAX_CONTACTS = 10


class Accounts:
    """Who may ask for orders."""

    def __init__(self, state: State) -> None:
        self._state = state

    def by_key(self, thumbprint: str) -> Account | None:
        """The account of a key."""
        with self._state.lock:
            return self._state.store.by_thumbprint.get(thumbprint)

    def by_number(self, number: int) -> Account:
        """The account of a `kid`; raises for one that is unknown or deactivated."""
        with self._state.lock:
            found = self._state.store.accounts.get(number)
            if found is None:
                raise refuse("accountDoesNotExist", f'Account "{number}" not found')
            refuse_deactivated(found)
            return found

    def register(self, jwk: Jwk, thumbprint: str, *, contacts: Sequence[str], terms_agreed: bool) -> Account:
        """A new account; the caller has looked for an old one with `by_key`."""
        if not terms_agreed:
            raise refuse("userActionRequired", "must agree to terms of service", 403)
        checked = check_contacts(contacts)
        with self._state.lock:
            found = self._state.store.by_thumbprint.get(thumbprint)
            if found is None:
                found = Account(self._state.store.number(), jwk, thumbprint, checked)
                self._state.store.add_account(found)
            return found

    def change_contacts(self, account: Account, contacts: Sequence[str]) -> None:
        """Replace the contacts."""
        checked = check_contacts(contacts)
        with self._state.lock:
            account.contacts = checked

    def deactivate(self, account: Account) -> None:
        """Deactivate for ever (RFC 8555 section 7.3.6)."""
        with self._state.lock:
            account.status = "deactivated"

    def rekey(self, account: Account, jwk: Jwk, thumbprint: str) -> Account | None:
        """Give `account` the new key, or return the account that has it already (RFC 8555 section 7.3.5)."""
        with self._state.lock:
            holder = self._state.store.by_thumbprint.get(thumbprint)
            if holder is None:
                self._state.store.rekey(account, jwk, thumbprint)
            return holder


def refuse_deactivated(account: Account) -> None:
    """Raise `unauthorized` for an account that is not valid (RFC 8555 section 7.3.6)."""
    if account.status != "valid":
        raise unauthorized(f'Account is not valid, has status "{account.status}"')


def check_contacts(contacts: Sequence[str]) -> tuple[str, ...]:
    """The contacts, if a CA would take them: `mailto:` with one address and no header fields."""
    if len(contacts) > _MAX_CONTACTS:
        raise refuse("malformed", f"too many contacts provided: {len(contacts)} > {_MAX_CONTACTS}")
    for contact in contacts:
        _check_contact(contact)
    return tuple(contacts)


def _check_contact(contact: str) -> None:
    if not contact.startswith("mailto:"):
        raise refuse("unsupportedContact", f'only contact scheme "mailto:" is supported, not {contact!r}')
    if not _ADDRESS.match(contact) or not contact.isascii():
        raise _invalid(contact, "unable to parse email address")
    if contact.rsplit("@", 1)[1] in {"example.com", "example.net", "example.org"}:
        raise _invalid(contact, "contact email has forbidden domain")


def _invalid(contact: str, why: str) -> Refused:
    return refuse("invalidContact", f"{why}: {contact!r}")
