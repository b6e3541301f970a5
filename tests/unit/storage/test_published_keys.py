"""What is known of published keys, beside the keys."""

from __future__ import annotations

import base64
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
USED, NEXT = (base64.b64encode(bytes([number]) * 32).decode("ascii") for number in (1, 2))
KNOWN = PublishedKeys(
    (
        Publication("_25._tcp.a.test", USED, True, NOW, timedelta(seconds=2.5), NOW),
        Publication("_25._tcp.a.test", NEXT),
    ),
    frozenset({USED}),
    NOW,
    USED,
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


def test_what_the_zone_may_still_have_binds_the_keys(tmp_path: Path) -> None:
    store = PublishedKeysStore(tmp_path / "state" / "certificates")

    def binds(*publications: Publication, is_bare: bool) -> bool:
        store.save("mail", PublishedKeys(publications, is_bare=is_bare))
        return store.may_bind("mail")

    assert not store.may_bind("mail")
    assert not binds(is_bare=False)
    assert not binds(Publication("_25._tcp.a.test", USED), is_bare=True)
    assert binds(Publication("_25._tcp.a.test", USED), is_bare=False), "a server may have it"
    assert binds(Publication("_25._tcp.a.test", USED, is_ours=True), is_bare=True), "a run may have been killed"
    (tmp_path / "state" / "certificates" / "mail" / "published-keys.json").write_text("{")
    assert store.may_bind("mail")


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


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        (("publications", 0, "spki"), f"{USED[:9]} {USED[9:]}"),
        (("publications", 0, "spki"), "AAAA"),
        (("publications", 0, "spki"), None),
        (("publications", 0, "lives_for"), 1e300),
        (("publications", 0, "lives_for"), float("inf")),
        (("publications", 0, "lives_for"), float("nan")),
        (("publications", 0, "lives_for"), -1),
        (("publications", 0, "lives_for"), 10**400),
        (("publications", 0, "seen_at"), "9999-12-31T23:59:59+00:00"),
        (("publications", 0, "seen_at"), "0001-01-01T00:00:00+14:00"),
        (("publications", 0, "retired_at"), 5),
        (("usable", 0), "x"),
        (("left",), "x"),
        (("uptime", "seconds"), float("inf")),
    ],
)
def test_a_value_that_none_can_reckon_with_is_damage(
    tmp_path: Path, path: tuple[str | int, ...], wrong: object
) -> None:
    store = PublishedKeysStore(tmp_path)
    store.save("mail", KNOWN)
    file = tmp_path / "mail" / "published-keys.json"
    content = place = json.loads(file.read_text())
    *steps, last = path
    for step in steps:
        place = place[step]
    place[last] = wrong
    file.write_text(json.dumps(content))
    with pytest.raises(StorageError, match="is damaged: it does not say which keys are published"):
        store.load("mail")


@pytest.mark.parametrize("content", ["", "[" * 100_000, "[]", "{}", '{"publications": [{}]}', '{"publications": 1}'])
def test_a_damaged_file_is_told_with_what_to_do(tmp_path: Path, content: str) -> None:
    store = PublishedKeysStore(tmp_path)
    store.save("mail", KNOWN)
    path = tmp_path / "mail" / "published-keys.json"
    path.write_text(content)
    with pytest.raises(StorageError, match="is damaged: it does not say which keys are published") as error:
        store.load("mail")
    assert f"mv {path}" in (error.value.hint or "")
    assert store.known("mail") == PublishedKeys()
