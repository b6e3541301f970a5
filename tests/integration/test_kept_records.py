"""Records that a master keeps published, on BIND: what is added, what is left alone, and what is removed when."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import dns.message
import dns.query
import pytest

from acmectl.deploy.tlsa import record_file
from acmectl.deploy.tlsa.options import RecordsOptions
from acmectl.deploy.tlsa.publisher import Publisher
from acmectl.master.records import RecordsResult, Source, keep
from acmectl.model.tlsa import TlsaRecord
from acmectl.policy.kept_records import KeptRecords
from acmectl.storage.kept_records import KeptRecordsStore
from tests.servers.bind import Bind, Key, Zone, free_port, running_bind

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
OWNER = "_25._tcp.mail.kept.test"
OLD, USED, NEXT, FOREIGN = (TlsaRecord(OWNER, f"3 1 1 {digit * 64}") for digit in "abcd")


@pytest.fixture
def bind(tmp_path: Path) -> Iterator[Bind]:
    here = [f"{OWNER}. 3600 IN TLSA {FOREIGN.association}", "mail IN A 127.0.0.1"]
    aliases = [f"_{port}._tcp.alias IN CNAME _dane" for port in (25, 465)]
    zone = Zone("kept.test", [*here, *aliases, "_dane IN TXT here"])
    with running_bind(tmp_path / "bind", zones=[zone], keys=[Key("acmectl"), Key("stranger")], resolve=True) as server:
        yield server


class Desk:
    """A master's part, with as many files as a test wants."""

    def __init__(self, directory: Path, bind: Bind) -> None:
        self.store = KeptRecordsStore(directory / "state" / "published-records.json")
        self._directory, self._bind = directory, bind
        self._sources: dict[Path, Source] = {}

    def write(
        self, name: str, *records: TlsaRecord, services: tuple[str, ...] = ("mail.kept.test:25",), **update: Any
    ) -> Path:
        """A file with these records, and what changes them."""
        file = self._directory / name
        file.write_text("".join(f"{record.line(HOUR)}\n" for record in records))
        changes = {"server": self._bind.address, "port": self._bind.port, **update}
        changes.setdefault("tsig_key_file", str(self._bind.key_file("acmectl")))
        options = RecordsOptions.model_validate(
            {
                "file": str(file),
                "records": list(services),
                "update": changes,
                "resolvers": [self._bind.endpoint],
                "servers": [self._bind.endpoint],
            }
        )
        publisher = Publisher(options)
        self._sources[file] = Source(file, partial(record_file.read, file, publisher.owners), publisher)
        return file

    def forget(self, file: Path) -> None:
        """Remove a file from the configuration."""
        del self._sources[file]

    def run(self, at: datetime = NOW) -> tuple[RecordsResult, ...]:
        return keep(tuple(self._sources.values()), self.store, now=at)

    def published(self, owner: str = OWNER) -> set[str]:
        answer = dns.query.tcp(dns.message.make_query(owner, "TLSA"), self._bind.address, port=self._bind.port)
        return {str(rdata) for rrset in answer.answer for rdata in rrset}


@pytest.fixture
def desk(tmp_path: Path, bind: Bind) -> Desk:
    return Desk(tmp_path, bind)


def shown(*records: TlsaRecord) -> set[str]:
    return {record.association for record in records}


def test_what_is_listed_is_added_and_what_is_not_any_more_is_removed_later_others_records_never(desk: Desk) -> None:
    file = desk.write("records", OLD, FOREIGN)
    assert desk.run() == (RecordsResult(file, added=(OLD,)),)
    assert desk.published() == shown(FOREIGN, OLD)
    desk.write("records", USED, NEXT)
    assert desk.run()[0].added == (USED, NEXT)
    assert desk.run() == (RecordsResult(file),)
    assert desk.run(NOW + HOUR) == (RecordsResult(file),)
    assert desk.published() == shown(FOREIGN, OLD, USED, NEXT)
    assert desk.run(NOW + 2 * HOUR) == (RecordsResult(file, removed=(OLD,)),)
    assert desk.published() == shown(FOREIGN, USED, NEXT)


def test_the_records_of_a_service_that_is_listed_no_more_are_removed_and_servers_left_in_peace(desk: Desk) -> None:
    other = TlsaRecord("_465._tcp.mail.kept.test", USED.association)
    file = desk.write("records", USED, other, services=("mail.kept.test:25", "mail.kept.test:465"))
    assert desk.run()[0].added == (USED, other)
    desk.write("records", USED)
    desk.run()
    assert desk.run(NOW + 2 * HOUR) == (RecordsResult(file, removed=(other,)),)
    assert desk.published(other.owner) == set()
    assert desk.published() == shown(FOREIGN, USED)
    desk.run(NOW + 2 * HOUR)
    assert desk.store.load()[str(file)].ours == {USED}


def test_a_record_is_left_while_another_service_needs_it_in_the_same_place(desk: Desk) -> None:
    smtp, smtps = (TlsaRecord(f"_{port}._tcp.alias.kept.test", USED.association) for port in (25, 465))
    file = desk.write("records", smtp, smtps, services=("alias.kept.test:25", "alias.kept.test:465"))
    desk.run()
    desk.write("records", smtp, services=("alias.kept.test:25",))
    desk.run()
    assert desk.run(NOW + 2 * HOUR) == (RecordsResult(file),)
    assert desk.published("_dane.kept.test") == shown(USED)
    assert desk.store.load()[str(file)].ours == {smtp}


