"""Exchanging an account's key (RFC 8555 section 7.3.5) so that no interruption loses the account.

The new key is on the disk, beside the old one, before the CA hears of it; the old one is given up after the CA knew the new one when it was
asked. Killed anywhere between, the host has both keys, and whoever needs the account next asks whose the CA takes: one of them it is.
A new key is only thrown away when the one request that named it was refused.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from acmectl.errors import CAError, CARefused

if TYPE_CHECKING:
    from acmectl.ca.session import Session
    from acmectl.keys import PrivateKey
    from acmectl.storage.accounts import Accounts, StoredAccount
    from acmectl.storage.memory import Memory

    SessionFor = Callable[[PrivateKey, str], Session]

log = logging.getLogger(__name__)

_HOPELESS = ("badPublicKey", "badSignatureAlgorithm")
EXCHANGED = (
    "the key of the account `%s` was exchanged by a rollover that was interrupted: "
    "the other hosts of the account need a new copy (`acmectl account export`)"
)
AGAIN = "`acmectl account rollover` goes on where this ended"


def settle(accounts: Accounts, stored: StoredAccount, session_for: SessionFor) -> StoredAccount:
    """The account with the key that the CA knows; under the lock. Asks nothing where no rollover is unfinished.

    The next key stays beside one that is still the account's: the request for it may be under way. Raises CAError.
    """
    if stored.next_key_pem is None:
        return stored
    rolled = stored.rolled_over()
    if _owned(rolled, session_for):
        accounts.save(rolled, replace=True)
        log.warning(EXCHANGED, stored.name)
        return rolled
    log.warning("the rollover of the key of the account `%s` is unfinished: %s", stored.name, AGAIN)
    return stored


def roll_over(
    accounts: Accounts, stored: StoredAccount, session_for: SessionFor, *, new_key_pem: Callable[[], bytes]
) -> StoredAccount:
    """The account with its new key, after the CA confirmed it; under the lock.

    `stored` was settled; the key of a rollover that is unfinished is used again instead of a new one. Raises CAError, and the account is what
    it was, or unfinished, then.
    """
    fresh = stored.next_key_pem is None
    if fresh:
        stored = replace(stored, next_key_pem=new_key_pem())
        accounts.save(stored, replace=True)
    rolled = stored.rolled_over()
    error = _refusal(stored, rolled, session_for)
    if _owned(rolled, session_for):
        accounts.save(rolled, replace=True)
        return rolled
    if isinstance(error, CARefused) and (fresh or error.problem.type in _HOPELESS):
        accounts.save(replace(stored, next_key_pem=None), replace=True)
        raise error
    why = error.message if error else "the CA agreed to the new key, and does not know it"
    raise CAError(f"the key of the account `{stored.name}` was not exchanged: {why}", hint=AGAIN) from error


def begin(memory: Memory, stored: StoredAccount) -> None:
    """Remember which key a rollover begins with, until a person was told what is void by it (`told`); under the lock."""
    memory.set_fact(_fact(stored.name), f"{stored.account_url} {stored.thumbprint}")


def told(memory: Memory, name: str) -> None:
    """A person knows that the account has another key now; under the lock."""
    memory.set_fact(_fact(name), None)


def tell(memory: Memory, stored: StoredAccount) -> None:
    """Warn, once, of a rollover that was killed after the key was exchanged and before anybody was told; under the lock."""
    begun = memory.fact(_fact(stored.name))
    if begun is None:
        return
    url, _, thumbprint = begun.rpartition(" ")
    if url == stored.account_url and thumbprint != stored.thumbprint:
        log.warning(EXCHANGED, stored.name)
    told(memory, stored.name)


def _fact(name: str) -> str:
    return f"rollover/{name}"


def _refusal(stored: StoredAccount, rolled: StoredAccount, session_for: SessionFor) -> CAError | None:
    """Ask the CA to exchange the key; what it said against it, if anything."""
    from acmectl.ca import account_changes

    with (
        session_for(stored.private_key(), stored.account_url) as session,
        session_for(rolled.private_key(), stored.account_url) as new,
    ):
        try:
            account_changes.change_key(session, new)
        except CAError as error:
            return error
    return None


def _owned(account: StoredAccount, session_for: SessionFor) -> bool:
    """Whether the CA knows the account by this key."""
    from acmectl.ca import account_changes

    with session_for(account.private_key(), account.account_url) as session:
        return account_changes.owns(session, account.account_url)
