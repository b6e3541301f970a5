"""The accounts that a configuration names, as they are stored: which can be used, and what is remembered of them.

Everything that is remembered belongs to an account at the CA. Where another one lies under the same name now, or where nobody can
tell, what was remembered counts for nothing.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from acmectl.errors import AccountElsewhere, StorageError
from acmectl.storage import identity

if TYPE_CHECKING:
    from acmectl.config import Config
    from acmectl.storage.accounts import StoredAccount
    from acmectl.storage.memory import Memory
    from acmectl.storage.state import StateDirectory


def in_use(config: Config, state: StateDirectory) -> tuple[dict[str, str], dict[str, StorageError]]:
    """The URLs of the accounts that are in use, by name, and why others cannot be used."""
    entries = config.master.authorize if config.master else ()
    certificates = config.certificates.values()
    urls, unusable = {}, {}
    for name in dict.fromkeys([*(e.account for e in entries), *(c.spec.account for c in certificates)]):
        try:
            stored = state.accounts.load(name)
            check_authority(stored, config.authority.directory_url)
        except StorageError as error:
            unusable[name] = error
        else:
            urls[name] = stored.account_url
    return urls, unusable


def check_authority(stored: StoredAccount, directory_url: str) -> None:
    """Raises AccountElsewhere for an account of another CA than the configuration's."""
    if stored.directory_url != directory_url:
        raise AccountElsewhere(
            f"the account `{stored.name}` belongs to another CA: {stored.directory_url}",
            hint=f"the configuration says {directory_url}: set `authority`, "
            "or register or import an account there under another name",
        )


def memory(config: Config, state: StateDirectory) -> Memory:
    """What is remembered, without what belongs to accounts that were replaced since, or cannot be used now."""
    urls, unusable = in_use(config, state)
    replaced = [name for name, url in urls.items() if not identity.is_of(state.memory, name, url)]
    past = [*unusable, *replaced]
    if not past:
        return state.memory
    return identity.Past(state.memory, accounts=past, certificates=_issued_by(config, past))


def adopt(config: Config, state: StateDirectory) -> None:
    """Forgets what belongs to accounts that were replaced; for a run, which holds the lock."""
    for name, url in in_use(config, state)[0].items():
        identity.adopt(state.memory, name, url, certificates=_issued_by(config, [name]))


def _issued_by(config: Config, accounts: Collection[str]) -> list[str]:
    certificates = config.certificates.values()
    return [spec.label for wanted in certificates for spec in wanted.specs if spec.account in accounts]
