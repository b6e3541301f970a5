from __future__ import annotations

from pathlib import Path

import pytest

from acmectl import files
from acmectl.errors import StorageError
from tests.unit.files.modes import mode_of


def test_a_made_directory_is_private_and_an_existing_one_keeps_its_mode(tmp_path: Path) -> None:
    files.make_directory(tmp_path / "p" / "new")
    assert mode_of(tmp_path / "p" / "new") == 0o700
    (tmp_path / "old").mkdir(mode=0o755)
    files.make_directory(tmp_path / "old")
    assert mode_of(tmp_path / "old") == 0o755


def test_a_file_in_the_way_of_a_directory_is_named(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(StorageError, match=r"cannot make the directory `.*/a`: a file of that name is in the way"):
        files.make_directory(tmp_path / "a")
    with pytest.raises(StorageError, match=r"cannot make the directory `.*/a/b`"):
        files.make_directory(tmp_path / "a" / "b")


def test_directories_are_made_with_their_modes_under_any_umask(tmp_path: Path, umask: int) -> None:
    files.make_directory(tmp_path / "a" / "b" / "c", mode=0o700)
    assert [mode_of(tmp_path / name) for name in ("a", "a/b", "a/b/c")] == [0o755, 0o755, 0o700], umask


def test_a_directory_made_in_one_with_setgid_hands_its_group_on(tmp_path: Path) -> None:
    tmp_path.chmod(0o2750)
    files.make_directory(tmp_path / "a", mode=0o755)
    assert mode_of(tmp_path / "a") == 0o2755
