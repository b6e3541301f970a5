"""What a master knows of the records it publishes outlives everything but its own file."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from acmectl.errors import StorageError
from acmectl.model.tlsa import TlsaRecord
from acmectl.policy.kept_records import KeptRecords
from acmectl.storage.kept_records import KeptRecordsStore

NOW = datetime(2026, 1, 1, tzinfo=UTC)
USED, NEXT = (TlsaRecord("_25._tcp.mail.example.org", f"3 1 1 {digit * 64}") for digit in "ab")
KNOWN = KeptRecords(frozenset({USED}), frozenset({USED, NEXT}), NOW, timedelta(hours=1), NOW)


def test_what_is_saved_is_loaded_again_and_is_its_owners_alone(tmp_path: Path) -> None:
    store = KeptRecordsStore(tmp_path / "state" / "published-records.json")
    assert store.load() == {}
    everything = {"/etc/acmectl/mail.records": KNOWN, "/etc/acmectl/xmpp.records": KeptRecords()}
    store.save(everything)
    assert store.load() == everything
    assert (tmp_path / "state" / "published-records.json").stat().st_mode & 0o777 == 0o600


def _with(**wrong: object) -> str:
    right: dict[str, object] = {"ours": [], "wanted": [], "complete_at": None, "lives_for": 1.0, "looked_at": None}
    return json.dumps({"a": {**right, **wrong}})


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "[" * 100_000,
        '{"a": {}}',
        '{"a": {"ours": [["x"]]}}',
        "\xff",
        _with(ours=[["a.test", "3 1 1 zz"]]),
        _with(ours=[["a.test", "3 1 1 "]]),
        _with(lives_for=1e300),
        _with(lives_for=float("inf")),
        _with(complete_at="9999-12-31T23:59:59+00:00"),
    ],
)
def test_a_damaged_file_is_an_error_that_says_what_to_do(tmp_path: Path, content: str) -> None:
    path = tmp_path / "published-records.json"
    path.write_text(content, "latin-1")
    with pytest.raises(StorageError) as caught:
        KeptRecordsStore(path).load()
    assert caught.value.hint
    assert f"mv {path}" in caught.value.hint
