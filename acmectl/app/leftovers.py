"""Certificates that lie on this host, and that the configuration does not name any more: out of use, or out of sight.

A label that was renamed, a kind of key that was given up: services may still use what is there, and a stolen key of it must be revocable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from acmectl.model.certificates import KIND, CertificateSpec, KeyType

if TYPE_CHECKING:
    from acmectl.app.host import Host
    from acmectl.follower import Wish
    from acmectl.model.certificates import Installed


def labels(host: Host) -> tuple[str, ...]:
    """The labels of certificates that are here and are no configured ones, sorted. Raises StorageError."""
    configured = {spec.label for wanted in host.config.certificates.values() for spec in wanted.specs}
    certificates = host.state.certificates
    return tuple(
        label for label in certificates.labels() if label not in configured and certificates.generations(label)
    )


def account_of(host: Host, label: str) -> str | None:
    """The account that such a certificate was most likely issued by: its other kinds' or the only one; None where that is open."""
    sibling = host.config.certificates.get(label.partition(KIND)[0])
    if sibling is not None:
        return sibling.spec.account
    return host.config.accounts[0] if len(host.config.accounts) == 1 else None


def wish(host: Host, label: str, *, account: str | None = None) -> Wish:
    """Such a certificate as what the follower's engine looks at and revokes; it is deployed nowhere. Raises StorageError."""
    from acmectl.follower import Wish

    have = _installed(host, label)
    spec = CertificateSpec(
        label=label,
        names=have.names if have else frozenset(),
        account=account or account_of(host, label) or "",
        profile=None,
        key_type=(have.key_type if have else None) or KeyType.ECDSA_P256,
    )
    return Wish(spec, ())


def _installed(host: Host, label: str) -> Installed | None:
    """The certificate in use, else the newest that can be read."""
    certificates = host.state.certificates
    if (current := certificates.current(label)) is not None:
        return current
    found = (certificates.installed(label, number) for number in reversed(certificates.generations(label)))
    return next((have for have in found if have is not None), None)
