from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from acmectl import files
from acmectl.errors import StorageError
from tests.unit.files.modes import mode_of


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644])
def test_a_file_has_exactly_the_mode_that_was_asked_for_under_any_umask(tmp_path: Path, umask: int, mode: int) -> None:
    files.write_atomically(tmp_path / "a", b"content", mode=mode)
    files.write_new(tmp_path / "b", b"content", mode=mode)
    assert [mode_of(tmp_path / name) for name in "ab"] == [mode, mode], umask
    assert (tmp_path / "a").read_bytes() == b"content"


def test_what_replaces_a_file_is_younger_even_where_the_clock_was_set_back(tmp_path: Path) -> None:
    """ejabberd compares whole seconds."""
    path = tmp_path / "site.pem"
    path.write_bytes(b"old")
    for _ in range(3):
        files.write_together([files.NewFile(path, b"new")])
    assert abs(time.time() - path.stat().st_mtime) < 60, "the clock's, unless it is asked for"
    ahead = int(time.time()) + 3600
    for seconds in range(3):
        os.utime(path, (ahead, ahead + seconds + 0.5))
        files.write_together([files.NewFile(path, b"newer")], younger=True)
        assert path.stat().st_mtime == ahead + seconds + 1


def test_a_file_that_exists_is_not_overwritten_by_write_new(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    (tmp_path / "link").symlink_to("nowhere")
    for name in ("a", "link"):
        with pytest.raises(StorageError, match="exists already") as raised:
            files.write_new(tmp_path / name, b"new")
        assert raised.value.hint == "choose another file, or remove it first"
    assert (tmp_path / "a").read_bytes() == b"old"
    assert not (tmp_path / "nowhere").exists()
