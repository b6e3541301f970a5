"""Everything that is known of one certificate, for a person who looks closely; nobody is asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from acmectl import files, keys
from acmectl.errors import AcmectlError
from acmectl.storage.certificates import FULLCHAIN

if TYPE_CHECKING:
    from acmectl.follower.means import Means
    from acmectl.follower.standing import CertificateStatus
    from acmectl.keys import LeafFacts
    from acmectl.model.certificates import Installed
    from acmectl.model.memory import Event
    from acmectl.model.renewals import RenewalInfo, Revocation, Rollback

HISTORY = 10  # events that are shown; `acmectl log LABEL` has them all


@dataclass(frozen=True, slots=True)
class Generation:
    """A generation on the disk; `installed` is None where its files are damaged."""

    number: int
    installed: Installed | None
    revocation: Revocation | None
    is_in_use: bool


@dataclass(frozen=True, slots=True)
class CertificateView:
    """One certificate with its past. `chain` are the certificates that services send, leaf first.

    `next_pin` is that of the key made ahead, `advice` the CA's for the certificate in use, `archived` the revoked generations that
    were put out of the way.
    """

    status: CertificateStatus
    chain: tuple[LeafFacts, ...]
    next_pin: str | None
    advice: RenewalInfo | None
    rollback: Rollback | None
    generations: tuple[Generation, ...]
    archived: tuple[Revocation, ...]
    events: tuple[Event, ...]


def examine(means: Means, status: CertificateStatus) -> CertificateView:
    """All that is known of the certificate of `status`. Raises StorageError, KeyMaterialError."""
    label, have = status.spec.label, status.installed
    advice, rollback = means.memory.renewal_info(label), means.memory.rollback(label)
    return CertificateView(
        status=status,
        chain=_chain(means, have) if have else (),
        next_pin=means.certificates.keys.next_pin(label) if status.spec.prepare_key else None,
        advice=advice if have and advice and advice.fingerprint == have.fingerprint else None,
        rollback=rollback if have and rollback and rollback.fingerprint == have.fingerprint else None,
        generations=_generations(means, label),
        archived=means.revocations.archived(label),
        events=means.memory.events(status.spec.configured_label, limit=HISTORY),
    )


def _chain(means: Means, have: Installed) -> tuple[LeafFacts, ...]:
    path = means.certificates.generation_directory(have.label, have.generation) / FULLCHAIN
    pem = files.read(path, what="the certificate chain")
    return tuple(keys.read_chain(one, what=f"`{path}`") for one in keys.split_chain(pem))


def _generations(means: Means, label: str) -> tuple[Generation, ...]:
    in_use = means.certificates.in_use(label)
    return tuple(
        Generation(number, _installed(means, label, number), means.revocations.of(label, number), number == in_use)
        for number in means.certificates.generations(label)
    )


def _installed(means: Means, label: str, number: int) -> Installed | None:
    """One that cannot be read is as good as damaged here: the others are shown all the same."""
    try:
        return means.certificates.installed(label, number)
    except AcmectlError:
        return None
