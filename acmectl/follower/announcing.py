"""The records that the DNS should have of a certificate's keys, for people and for the master that publishes them; nobody is asked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from acmectl.errors import StorageError, UsageError
from acmectl.follower import targets
from acmectl.model.certificates import KeyType
from acmectl.model.tlsa import Publication, PublishedKeys, TlsaRecord, association
from acmectl.policy import tlsa, tlsa_records
from acmectl.policy.tlsa import Keys

if TYPE_CHECKING:
    from acmectl.deploy.tlsa.publisher import Publisher
    from acmectl.follower.results import Wish
    from acmectl.model.certificates import CertificateSpec, Installed
    from acmectl.policy.key_choice import KeysAtHand
    from acmectl.storage.certificates import Certificates
    from acmectl.storage.memory import Memory

IN_USE, NEXT, FORMER = "in use", "next", "former"


@dataclass(frozen=True, slots=True)
class Announced:
    """One record: for which key of which certificate (`role` is `in use`, `next` or `former`), and how far it is.

    `seen_at` is since when every name server was seen with it, `accepted_from` from when on every client accepts the key; None where
    that is not so, or not known.
    """

    label: str
    role: str
    spki: str
    key_type: KeyType | None
    record: TlsaRecord
    ttl: timedelta
    seen_at: datetime | None = None
    accepted_from: datetime | None = None


def keys_of(at_hand: KeysAtHand, installed: Installed | None, *, deployed: bool = False) -> Keys:
    """The keys of a certificate; the one of a CSR is known by the certificate that was issued for it."""
    in_use = installed.spki if installed else at_hand.serving
    following = at_hand.following
    return Keys(in_use, None if following == in_use else following, deployed, at_hand.distrusted)


def recalled(
    certificates: Certificates, memory: Memory, wish: Wish, owners: Iterable[str], known: PublishedKeys
) -> PublishedKeys:
    """What is known of published keys; where nothing is (any more), the former keys that targets may still serve.

    Those are what the files of a target hold that does not have the certificate in use yet, and the last key before.
    """
    label = wish.spec.label
    if known.publications or not wish.targets or (installed := certificates.current(label)) is None:
        return known
    behind = targets.behind(memory, installed, wish.targets)
    others = (one for n in reversed(certificates.generations(label)) if (one := certificates.installed(label, n)))
    former = {one.generation: one.spki for one in others if one.spki != installed.spki}
    held = {last.installed_generation for _, last in behind if last} | ({max(former)} if former and behind else set())
    pins = dict.fromkeys(pin for number, pin in former.items() if number in held)
    found = (Publication(owner, pin) for owner in owners for pin in pins if pin not in certificates.keys.distrusted())
    return replace(known, publications=tuple(found))


def unread(certificates: Certificates, wishes: Iterable[Wish]) -> Iterator[StorageError]:
    """Why what is known of the published keys of these certificates cannot be read."""
    for wish in wishes:
        try:
            certificates.keys.published.load(wish.spec.label)
        except StorageError as error:
            yield error


def vouched_for(record: TlsaRecord) -> tuple[str, str]:
    """A message and a hint about the record of a compromised key."""
    return (
        f"a TLSA record vouches for a key that was revoked as compromised: whoever has it can pose as this host at `{record.owner}`",
        f"take it out of the zone (and of what a master publishes): `{record.association}`",
    )


def left_behind(certificates: Certificates, label: str) -> tuple[str, str]:
    """What to tell, and a hint, of a certificate whose `tlsa` was taken out, while the zone may still have records of its keys."""
    published = certificates.keys.published
    text = "the configuration has no `tlsa` for it any more, and the zone may still have TLSA records of its keys: its key is kept"
    try:
        owners = ", ".join(dict.fromkeys(p.owner for p in published.load(label).publications))
        away = f"take its TLSA records out of the zone ({owners})"
    except StorageError as error:
        text += f" ({error.message})"
        away = "take its TLSA records out of the zone"
    return (
        text,
        f"put `tlsa` back; or {away}, wait for their time to live, and then forget them: `rm {published.path(label)}`",
    )


def announced(
    certificates: Certificates,
    memory: Memory,
    publishers: Mapping[str, Publisher],
    wishes: Iterable[Wish],
    now: datetime,
) -> tuple[Announced, ...]:
    """All records of these certificates: those that a client needs `now` or soon, and former ones that resolvers may still need.

    `publishers` are those of configured certificates, by label.
    Raises UsageError for a certificate without `tlsa`; StorageError, KeyMaterialError.
    """
    return tuple(one for wish in wishes for one in _of(certificates, memory, publishers, wish, now))


def _of(
    certificates: Certificates, memory: Memory, publishers: Mapping[str, Publisher], wish: Wish, now: datetime
) -> Iterator[Announced]:
    spec, publisher = wish.spec, publishers.get(wish.spec.configured_label)
    if publisher is None:
        raise UsageError(
            f"the configuration names no services for the TLSA records of `{spec.title}`",
            hint=f"list them: `certificates: {{{spec.configured_label}: {{tlsa: [mail.example.org:25]}}}}`",
        )
    stored = certificates.keys
    at_hand, known = stored.at_hand(spec), stored.published.known(spec.label)
    known = recalled(certificates, memory, wish, publisher.owners, known)
    keys = keys_of(at_hand, certificates.current(spec.label))
    unfinished = tlsa_records.unfinished(known, keys, now)
    former = [  # also a record of others' doing, as long as a target may serve its key: whoever copies the lines must not lose it
        p.spki
        for p in known.publications
        if (p.is_ours or p.retired_at is None)
        and p.record in unfinished
        and p.spki not in keys.wanted
        and p.owner in publisher.owners
    ]
    for spki in dict.fromkeys([*keys.wanted, *former]):
        role = IN_USE if spki == keys.in_use else NEXT if spki == keys.following else FORMER
        for owner in publisher.owners:
            publication = known.find(owner, spki)
            yield Announced(
                spec.label,
                role,
                spki,
                _type_of(spki, spec, at_hand),
                TlsaRecord(owner, association(spki)),
                publisher.ttl,
                publication.seen_at if publication else None,
                tlsa.accepted_from(publication) if publication else None,
            )


def _type_of(spki: str, spec: CertificateSpec, at_hand: KeysAtHand) -> KeyType | None:
    for key in (at_hand.in_use, at_hand.prepared):
        if key is not None and key.spki == spki:
            return key.key_type
    return None if spec.key_file or spec.csr_file else spec.key_type
