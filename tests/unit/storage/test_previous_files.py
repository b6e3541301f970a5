from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from acmectl.errors import StorageError
from acmectl.files import Standing
from acmectl.storage.previous_files import PreviousFiles, Remembered

Change = Callable[[dict[str, Any]], None]

STANDING = (
    Standing(Path("/etc/tls/key.pem"), b"secret\0\xff", None, 0o640, 0, 7),
    Standing(Path("/etc/tls/cert.pem"), None, "../elsewhere/\udcff.pem", 0, 0, 0),
    Standing(Path("/etc/tls/chain.pem")),
    Standing(Path("/etc/tls/empty.pem"), b"", None, 0o644, 0, 0),
)
FOUND = Remembered("mail+rsa-2048", "files[0]", "digest", STANDING, ("a1", None, "b2", None))


@pytest.fixture
def previous(tmp_path: Path) -> PreviousFiles:
    return PreviousFiles(tmp_path / "state" / "deployed")


def test_what_stood_somewhere_comes_back_exactly(previous: PreviousFiles) -> None:
    previous.remember(FOUND)
    assert previous.of("mail+rsa-2048", "files[0]") == FOUND
    assert previous.all("mail+rsa-2048") == (FOUND,)
    assert previous.of("mail+rsa-2048", "files[1]") is None
    assert previous.all("mail") == ()


def test_all_of_it_is_for_its_owner_alone_whatever_the_umask(previous: PreviousFiles, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        previous.remember(FOUND)
    finally:
        os.umask(before)
    below = list((tmp_path / "state").rglob("*"))
    assert len(below) > 4
    assert all(path.stat().st_mode & 0o077 == 0 for path in below)


def test_what_is_remembered_is_not_remembered_anew_over_it(previous: PreviousFiles) -> None:
    previous.remember(FOUND)
    with pytest.raises(StorageError):
        previous.remember(Remembered("mail+rsa-2048", "files[0]", "digest", (), ()))
    assert previous.of("mail+rsa-2048", "files[0]") == FOUND


def test_nothing_is_left_when_all_is_forgotten(previous: PreviousFiles, tmp_path: Path) -> None:
    other = Remembered("mail+rsa-2048", "nginx[1]", "d", (), ())
    previous.remember(FOUND)
    previous.remember(other)
    previous.forget("mail+rsa-2048", "files[0]")
    previous.forget("mail+rsa-2048", "files[0]")
    assert previous.all("mail+rsa-2048") == (other,)
    previous.forget("mail+rsa-2048", "nginx[1]")
    assert not (tmp_path / "state" / "deployed").exists()
    previous.remember(FOUND)
    previous.forget_all("mail+rsa-2048")
    previous.forget_all("mail+rsa-2048")
    assert not (tmp_path / "state" / "deployed").exists()


def test_what_a_killed_run_left_half_made_is_nothing_and_swept_away(previous: PreviousFiles, tmp_path: Path) -> None:
    half = tmp_path / "state" / "deployed" / "mail+rsa-2048" / ".files.0.01234567.tmp"
    half.mkdir(parents=True)
    (half / "0").write_bytes(b"secret")
    assert previous.all("mail+rsa-2048") == ()
    previous.remember(FOUND)
    assert not half.exists()
    assert previous.labels() == ("mail+rsa-2048",)


def test_what_a_killed_run_had_begun_to_forget_is_swept_away_although_nothing_else_is_remembered(
    previous: PreviousFiles, tmp_path: Path
) -> None:
    previous.sweep()
    assert previous.labels() == ()
    for half in (".web.01234567.tmp", "mail/.files.0.01234567.tmp"):
        (tmp_path / "state" / "deployed" / half).mkdir(parents=True)
        (tmp_path / "state" / "deployed" / half / "0").write_bytes(b"secret")
    assert previous.labels() == ()
    previous.sweep()
    assert not (tmp_path / "state" / "deployed").exists()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"target": 1, "digest": 2, "standing": [{}]}'])
def test_a_damaged_memory_says_what_to_do(previous: PreviousFiles, tmp_path: Path, text: str) -> None:
    previous.remember(FOUND)
    folder = tmp_path / "state" / "deployed" / "mail+rsa-2048" / "files.0"
    (folder / "standing.json").write_text(text)
    with pytest.raises(StorageError) as refused:
        previous.of("mail+rsa-2048", "files[0]")
    assert str(folder) in refused.value.message
    assert refused.value.hint == f"remove it (`rm -r {folder}`): the files of the target are then put in place anew"


def _change_first(**fields: Any) -> Change:
    def change(listed: dict[str, Any]) -> None:
        listed["standing"][0] |= fields

    return change


def _change(**fields: Any) -> Change:
    return lambda listed: listed.update(fields)


@pytest.mark.parametrize(
    "change",
    [
        _change(begun=["a1"]),
        _change(begun="abcd"),
        _change(begun=[1, None, "b2", None]),
        _change(standing={}),
        _change(standing=[]),
        _change(target=7),
        _change(target="../x"),
        _change(target="files[1]"),
        _change(digest=None),
        _change_first(path=5),
        _change_first(path=""),
        _change_first(path="a\0b"),
        _change_first(path="\ud800"),
        _change_first(link=5),
        _change_first(is_file=1),
        _change_first(mode=10**30),
        _change_first(mode="600"),
        _change_first(mode=-1),
        _change_first(uid=2**32 - 1),
        _change_first(gid=-2),
        _change_first(gid=None),
    ],
)
def test_a_memory_that_says_what_cannot_be_is_damaged(previous: PreviousFiles, tmp_path: Path, change: Change) -> None:
    previous.remember(FOUND)
    path = tmp_path / "state" / "deployed" / "mail+rsa-2048" / "files.0" / "standing.json"
    listed = json.loads(path.read_text())
    change(listed)
    path.write_text(json.dumps(listed))
    whole, ((target, damaged),) = previous.whole("mail+rsa-2048")
    assert (whole, target) == ((), "files[0]")
    assert damaged.message.endswith("is damaged: it does not say what stood where")


@pytest.mark.parametrize("put", [Path.touch, lambda path: path.symlink_to(path.name)], ids=["file", "link to itself"])
@pytest.mark.parametrize("name", ["deployed", "deployed/mail+rsa-2048"])
def test_what_is_no_folder_remembers_nothing_and_is_named(
    previous: PreviousFiles, tmp_path: Path, name: str, put: Callable[[Path], None]
) -> None:
    path = tmp_path / "state" / name
    path.parent.mkdir(parents=True)
    put(path)
    assert previous.labels() == ()
    assert previous.strays() == (path,)
    assert previous.places() == frozenset()
    assert not previous.holds("mail+rsa-2048", "files[0]")
    with pytest.raises(StorageError, match="a file of that name is in the way"):
        previous.remember(FOUND)


def test_places_are_known_of_all_that_is_whole(previous: PreviousFiles, tmp_path: Path) -> None:
    assert previous.places() == frozenset()
    previous.remember(FOUND)
    previous.remember(Remembered("mail", "files[0]", "d", (Standing(Path("/etc/other.pem")),), (None,)))
    previous.remember(Remembered("web", "files[0]", "d", (Standing(Path("/etc/web.pem")),), (None,)))
    (tmp_path / "state" / "deployed" / "web" / "files.0" / "standing.json").write_text("{")
    assert previous.places() == {one.path for one in STANDING} | {Path("/etc/other.pem")}
