"""TLSA records that this host keeps published for followers without rights for their zone: what a person copied here once.

A run asks the name servers only where something is to be done or found out. What is added is remembered before it is sent, so that a run
that was killed leaves nothing behind that is not known to be ours.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from acmectl.errors import AcmectlError
from acmectl.model.tlsa import TlsaRecord
from acmectl.policy import kept_records
from acmectl.policy.kept_records import KeptRecords

if TYPE_CHECKING:
    from acmectl.deploy.tlsa.publisher import Publisher
    from acmectl.storage.kept_records import KeptRecordsStore


@dataclass(frozen=True, slots=True)
class Source:
    """The file that one entry of `master.records` names, how it is read, and who publishes what is in it."""

    file: Path
    read: Callable[[], frozenset[TlsaRecord]]
    publisher: Publisher


@dataclass(frozen=True, slots=True)
class RecordsResult:
    """What a run did with the records of one file; `failed` are the reasons why it could not do all.

    `forgotten` are records of former services whose name servers do not answer any more.
    """

    file: Path
    added: tuple[TlsaRecord, ...] = ()
    removed: tuple[TlsaRecord, ...] = ()
    failed: tuple[AcmectlError, ...] = ()
    forgotten: tuple[TlsaRecord, ...] = ()


class _Books:
    """What is known of each file, kept as it changes. A file that is not configured any more is remembered for what we published of it."""

    def __init__(self, store: KeptRecordsStore, configured: Collection[str]) -> None:
        self._store = store
        self._configured = configured
        self._known = {name: known for name, known in store.load().items() if known.ours or name in configured}

    def take_over(self, source: Source, wanted: frozenset[TlsaRecord]) -> None:
        """Let a file that is new have what is known of one that is not configured any more, and of whose records it has some: it was renamed."""
        if str(source.file) in self._known:
            return
        for name in sorted(self._known.keys() - self._configured):
            if not self._known[name].ours.isdisjoint(wanted):
                self._known[str(source.file)] = self._known.pop(name)
                return

    def of(self, source: Source) -> KeptRecords:
        return self._known.get(str(source.file), KeptRecords())

    def keep(self, source: Source, known: KeptRecords) -> None:
        self._known[str(source.file)] = known
        self._store.save(self._known)


def keep(sources: Sequence[Source], store: KeptRecordsStore, *, now: datetime) -> tuple[RecordsResult, ...]:
    """Publish what the files list, and remove what they do not list any more once no client needs it.

    Raises nothing for what happens to the records of one file; StorageError where what is known cannot be read or kept.
    """
    books = _Books(store, {str(source.file) for source in sources})
    listed: dict[Path, frozenset[TlsaRecord]] = {}
    failed: dict[Path, AcmectlError] = {}
    for source in sources:
        try:
            listed[source.file] = source.read()
            books.take_over(source, listed[source.file])
        except AcmectlError as error:
            failed[source.file] = error
    wanted = {s.file: listed.get(s.file, books.of(s).wanted) for s in sources}
    results = []
    for source in sources:
        if source.file in failed:
            results.append(RecordsResult(source.file, failed=(failed[source.file],)))
            continue
        elsewhere = frozenset[TlsaRecord]().union(*(records for file, records in wanted.items() if file != source.file))
        results.append(_keep(source, wanted[source.file], books, elsewhere=elsewhere, now=now))
    return tuple(results)


def _keep(
    source: Source,
    wanted: frozenset[TlsaRecord],
    books: _Books,
    *,
    elsewhere: frozenset[TlsaRecord],
    now: datetime,
) -> RecordsResult:
    known, publisher = books.of(source), source.publisher
    if not kept_records.needs_look(known, wanted, now, wanted_elsewhere=elsewhere):
        return RecordsResult(source.file)
    sets, unseen = publisher.look({record.owner for record in wanted | known.ours} | set(publisher.owners))
    added = kept_records.to_add(wanted, sets)
    sent = kept_records.to_send(wanted, added)
    known = kept_records.observe(known, wanted, sets, ttl=publisher.ttl, now=now)
    known = kept_records.announced(known, sent, sets)
    over = kept_records.to_remove(known, sets, wanted_elsewhere=elsewhere, now=now)
    needed = publisher.same_places(over, wanted | elsewhere) if over else frozenset()
    lost = kept_records.out_of_reach(known, sets, now) - elsewhere
    books.keep(source, kept_records.given_up(known, needed | lost))
    refused = dict(publisher.add(sent)) if sent else {}
    removed = tuple(record for record in over if record not in needed)
    left = dict(publisher.remove(removed)) if removed else {}
    missed = (error for owner, error in unseen.items() if owner in publisher.owners)  # a former service may be gone
    reasons = {error.message: error for error in (*missed, *refused.values(), *left.values())}
    return RecordsResult(
        source.file,
        tuple(record for record in added if record not in refused),
        tuple(record for record in removed if record not in left),
        tuple(reasons.values()),
        tuple(sorted(lost)),
    )
