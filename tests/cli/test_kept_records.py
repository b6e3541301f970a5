"""What `status` of a master says of the TLSA records that it keeps published."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta

import pytest

from acmectl.model.tlsa import TlsaRecord
from acmectl.policy.kept_records import KeptRecords
from acmectl.sandbox.server import Sandbox
from acmectl.storage.kept_records import KeptRecordsStore
from tests.cli.hosts import Host, master_of

RECORDS = [TlsaRecord("_25._tcp.mail.acme.test", f"3 1 1 {digit * 64}") for digit in "abc"]
THEN, LONG_AGO = datetime.now(UTC), datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def keeper(ca: Sandbox, authorized: Host) -> Host:
    """A master with one file of records, whose names are authorized."""
    key = authorized.directory / "tsig.key"
    key.write_text('key "k" { algorithm hmac-sha256; secret "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"; };\n')
    key.chmod(0o600)
    entry = "{file: mail.tlsa, records: [mail.acme.test:25], update: {server: 127.0.0.1, tsig_key_file: tsig.key}}"
    authorized.configure(f"{master_of(ca)}  records:\n    - {entry}\n")
    return authorized


def remember(host: Host, *, complete_at: datetime | None, ours: tuple[TlsaRecord, ...] = ()) -> None:
    known = KeptRecords(frozenset(ours), frozenset(RECORDS[:2]), complete_at, HOUR, LONG_AGO)
    KeptRecordsStore(host.state / "published-records.json").save({str(host.directory / "mail.tlsa"): known})


def test_a_host_can_keep_records_alone(keeper: Host) -> None:
    text = (keeper.directory / "config.yaml").read_text()
    before, _, rest = text.partition("  authorize:\n")
    entries = rest.partition("  records:\n")[2]
    keeper.configure(f"{before}  records:\n{entries}")
    (keeper.directory / "mail.tlsa").write_text(f"_25._tcp.mail.acme.test. 3600 IN TLSA {RECORDS[0].association}\n")
    shutil.rmtree(keeper.state / "accounts")
    for command in (("check",), ("status",), ("forecast",), ("master", "plan"), ("master", "status")):
        ran = keeper.acmectl(*command)
        assert ran.status == 0, ran
    assert "master: keeps records published, every 1d" in keeper.good("check").out
    for command in (("run",), ("master", "run")):
        ran = keeper.acmectl(*command)
        assert ran.status == 1
        assert "there is no zone for `_25._tcp.mail.acme.test`" in ran.err, "the records are all that is tried"


def test_check_names_what_was_published_of_a_file_that_is_configured_no_more(keeper: Host) -> None:
    (keeper.directory / "mail.tlsa").write_text(f"_25._tcp.mail.acme.test. 3600 IN TLSA {RECORDS[0].association}\n")

    def remember(file: str, looked_at: datetime) -> None:
        known = KeptRecords(frozenset(RECORDS[:1]), frozenset(RECORDS[:1]), looked_at, HOUR, looked_at)
        KeptRecordsStore(keeper.state / "published-records.json").save({str(keeper.directory / file): known})

    remember("mail.tlsa", THEN)
    assert "not listed any more" not in keeper.good("check").err
    remember("former.tlsa", THEN)
    told = f"former.tlsa` is not listed any more, and the zone may still have what was published of it: {RECORDS[0].owner} {RECORDS[0].association}\n"
    assert told in keeper.good("check").err
    assert told.strip() in json.loads(keeper.good("check", "--json").out)["warnings"][0]["message"]
    remember("former.tlsa", THEN - timedelta(days=31))
    assert "not listed any more" not in keeper.good("check").err


@pytest.mark.parametrize("command", [("status",), ("master", "status")], ids=" ".join)
def test_a_line_says_how_far_the_records_of_a_file_are(keeper: Host, command: tuple[str, ...]) -> None:
    def line() -> str:
        out = keeper.normal(keeper.good(*command).out)
        (found,) = [one for one in out.splitlines() if one.startswith("records in TMP/master/mail.tlsa: ")]
        return found.partition("mail.tlsa: ")[2]

    assert line() == "no run has looked at them yet"
    remember(keeper, complete_at=None)
    assert line().startswith("2 TLSA records, not seen at every name server yet (last look ")
    remember(keeper, complete_at=THEN)
    assert line().startswith("2 TLSA records, published, accepted by every client from ")
    remember(keeper, complete_at=LONG_AGO, ours=(RECORDS[2],))
    assert line().startswith("2 TLSA records, published; 1 former one to be removed (last look ")


@pytest.mark.parametrize("command", [("status",), ("master", "status")], ids=" ".join)
def test_programs_are_told_the_same(keeper: Host, command: tuple[str, ...]) -> None:
    remember(keeper, complete_at=LONG_AGO, ours=(RECORDS[0], RECORDS[2]))
    (told,) = json.loads(keeper.good(*command, "--json").out)["master"]["records"]
    assert told == {
        "file": str(keeper.directory / "mail.tlsa"),
        "records": [f"{record.owner}. TLSA {record.association}" for record in RECORDS[:2]],
        "former": [f"{RECORDS[2].owner}. TLSA {RECORDS[2].association}"],
        "complete_since": "2026-01-01T00:00:00+00:00",
        "accepted_from": told["accepted_from"],
        "looked_at": "2026-01-01T00:00:00+00:00",
        "error": None,
    }
    assert datetime.fromisoformat(told["accepted_from"]) > LONG_AGO + HOUR


@pytest.mark.parametrize("command", [("status",), ("master", "status")], ids=" ".join)
def test_a_damaged_memory_of_records_is_told_and_the_names_are_all_the_same(
    keeper: Host, command: tuple[str, ...]
) -> None:
    (keeper.state / "published-records.json").write_text("[")
    ran = keeper.acmectl(*command)
    assert ran.status == 1
    assert "error: nothing is known of the records in `" in ran.err
    assert "is damaged" in ran.err
    assert "xmpp.acme.test  authorized" in ran.out
