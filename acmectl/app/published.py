"""Whether the DNS speaks of the keys that this host has, and whether clients can believe it: asked of the name servers, for `check`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from acmectl.errors import AcmectlError
from acmectl.model.certificates import KIND
from acmectl.policy import posing, tlsa, tlsa_records
from acmectl.policy.tlsa_lacks import Lack, lacks

if TYPE_CHECKING:
    from acmectl.app.host import Host
    from acmectl.deploy.tlsa.publisher import Publisher
    from acmectl.model.tlsa import Service, TlsaRecord


@dataclass(frozen=True, slots=True)
class KeyFinding:
    """Something about the TLSA records of a certificate; `is_serious` where validating clients cannot get through."""

    label: str
    message: str
    hint: str | None
    is_serious: bool = False


def findings(host: Host) -> tuple[KeyFinding, ...]:
    """All that is wrong with published keys. Asks name servers, where a certificate has `tlsa`, and nobody else."""
    found = [one for label, publisher in host.publishers.items() for one in _of(host, label, publisher)]
    return (*found, *_left(host))


def _left(host: Host) -> Iterator[KeyFinding]:
    """Certificates whose `tlsa` was taken out, while the zone may still bind their keys."""
    from acmectl.follower.announcing import left_behind

    for wish in host.wishes():
        if wish.spec.pinned and wish.spec.configured_label not in host.publishers:
            yield KeyFinding(wish.spec.label, *left_behind(host.state.certificates, wish.spec.label))


def _unread(host: Host, label: str) -> Iterator[KeyFinding]:
    """Files that do not say any more what is known of published keys: no key changes until a person has moved them away."""
    from acmectl.follower.announcing import unread

    for error in unread(host.state.certificates, host.wishes([label])):
        yield KeyFinding(label, error.message, error.hint)


def _of(host: Host, label: str, publisher: Publisher) -> Iterator[KeyFinding]:
    yield from _unread(host, label)
    names = {name.value for name in host.config.certificates[label].spec.names}
    for service in publisher.services:
        if service.host not in names and f"*.{service.host.partition('.')[2]}" not in names:
            yield KeyFinding(label, f"`tlsa` names `{service}`, which is no name of the certificate", "is it misspelt?")
    try:
        yield from _compared(host, label, publisher)
    except AcmectlError as error:
        yield KeyFinding(label, error.message, error.hint)


def _compared(host: Host, label: str, publisher: Publisher) -> Iterator[KeyFinding]:
    """The keys, and what the name servers have; also at services that are not listed any more. Raises StorageError, KeyMaterialError."""
    from acmectl.follower.announcing import keys_of, recalled, vouched_for

    certificates = host.state.certificates
    by_owner = {service.owner: service for service in publisher.services}
    memories = {
        wish.spec: recalled(
            certificates,
            host.state.memory,
            wish,
            publisher.owners,
            certificates.keys.published.known(wish.spec.label),
        )
        for wish in host.wishes([label])
    }
    former = {p.owner for known in memories.values() for p in known.publications}.difference(by_owner)
    sets, failed = publisher.look((*by_owner, *sorted(former)))
    yield from _unseen(label, failed, former)
    for spec, known in memories.items():
        keys = keys_of(certificates.keys.at_hand(spec), certificates.current(spec.label))
        keys = replace(keys, served=tlsa.still_served(known, keys))
        for record in tlsa_records.stale(
            known,
            keys,
            publisher.owners,
            sets,
            wanted_elsewhere=_wanted_elsewhere(host, label),
            may_remove=publisher.may_update,
            now=host.clock(),
        ):
            yield _left_over(label, record, is_listed=record.owner in by_owner)
        lacking = tuple(lacks(keys, publisher.owners, sets))
        for owner, lack in lacking:
            yield _lacking(label, spec.title, by_owner[owner], lack, publisher)
        for error in publisher.obstacles({owner for owner, _ in lacking}).values():
            yield KeyFinding(label, error.message, error.hint)
        for record in posing.vouching(keys, publisher.owners, sets):
            yield KeyFinding(label, *vouched_for(record))
    yield from _unsigned(label, publisher, [owner for owner in by_owner if sets.get(owner) and sets[owner].anywhere])


def _unseen(label: str, failed: Mapping[str, AcmectlError], former: set[str]) -> Iterator[KeyFinding]:
    for error in dict.fromkeys(error for owner, error in failed.items() if owner not in former):
        yield KeyFinding(label, error.message, error.hint)
    for owner in former & failed.keys():
        message = f"it cannot be seen what the zone still has of a service that `tlsa` lists no more, at `{owner}`: {failed[owner].message}"
        yield KeyFinding(label, message, "where that zone is gone for good, runs forget it a week after it was of use")


def _wanted_elsewhere(host: Host, label: str) -> frozenset[TlsaRecord]:
    """The records of other certificates of this host, which may have the same services and the same keys."""
    certificates = host.state.certificates
    others = (one for one in certificates.labels() if one.partition(KIND)[0] != label)
    known = (certificates.keys.published.known(one) for one in others)
    return frozenset(p.record for one in known for p in one.publications if p.retired_at is None)


def _left_over(label: str, record: TlsaRecord, *, is_listed: bool) -> KeyFinding:
    what = "of a former key still" if is_listed else "of a service still that `tlsa` lists no more"
    return KeyFinding(
        label,
        f"the zone has the TLSA record {what}, which is not this host's to remove: {record.owner} {record.association}",
        "take it out of the zone once no host has that key"
        if is_listed
        else "take it out of the zone once no host has that service with that key, or list the service again",
    )


def _lacking(label: str, title: str, service: Service, lack: Lack, publisher: Publisher) -> KeyFinding:
    by_hand = f"`acmectl cert tlsa {label}` prints the records"
    hint = f"`acmectl follower run {label}` publishes them" if publisher.may_update else by_hand
    match lack:
        case Lack.TURNED_AWAY:
            message = f"validating clients turn away from `{service}`: not every name server has the TLSA record of the key of `{title}`"
            return KeyFinding(label, message, hint, is_serious=True)
        case Lack.UNPUBLISHED:
            return KeyFinding(label, f"no TLSA record speaks of the key of `{title}` at `{service}`", hint)
        case Lack.FORMER_MISSING:
            message = f"validating clients may turn away from `{service}`: a target may still serve a former key of `{title}`, whose TLSA record is missing"
            return KeyFinding(label, message, hint, is_serious=True)
        case Lack.NEXT_MISSING:
            message = f"not every name server has the TLSA record of the next key of `{title}` at `{service}`: until then its key cannot change"
            return KeyFinding(label, message, hint)


def _unsigned(label: str, publisher: Publisher, owners: list[str]) -> Iterator[KeyFinding]:
    if not owners:
        return
    unsigned, failed = publisher.unsigned(owners)
    for one in unsigned:
        message = f"clients ignore the TLSA records at `{one.owner}`, which DNSSEC does not protect: {one.reason}"
        yield KeyFinding(label, message, "sign the zone, and have its DS record in the parent zone")
    for error in dict.fromkeys(failed.values()):
        yield KeyFinding(
            label, f"it is not known whether DNSSEC protects the TLSA records: {error.message}", error.hint
        )
