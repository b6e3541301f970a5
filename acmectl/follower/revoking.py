"""Revoking a generation: at the CA first, then in all that this host remembers, so that it is never used again.

What is told to be compromised is distrusted before the CA is asked: whatever comes of that, the key is not used for another
certificate. A run that was killed half-way is repeated: the CA then says that the certificate is revoked already.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from acmectl import files, keys
from acmectl.errors import StorageError, UsageError
from acmectl.model.renewals import Reason, Revocation
from acmectl.storage.certificates import LEAF

if TYPE_CHECKING:
    from acmectl.ca.session import Session
    from acmectl.follower.means import Means
    from acmectl.model.certificates import CertificateSpec
    from acmectl.model.names import Identifier


@dataclass(frozen=True, slots=True)
class Target:
    """A certificate that can be revoked: all that matters is its leaf, so that lost or damaged keys are no obstacle."""

    generation: int
    names: frozenset[Identifier]
    serial: str
    spki: str
    not_after: datetime
    is_in_use: bool
    der: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Revoked:
    """A certificate is revoked; `was_already` if the CA had revoked it before."""

    target: Target
    revocation: Revocation
    was_already: bool


def target(means: Means, spec: CertificateSpec, generation: int | None) -> Target:
    """The generation to revoke: the one in use if none is named. Raises UsageError, KeyMaterialError, StorageError.

    One that is known to be another CA's is refused: the present one could only call it unknown.
    """
    in_use, there = means.certificates.in_use(spec.label), means.certificates.generations(spec.label)
    number = in_use if generation is None else generation
    if number is None or number not in there:
        raise UsageError(
            f"there is no {f'generation {number}' if number else 'certificate'} of `{spec.title}` to revoke",
            hint=f"there are the generations {', '.join(map(str, there))}" if there else None,
        )
    path = means.certificates.generation_directory(spec.label, number) / LEAF
    pem = files.read(path, what="the certificate")
    facts = keys.read_chain(pem, what=f"`{path}`")
    _refuse_elsewhere(means, spec, number)
    der = ssl.PEM_cert_to_DER_cert(keys.split_chain(pem)[0].decode("ascii"))
    return Target(number, facts.names, facts.serial, facts.spki, facts.not_after, number == in_use, der)


def _refuse_elsewhere(means: Means, spec: CertificateSpec, number: int) -> None:
    installed = means.certificates.installed(spec.label, number)
    issuance = means.memory.issuance(installed) if installed else None
    if issuance is not None and issuance.directory_url != means.directory_url:
        raise UsageError(
            f"generation {number} of `{spec.title}` was issued by another CA: {issuance.directory_url}",
            hint="revoke it with a configuration whose `authority` is that CA: `acmectl -c FILE cert revoke ...`",
        )


def own_key(means: Means, spec: CertificateSpec, chosen: Target) -> keys.PrivateKey:
    """The private key of the certificate. Raises KeyMaterialError and StorageError where it is not here."""
    path = means.certificates.generation_directory(spec.label, chosen.generation) / "privkey.pem"
    try:
        return keys.from_pem(files.read_secret(path, what="the private key"), what=f"`{path}`")
    except StorageError as cause:
        raise StorageError(cause.message, hint="revoke by the account: `--by account`") from cause


def revoke(
    means: Means, spec: CertificateSpec, chosen: Target, reason: Reason, *, session: Session, by_own_key: bool
) -> Revoked:
    """Revoke at the CA, mark, and put out of the way what is not in use. Raises CAError and StorageError.

    `session` has the account's key, or the certificate's with `by_own_key`.
    """
    from acmectl.ca import revocation as ca

    distrusts_key = by_own_key or reason is Reason.KEY_COMPROMISE
    if distrusts_key:
        means.certificates.keys.distrust(chosen.spki)
    is_new = ca.revoke(session, chosen.der, reason, by_own_key=by_own_key)
    known = means.revocations.of(spec.label, chosen.generation)
    mark = known or Revocation(
        chosen.generation, chosen.serial, chosen.spki, reason, means.clock(), distrusts_key=distrusts_key
    )
    means.revocations.mark(spec.label, mark)
    means.memory.clear_failure("certificate", spec.label)  # the next run is to go on at once
    means.log(spec.label, "revoked", f"generation {chosen.generation}, serial {chosen.serial}: {mark.reason}")
    archived = means.revocations.archive(spec.label, in_use=means.certificates.in_use(spec.label))
    means.memory.forget_parsed(spec.label, archived)
    return Revoked(chosen, mark, was_already=not is_new)
