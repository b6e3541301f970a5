"""The key (or the person's CSR) of the next generation: chosen by policy, made or fetched here, once an order is ready and not before.

A key made ahead stays in its place until the generation that has it is in use, so that a run that is killed loses none; the
next one is made then.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from acmectl import files, keys
from acmectl.errors import KeyMaterialError, UsageError
from acmectl.follower.outcomes import KeyNotAccepted
from acmectl.model.certificates import CertificateSpec, ImposedKey
from acmectl.policy import key_choice, tlsa
from acmectl.policy.key_choice import KeyAtHand, KeysAtHand, Source
from acmectl.storage.certificate_keys import PLACED

if TYPE_CHECKING:
    from acmectl.storage.certificates import Certificates, Draft


def check(certificates: Certificates, spec: CertificateSpec) -> KeysAtHand:
    """What there is to choose from, before anything is asked of a CA.

    Raises KeyMaterialError for an imposed key that must not be used, and a CSR for other names; StorageError.
    """
    at_hand = certificates.keys.at_hand(spec)
    imposed = at_hand.imposed
    if imposed is None:
        _check_accepted(certificates, spec, at_hand)
        return at_hand
    if imposed.spki in at_hand.distrusted:
        raise KeyMaterialError(
            f"the key of `{spec.title}` was revoked as compromised, and is never used again ({imposed.origin})",
            hint="give it another key",
        )
    check_names(spec, imposed)
    _check_accepted(certificates, spec, at_hand)
    return at_hand


def _check_accepted(certificates: Certificates, spec: CertificateSpec, at_hand: KeysAtHand) -> None:
    """Raises KeyNotAccepted for a key that must not be used before every client accepts it."""
    pin = key_choice.waits(at_hand)
    if pin is None:
        return
    known = certificates.keys.published.known(spec.label)
    follows = at_hand.serving is not None
    whose = f" ({at_hand.imposed.origin})" if at_hand.imposed else ""
    raise KeyNotAccepted(
        f"the key of `{spec.title}`{whose} must not be used yet: {tlsa.wait_for(pin, known, follows=follows)}",
        hint=f"`acmectl cert tlsa {spec.configured_label}` prints what the zone needs; then runs wait until it is accepted",
        until=tlsa.ready_at(pin, known, follows=follows),
    )


def remark(certificates: Certificates, spec: CertificateSpec, spki: str) -> str | None:
    """What a person should know of the key with this pin, which is about to be used. Raises as `check` does."""
    at_hand = certificates.keys.at_hand(spec)
    following = at_hand.following
    if at_hand.usable is None or following is None or at_hand.is_accepted(following):
        return None
    known, follows = certificates.keys.published.known(spec.label), at_hand.serving is not None
    waits_for = tlsa.wait_for(following, known, follows=follows)
    if spki == following:
        return (
            f"its new key is used before every client accepts it, because the one before was compromised: {waits_for}"
        )
    if (
        at_hand.imposed is None
        and spec.reuse_key
        and not key_choice.is_left(at_hand)
        and at_hand.in_use
        and at_hand.in_use.key_type is spec.key_type
    ):
        return None
    return f"it has the key of the one before, because the next key waits: {waits_for}"


def check_names(spec: CertificateSpec, imposed: ImposedKey) -> None:
    """Raises KeyMaterialError for a CSR that asks for other names than the certificate has."""
    if imposed.names is None or imposed.names == spec.names:
        return
    lacking, more = sorted(spec.names - imposed.names), sorted(imposed.names - spec.names)
    told = [f"lacks {', '.join(map(str, lacking))}"] if lacking else []
    told += [f"has also {', '.join(map(str, more))}"] if more else []
    raise KeyMaterialError(
        f"{imposed.origin} {' and '.join(told)}",
        hint="its names must be those of the certificate: make another CSR, or change `names`",
    )


def begin(certificates: Certificates, spec: CertificateSpec) -> Draft:
    """The next generation as a draft, for an order that is ready. Raises KeyMaterialError, StorageError."""
    at_hand = check(certificates, spec)
    if spec.csr_file is not None:
        return certificates.begin_for_csr(spec.label, files.read(Path(spec.csr_file), what="the CSR"))
    return certificates.begin(spec.label, _key(certificates, spec, at_hand))


def fits(certificates: Certificates, spec: CertificateSpec, draft: Draft) -> bool:
    """Whether the draft of an interrupted run is for the key that would be chosen now. Raises as `check` does."""
    if bool(draft.csr_pem) != (spec.csr_file is not None):
        return False
    key_type = keys.key_type_of(keys.from_pem(draft.key_pem, what="the key of the draft")) if draft.key_pem else None
    return key_choice.fits(spec, KeyAtHand(draft.spki, key_type), check(certificates, spec))


def csr_of(draft: Draft, spec: CertificateSpec) -> bytes:
    """The CSR to finalize with, in DER."""
    if draft.csr_pem:
        return keys.read_csr(draft.csr_pem, what="the CSR of the draft").der
    return keys.csr_der(keys.from_pem(draft.key_pem, what="the key of the draft"), spec.names)


def keep_prepared(certificates: Certificates, spec: CertificateSpec) -> None:
    """See to it that there is a key for the next key change, if one is wanted. Raises StorageError, KeyMaterialError."""
    if not spec.prepare_key:
        return
    at_hand = certificates.keys.at_hand(spec)
    if not key_choice.is_prepared(spec, at_hand):
        certificates.keys.prepare(spec.label, keys.to_pem(keys.generate(spec.key_type)))


def leave(certificates: Certificates, specs: Iterable[CertificateSpec]) -> None:
    """Have the keys in use replaced as soon as that may be; all of them, or none.

    Raises UsageError for a person's own key; StorageError, KeyMaterialError.
    """
    published = certificates.keys.published
    left = {spec.label: (published.load(spec.label), _replaceable(certificates, spec)) for spec in specs}
    for label, (known, spki) in left.items():
        if spki is not None:
            published.save(label, replace(known, left=spki))


def _replaceable(certificates: Certificates, spec: CertificateSpec) -> str | None:
    """The pin of the key in use, if there is one."""
    at_hand = certificates.keys.at_hand(spec)
    if at_hand.imposed is not None or spec.csr_file is not None:
        origin = at_hand.imposed.origin if at_hand.imposed else "a CSR"
        raise UsageError(f"the key of `{spec.title}` is your own: {origin}", hint="replace it there: runs notice that")
    return at_hand.in_use.spki if at_hand.in_use else None


def _key(certificates: Certificates, spec: CertificateSpec, at_hand: KeysAtHand) -> bytes:
    match key_choice.choose(spec, at_hand):
        case Source.IMPOSED:
            return _read(Path(spec.key_file) if spec.key_file else certificates.keys.path(spec.label, PLACED))
        case Source.IN_USE:
            return _read(certificates.keys.in_use(spec.label))
        case Source.PREPARED:
            prepared = certificates.keys.prepared(spec.label)
            assert prepared is not None  # noqa: S101  # it was at hand
            return prepared
        case Source.NEW:
            return keys.to_pem(keys.generate(spec.key_type))


def _read(path: Path) -> bytes:
    """A key in the form that every server reads, whatever form the person's file has."""
    return keys.to_pem(keys.from_pem(files.read_secret(path, what="the private key"), what=f"`{path}`"))
