from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acmectl import files
from acmectl.errors import DeployError, StorageError


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(params=[0o000, 0o022, 0o077, 0o777], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644])
def test_a_file_has_exactly_the_mode_that_was_asked_for_under_any_umask(tmp_path: Path, umask: int, mode: int) -> None:
    files.write_atomically(tmp_path / "a", b"content", mode=mode)
    files.write_new(tmp_path / "b", b"content", mode=mode)
    assert [mode_of(tmp_path / name) for name in "ab"] == [mode, mode], umask
    assert (tmp_path / "a").read_bytes() == b"content"


def test_an_old_file_is_replaced_and_no_temporary_file_is_left(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    files.write_atomically(tmp_path / "a", b"new")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a", b"new")]


def test_a_link_at_the_target_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_bytes(b"precious")
    (tmp_path / "a").symlink_to("precious")
    files.write_atomically(tmp_path / "a", b"new")
    assert not (tmp_path / "a").is_symlink()
    assert (tmp_path / "precious").read_bytes() == b"precious"


def test_a_directory_at_the_target_leaves_all_other_files_as_they_were(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    (tmp_path / "b").mkdir()
    with pytest.raises(StorageError, match=r"cannot write `.*/b`: is a directory"):
        files.write_together([files.NewFile(tmp_path / "a", b"new"), files.NewFile(tmp_path / "b", b"new")])
    assert (tmp_path / "a").read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_files_written_together_are_all_old_when_one_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    new = [files.NewFile(tmp_path / "a", b"new"), files.NewFile(tmp_path / "missing" / "b", b"new")]
    with pytest.raises(DeployError, match=r"cannot write `.*/missing/b`: no such file or directory"):
        files.write_together(new, error=DeployError)
    assert (tmp_path / "a").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_the_content_of_a_new_file_does_not_show_in_its_repr(tmp_path: Path) -> None:
    assert "secret" not in repr(files.NewFile(tmp_path / "a", b"secret"))


def test_a_file_that_exists_is_not_overwritten_by_write_new(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    (tmp_path / "link").symlink_to("nowhere")
    for name in ("a", "link"):
        with pytest.raises(StorageError, match="exists already") as raised:
            files.write_new(tmp_path / name, b"new")
        assert raised.value.hint == "choose another file, or remove it first"
    assert (tmp_path / "a").read_bytes() == b"old"
    assert not (tmp_path / "nowhere").exists()


@settings(deadline=None)
@given(st.text(alphabet=st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=40))
def test_a_temporary_name_is_recognised_as_a_leftover(name: str) -> None:
    assert files.is_leftover(files.temporary_name(Path("/x") / f"n{name}").name)


@pytest.mark.parametrize(
    "name", ["a", ".a.tmp", ".a.0123456.tmp", "a.01234567.tmp", ".01234567.tmp", ".a.01234567.tmpx"]
)
def test_no_other_name_is_taken_for_a_leftover(name: str) -> None:
    assert not files.is_leftover(name)


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


def test_the_hint_for_a_failed_call_says_what_to_do() -> None:
    import errno

    assert files.hint_for(OSError(errno.ENOSPC, "x")) == (
        "the disk is full: free some space and run the same command again"
    )
    assert files.hint_for(OSError(errno.EROFS, "x")) == "the file system is mounted read-only"
    assert files.hint_for(OSError(errno.ENOENT, "x")) is None
    assert files.reason(OSError()) == "oSError"


def test_a_file_that_is_written_is_synced_before_it_is_in_place(tmp_path: Path) -> None:
    """A power failure cannot be made here; the order of the system calls can be seen."""
    trace = tmp_path / "trace"
    program = "import sys, pathlib; from acmectl import files; files.write_atomically(pathlib.Path(sys.argv[1]), b'x')"
    import sys

    calls = "trace=fsync,fdatasync,rename,renameat,renameat2"
    argv = ["strace", "-f", "-y", "-e", calls, "-o", str(trace), sys.executable, "-c", program, str(tmp_path / "a")]
    subprocess.run(argv, check=True, capture_output=True)
    seen = [line.split("(")[0].split()[-1] for line in trace.read_text().splitlines() if str(tmp_path) in line]
    assert [call.removesuffix("at2").removesuffix("at") for call in seen] == ["fsync", "rename", "fsync"]
