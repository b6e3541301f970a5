from __future__ import annotations

import os
from pathlib import Path

import pytest

from acmectl import files
from acmectl.errors import StorageError


def test_a_missing_file_is_named_with_its_role(tmp_path: Path) -> None:
    with pytest.raises(StorageError) as raised:
        files.read(tmp_path / "k", what="the TSIG key")
    assert raised.value.message == f"cannot read the TSIG key `{tmp_path}/k`: no such file or directory"


def test_what_is_no_regular_file_is_refused_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", tmp_path, Path("/dev/zero")):
        with pytest.raises(StorageError, match="is no regular file"):
            files.read(path, what="the key")


def test_a_file_of_an_insane_size_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "big").open("wb") as file:
        file.truncate(16 * 1024 * 1024 + 1)
    with pytest.raises(StorageError, match="is larger than 16 MB"):
        files.read(tmp_path / "big", what="the key")


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o602, 0o601, 0o660, 0o670])
def test_a_secret_that_others_can_reach_is_refused_with_the_command_to_mend_it(tmp_path: Path, mode: int) -> None:
    (tmp_path / "k").write_bytes(b"secret")
    (tmp_path / "k").chmod(mode)
    with pytest.raises(StorageError) as raised:
        files.read_secret(tmp_path / "k", what="the key")
    assert raised.value.message == f"the key `{tmp_path}/k` can be read or written by others (mode {mode:04o})"
    assert raised.value.hint == f"`chmod 600 {tmp_path}/k`, and consider it known to others"
    assert files.exposure(tmp_path / "k")


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_a_private_file_is_read(tmp_path: Path, mode: int) -> None:
    (tmp_path / "k").write_bytes(b"secret")
    (tmp_path / "k").chmod(mode)
    assert files.read_secret(tmp_path / "k", what="the key") == b"secret"
    assert files.exposure(tmp_path / "k") is None
