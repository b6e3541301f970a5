"""Whose memories these are: what is remembered under an account's name belongs to one account URL at one CA.

Names stay while accounts change: a folder deleted and registered anew, `account import --replace`, another `authority`. The new account
has none of the old one's authorizations, so a run (which holds the lock) forgets those, and who only reads looks past them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from acmectl.model.memory import Failure, RememberedAuthorization, RememberedOrder
from acmectl.storage.memory import Memory


def is_of(memory: Memory, account: str, url: str) -> bool:
    """Whether what is remembered under the name `account` is of the account `url`, or of none yet."""
    return memory.fact(_key(account)) in {None, url}


def adopt(memory: Memory, account: str, url: str, *, certificates: Collection[str]) -> None:
    """Under the lock: from now on the name `account` means `url`, and what belongs to another URL is forgotten.

    `certificates` are the labels that are issued by this account: their failures were those of the old one.
    """
    if memory.fact(_key(account)) == url:
        return
    if not is_of(memory, account, url):
        memory.forget_account(account)
        memory.clear_failures("certificate", certificates)
    memory.set_fact(_key(account), url)


def renew(memory: Memory, account: str, *, certificates: Collection[str]) -> None:
    """Under the lock: the account works again (another key, put right by a person), so that what failed is tried at once."""
    memory.clear_failures("account", [account])
    memory.clear_failures("certificate", certificates)
    memory.clear_failures("name", [key for key in memory.failures("name") if key.startswith(f"{account}/")])


class Past(Memory):
    """A memory without what belongs to accounts that this host has no more; all else passes through."""

    def __init__(self, memory: Memory, *, accounts: Collection[str], certificates: Collection[str]) -> None:
        """`accounts` are names that mean another account now, `certificates` the labels that are issued by them."""
        self._database = memory._database  # the same file, by the same connection
        self._accounts = frozenset(accounts)
        self._certificates = frozenset(certificates)

    def authorizations(self, account: str | None = None) -> tuple[RememberedAuthorization, ...]:
        """As Memory's, of the accounts that are here."""
        return tuple(a for a in super().authorizations(account) if a.account not in self._accounts)

    def failures(self, kind: str) -> Mapping[str, Failure]:
        """As Memory's, of the accounts that are here."""
        return {key: failure for key, failure in super().failures(kind).items() if not self._is_past(kind, key)}

    def follower_order(self, label: str) -> RememberedOrder | None:
        """As Memory's, of the accounts that are here."""
        order = super().follower_order(label)
        return None if order is None or order.account in self._accounts else order

    def _is_past(self, kind: str, key: str) -> bool:
        if kind == "certificate":
            return key in self._certificates
        return key.partition("/")[0] in self._accounts


def _key(account: str) -> str:
    return f"account-url/{account}"