def test_what_was_remembered_by_a_run_that_was_killed_before_it_was_sent_is_added(desk: Desk) -> None:
    file = desk.write("records", USED)
    desk.store.save({str(file): KeptRecords(ours=frozenset({USED}), wanted=frozenset({USED}), looked_at=NOW)})
    assert desk.run()[0].added == (USED,)


def test_what_another_file_lists_too_is_left(desk: Desk) -> None:
    desk.write("one", OLD, USED)
    desk.write("two", OLD)
    desk.run()
    desk.run()
    desk.write("one", USED)
    desk.run()
    desk.run(NOW + 2 * HOUR)
    assert desk.published() == shown(FOREIGN, OLD, USED)


def test_a_file_that_is_gone_leaves_its_records_and_stops_no_other(desk: Desk) -> None:
    other, gone = desk.write("other", USED, OLD), desk.write("gone", OLD)
    desk.run()
    gone.unlink()
    desk.write("other", USED)
    desk.run(NOW + HOUR)
    good, bad = desk.run(NOW + 3 * HOUR)
    assert [type(error).__name__ for error in bad.failed] == ["ConfigurationError"]
    assert good == RecordsResult(other)
    assert desk.published() == shown(FOREIGN, OLD, USED)


def test_what_was_published_of_a_file_that_is_configured_no_more_is_remembered(desk: Desk) -> None:
    old, new = desk.write("old", OLD), desk.write("new", FOREIGN)
    desk.run()
    desk.forget(old)
    desk.write("new", USED)
    desk.run()
    assert desk.store.load()[str(old)].ours == {OLD}
    desk.forget(new)
    desk.write("another", FOREIGN)
    desk.run()
    assert set(desk.store.load()) == {str(old), str(new), str(old.parent / "another")}


def test_a_file_that_is_renamed_in_the_configuration_keeps_what_is_known_of_it(desk: Desk) -> None:
    old = desk.write("old", OLD, USED)
    desk.run()
    desk.forget(old)
    new = desk.write("new", USED, OLD)
    assert desk.run() == (RecordsResult(new),)
    assert desk.store.load()[str(new)].ours == {OLD, USED}
    desk.write("new", USED, NEXT)
    assert desk.run(NOW + HOUR)[0].added == (NEXT,)
    assert desk.run(NOW + HOUR) == (RecordsResult(new),)
    assert desk.run(NOW + 3 * HOUR) == (RecordsResult(new, removed=(OLD,)),)
    assert set(desk.store.load()) == {str(new)}


def test_a_file_that_is_renamed_and_changed_at_once_waits_before_it_removes(desk: Desk) -> None:
    old = desk.write("old", OLD, USED)
    desk.run()
    desk.run(NOW + 2 * HOUR)
    desk.forget(old)
    new = desk.write("new", USED, NEXT)
    assert desk.run(NOW + 3 * HOUR) == (RecordsResult(new, added=(NEXT,)),)
    assert desk.run(NOW + 4 * HOUR) == (RecordsResult(new),)
    assert desk.run(NOW + 6 * HOUR) == (RecordsResult(new, removed=(OLD,)),)


def test_another_file_for_the_same_service_does_not_remove_what_one_published_that_is_configured_no_more(
    desk: Desk,
) -> None:
    gone, other = desk.write("gone", OLD), desk.write("other", USED)
    desk.run()
    desk.forget(gone)
    new = desk.write("new", NEXT)
    for hours in (0, 3, 6):
        desk.run(NOW + hours * HOUR)
    assert desk.published() == shown(FOREIGN, OLD, USED, NEXT)
    assert set(desk.store.load()) == {str(gone), str(other), str(new)}


def test_a_former_service_whose_zone_is_gone_fails_no_run_and_is_forgotten(desk: Desk) -> None:
    gone = TlsaRecord("_25._tcp.mail.gone", USED.association)
    file = desk.write("records", USED)
    desk.run()
    both = frozenset({USED, gone})
    desk.store.save({str(file): KeptRecords(both, frozenset({USED}), complete_at=NOW, lives_for=HOUR, looked_at=NOW)})
    assert desk.run(NOW + 2 * HOUR) == (RecordsResult(file),)
    assert desk.store.load()[str(file)].ours == both
    assert desk.run(NOW + 8 * 24 * HOUR) == (RecordsResult(file, forgotten=(gone,)),)
    assert desk.store.load()[str(file)].ours == {USED}


def test_an_update_that_is_refused_or_cannot_be_sent_is_told_and_tried_again(desk: Desk, bind: Bind) -> None:
    file = desk.write("records", USED, port=free_port(), timeout="1s")
    (result,) = desk.run()
    assert result.added == ()
    assert result.failed
    wrong = bind.directory / "wrong.key"
    desk.write("records", USED, tsig_key_file=str(Key("nobody").write(wrong)))
    (result,) = desk.run()
    assert "nobody" in result.failed[0].message
    desk.write("records", USED)
    assert desk.run() == (RecordsResult(file, added=(USED,)),)
