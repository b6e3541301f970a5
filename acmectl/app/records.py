"""The records that `master.records` asks this host to keep published, with the means to do so."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from acmectl.dns.tsig import load_key_file
from acmectl.errors import ConfigurationError, ConfigurationProblem, DNSError, Place, StorageError

if TYPE_CHECKING:
    from acmectl.app.host import Host
    from acmectl.app.loading import Parts
    from acmectl.master.records import RecordsResult, Source
    from acmectl.policy.kept_records import KeptRecords

_STORE = "published-records.json"
_TOLD_FOR = timedelta(days=30)


def keep(host: Host) -> tuple[RecordsResult, ...]:
    """Publish what the files list, and remove what they do not list any more; needs the lock. Whatever fails stops nothing else."""
    if not host.parts.records:
        return ()
    from acmectl.master import records
    from acmectl.storage.kept_records import KeptRecordsStore

    path = host.state.path / _STORE
    try:
        return records.keep(_sources(host.parts), KeptRecordsStore(path), now=host.clock())
    except StorageError as error:
        return tuple(records.RecordsResult(options.file, failed=(error,)) for options in host.parts.records)


@dataclass(frozen=True, slots=True)
class KeptFile:
    """What is remembered of the records of one file, or why nothing can be said of it."""

    file: Path
    known: KeptRecords
    error: StorageError | None = None


def status(host: Host) -> tuple[KeptFile, ...]:
    """How far the records of each file are, from what is remembered: neither the files nor the name servers are looked at."""
    if not host.parts.records:
        return ()
    from acmectl.policy.kept_records import KeptRecords
    from acmectl.storage.kept_records import KeptRecordsStore

    try:
        known = KeptRecordsStore(host.state.path / _STORE).load()
    except StorageError as error:
        return tuple(KeptFile(options.file, KeptRecords(), error) for options in host.parts.records)
    return tuple(KeptFile(o.file, known.get(str(o.file), KeptRecords())) for o in host.parts.records)


def left(host: Host) -> tuple[ConfigurationProblem, ...]:
    """What was published of files that the configuration does not list any more, and that nobody removes; nothing where that cannot be read.

    It is said for a month: nobody looks whether a person has taken it out of the zone.
    """
    from acmectl.storage.kept_records import KeptRecordsStore

    configured, path = {str(options.file) for options in host.parts.records}, host.state.path / _STORE
    try:
        known = KeptRecordsStore(path).load()
    except StorageError:  # `status` and runs tell of it, where there are records to keep
        return ()
    return tuple(
        ConfigurationProblem(
            Place(path),
            "master.records",
            f"`{file}` is not listed any more, and the zone may still have what was published of it: {records}",
            "take it out of the zone once no host has those keys; or list the file again",
        )
        for file, kept in known.items()
        if file not in configured
        and kept.looked_at is not None
        and host.clock() - kept.looked_at < _TOLD_FOR
        and (records := ", ".join(f"{one.owner} {one.association}" for one in sorted(kept.ours)))
    )


def problems(host: Host) -> tuple[ConfigurationProblem, ...]:
    """What is wrong with the files of records, and of keys that change the DNS; a run tells it as well, and goes on with all the rest."""
    found: list[ConfigurationProblem] = []
    for source in _sources(host.parts) if host.parts.records else ():
        try:
            source.read()
        except ConfigurationError as error:
            found.extend(error.problems)
    return (*found, *_unusable_keys(host))


def _unusable_keys(host: Host) -> Iterator[ConfigurationProblem]:
    """TSIG keys that no update can be signed with."""
    updates = [(f"certificates.{label}.tlsa", options.update) for label, options in host.parts.tlsa.items()]
    updates += [(f"master.records[{index}]", options.update) for index, options in enumerate(host.parts.records)]
    for path, update in updates:
        if update is not None:
            try:
                load_key_file(update.tsig_key_file)
            except DNSError as error:
                place = Place(update.tsig_key_file)
                yield ConfigurationProblem(place, f"{path}.update.tsig_key_file", error.message, error.hint)


def _sources(parts: Parts) -> tuple[Source, ...]:
    from acmectl.deploy.tlsa import record_file
    from acmectl.deploy.tlsa.publisher import Publisher
    from acmectl.master.records import Source

    publishers = [(options.file, Publisher(options)) for options in parts.records]
    return tuple(
        Source(file, partial(record_file.read, file, publisher.owners), publisher) for file, publisher in publishers
    )
