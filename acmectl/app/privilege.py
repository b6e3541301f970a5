"""Whether this host's account opens more names than the host needs.

A stolen account key is worth every name that is authorized for it. No CA lists an account's authorizations to its clients (Boulder has no
such list), so a follower only knows what the master said when it exported the account; a host that keeps names authorized for an
account itself needs its key in any case.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from acmectl.errors import StorageError

if TYPE_CHECKING:
    from acmectl.app.host import Host


@dataclass(frozen=True, slots=True)
class Excess:
    """Names in A-label form, sorted, that an account opens, and that no certificate of this host has."""

    account: str
    names: tuple[str, ...]


def excess(host: Host) -> tuple[Excess, ...]:
    """What a thief of this host's account keys could get beyond what the host itself has; by account."""
    found = (_of_account(host, name) for name in host.config.accounts)
    return tuple(one for one in found if one is not None and one.names)


def _of_account(host: Host, name: str) -> Excess | None:
    if any(wanted.account == name for wanted in host.wanted):
        return None
    try:
        opened = host.state.accounts.load(name).opens
    except StorageError:  # missing, or not for our eyes: whoever uses it says so
        return None
    certificates = (c.spec for c in host.config.certificates.values() if c.spec.account == name)
    needed = {identifier.value for spec in certificates for identifier in spec.names}
    return Excess(name, tuple(sorted(set(opened or ()) - needed)))
