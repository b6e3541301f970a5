"""What is known of published keys, beside the keys."""

from __future__ import annotations

import json
import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from acmectl.errors import StorageError
from acmectl.model.tlsa import KeptSet, Publication, PublishedKeys, Uptime
from acmectl.storage.published_keys import PublishedKeysStore

NOW = datetime(2026, 11, 22, 12, 30, 1, 250_000, tzinfo=UTC)
KNOWN = PublishedKeys(
    (
        Publication("_25._tcp.a.test", "AAAA", True, NOW, timedelta(seconds=2.5), NOW),
        Publication("_25._tcp.a.test", "BBBB"),
    ),
    frozenset({"AAAA"}),
    NOW,
    "AAAA",
    is_bare=True,
    uptime=Uptime("a-boot", 1.5),
    sets=(
        KeptSet("_25._tcp.a.test", timedelta(seconds=3)),
        KeptSet("_25._tcp.a.test", timedelta(hours=1), NOW),
    ),
)


def test_what_is_saved_is_loaded_again_and_nothing_is_known_before(tmp_path: Path) -> None:
    store = PublishedKeysStore(tmp_path / "state" / "certificates")
    assert store.load("mail") == PublishedKeys()
    store.save("mail", KNOWN)
    assert store.load("mail") == KNOWN
    store.save("mail", PublishedKeys())
    assert store.load("mail") == PublishedKeys()


def test_a_file_of_an_earlier_version_can_be_read(tmp_path: Path) -> None:
    store = PublishedKeysStore(tmp_path)
    store.save("mail", KNOWN)
    path = tmp_path / "mail" / "published-keys.json"
    content = json.loads(path.read_text())
    del content["is_bare"], content["uptime"], content["sets"]
    path.write_text(json.dumps(content))
    assert store.load("mail") == replace(KNOWN, is_bare=False, uptime=None, sets=())


def test_it_is_its_owners_alone(tmp_path: Path) -> None:
    PublishedKeysStore(tmp_path / "certificates").save("mail", KNOWN)
    (path,) = (tmp_path / "certificates" / "mail").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"publications": [{}]}', '{"publications": 1}'])
def test_a_damaged_file_is_told_with_what_to_do(tmp_path: Path, content: str) -> None:
    store = PublishedKeysStore(tmp_path)
    store.save("mail", KNOWN)
    path = tmp_path / "mail" / "published-keys.json"
    path.write_text(content)
    with pytest.raises(StorageError, match="is damaged: it does not say which keys are published") as error:
        store.load("mail")
    assert f"mv {path}" in (error.value.hint or "")
    assert store.known("mail") == PublishedKeys()
