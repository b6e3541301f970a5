from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from acmectl import files
from acmectl.errors import DeployError, StorageError
from tests.unit.files.modes import mode_of


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


def test_a_file_that_is_written_is_synced_before_it_is_in_place(tmp_path: Path) -> None:
    """A power failure cannot be made here; the order of the system calls can be seen."""
    trace = tmp_path / "trace"
    program = "import sys, pathlib; from acmectl import files; files.write_atomically(pathlib.Path(sys.argv[1]), b'x')"
    calls = "trace=fsync,fdatasync,rename,renameat,renameat2"
    argv = ["strace", "-f", "-y", "-e", calls, "-o", str(trace), sys.executable, "-c", program, str(tmp_path / "a")]
    subprocess.run(argv, check=True, capture_output=True)
    seen = [line.split("(")[0].split()[-1] for line in trace.read_text().splitlines() if str(tmp_path) in line]
    assert [call.removesuffix("at2").removesuffix("at") for call in seen] == ["fsync", "rename", "fsync"]


def test_what_stands_at_a_path_is_seen_and_can_be_put_back(tmp_path: Path) -> None:
    places = [tmp_path / name for name in ("file", "link", "dangling", "nothing")]
    places[0].write_bytes(b"old")
    places[0].chmod(0o640)
    places[1].symlink_to("file")
    places[2].symlink_to("/nowhere/at/all")
    before = [files.standing_at(path) for path in places]
    files.write_together([files.NewFile(path, b"new", 0o600) for path in places])
    assert {path.read_bytes() for path in places} == {b"new"}
    files.put_back(before)
    assert [files.standing_at(path) for path in places] == before
    assert (places[0].read_bytes(), mode_of(places[0])) == (b"old", 0o640)
    assert [str(path.readlink()) for path in places[1:3]] == ["file", "/nowhere/at/all"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dangling", "file", "link"]


@pytest.mark.parametrize("mode", [0o400, 0o640, 0o666])
def test_what_is_put_back_has_its_old_rights_under_any_umask(tmp_path: Path, umask: int, mode: int) -> None:
    (tmp_path / "a").touch()
    (tmp_path / "a").chmod(mode)
    before = files.standing_at(tmp_path / "a")
    files.write_atomically(tmp_path / "a", b"new")
    files.put_back([before])
    assert mode_of(tmp_path / "a") == mode, umask


def test_what_is_put_back_belongs_to_whom_it_belonged(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root gives files away")
    (tmp_path / "a").touch()
    (tmp_path / "b").symlink_to("a")
    for name in "ab":
        os.lchown(tmp_path / name, 54321, 54322)
    before = [files.standing_at(tmp_path / name) for name in "ab"]
    files.write_together([files.NewFile(tmp_path / name, b"new") for name in "ab"])
    files.put_back(before)
    assert {((tmp_path / name).lstat().st_uid, (tmp_path / name).lstat().st_gid) for name in "ab"} == {(54321, 54322)}


def test_files_of_others_are_refused_where_they_could_not_be_given_back(open_place: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root has files of two users")
    place, other = open_place, 65534
    os.chown(place, other, other)
    for name, owner in (("ours", other), ("theirs", 54321)):
        (place / name).write_bytes(b"old")
        os.chown(place / name, owner, other)
    (place / "link").symlink_to("theirs")
    ours, theirs, link, nothing = (files.standing_at(place / name) for name in ("ours", "theirs", "link", "gone"))
    files.refuse_others([ours, theirs])
    os.setegid(other)
    os.seteuid(other)
    try:
        files.refuse_others([ours, link, nothing])
        files.put_back([ours, link, nothing])
        with pytest.raises(DeployError, match=r"`.*/theirs` belongs to 54321:65534, and could not be put") as refused:
            files.refuse_others([ours, theirs], error=DeployError)
        place.chmod(0o500)
        with pytest.raises(DeployError, match=r"cannot write `.*/theirs`: permission denied"):
            files.refuse_others([theirs], error=DeployError)
    finally:
        os.seteuid(0)
        os.setegid(0)
    hint = f"run as root, or give it to the user of acmectl: `chown {other}:{other} {place}/theirs`"
    assert refused.value.hint == hint
    assert sorted(path.name for path in place.iterdir()) == ["link", "ours", "theirs"]


def test_a_file_of_ours_with_a_group_that_it_could_be_given_again_is_not_refused(open_place: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root has files of groups that it is not in")
    place, other, groups = open_place, 65534, os.getgroups()
    (place / "shared").mkdir()
    for name, group in (("member", 54321), ("stranger", 54322), ("shared/inherited", 54322)):
        (place / name).write_bytes(b"old")
        (place / name).chmod(0o640)
        os.chown(place / name, other, group)
    for directory, group in ((place, other), (place / "shared", 54322)):
        os.chown(directory, other, group)
    (place / "shared").chmod(0o2755)
    member, stranger, inherited = (
        files.standing_at(place / name) for name in ("member", "stranger", "shared/inherited")
    )
    os.setgroups([54321])
    os.setegid(other)
    os.seteuid(other)
    try:
        files.refuse_others([member, inherited])
        for one in (member, inherited):
            files.write_atomically(one.path, b"new")
        files.put_back([member, inherited])
        with pytest.raises(StorageError, match=r"`.*/stranger` belongs to 65534:54322, and could not") as refused:
            files.refuse_others([stranger])
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)
    assert [files.standing_at(one.path) for one in (member, inherited)] == [member, inherited]
    assert refused.value.hint == (
        f"run as root, put the user of acmectl into the group 54322, or change that: `chgrp {other} {stranger.path}`"
    )


def test_where_one_cannot_be_put_back_nothing_is_changed(tmp_path: Path) -> None:
    standing = [files.Standing(tmp_path / "a", b"old", mode=0o600), files.Standing(tmp_path / "gone" / "b", b"old")]
    (tmp_path / "a").write_bytes(b"new")
    with pytest.raises(DeployError, match=r"cannot write `.*/gone/b`: no such file or directory"):
        files.put_back(standing, error=DeployError)
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a", b"new")]


def test_nothing_is_put_back_where_even_the_directory_is_missing(tmp_path: Path) -> None:
    files.put_back([files.standing_at(tmp_path / "gone" / "a")])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("make", "said"),
    [(Path.mkdir, "cannot write `.*/a`: is a directory"), (os.mkfifo, "the file in place `.*/a` is no regular file")],
    ids=["directory", "FIFO"],
)
def test_what_cannot_be_put_back_is_not_taken_for_a_file(
    tmp_path: Path, make: Callable[[Path], None], said: str
) -> None:
    make(tmp_path / "a")
    with pytest.raises(DeployError, match=said):
        files.standing_at(tmp_path / "a", error=DeployError)


def test_what_stood_there_is_never_shown() -> None:
    assert "secret" not in repr(files.Standing(Path("a"), b"secret"))
