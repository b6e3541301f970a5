"""What a target puts in place, whose it is then, and that what was there before can come back exactly."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from acmectl import files
from acmectl.deploy import registry
from acmectl.deploy.files import FilesOptions
from acmectl.deploy.target import Target
from acmectl.errors import DeployError
from tests.unit.deploy.generations import GID, OTHER_GID, UID, install, made_generation


@pytest.fixture
def generation(tmp_path: Path) -> Path:
    return made_generation(tmp_path / "7", "new")


def target(directory: Path, **given: Any) -> Target:
    return registry.build("files", FilesOptions.model_validate({"directory": str(directory), **given}))


def rights(path: Path) -> tuple[int, int, int]:
    status = path.lstat()
    return stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid


def test_each_file_has_its_own_rights_under_any_umask_and_in_a_directory_with_setgid(
    tmp_path: Path, generation: Path, umask: int
) -> None:
    ours = tmp_path / "ssl"
    ours.mkdir()
    os.chown(ours, -1, OTHER_GID)
    ours.chmod(0o2777)
    given = target(
        ours,
        owner=str(UID),
        group=str(GID),
        key_mode="0640",
        files={
            "privkey+fullchain": "all.pem",
            "privkey": {"name": "tls.key", "mode": "0400"},
            "cert": {"name": "tls.crt", "group": str(OTHER_GID)},
            "fullchain": {"name": "chain.pem", "mode": "0440", "owner": str(os.geteuid())},
        },
    )
    install(given, generation)
    assert {path.name: rights(path) for path in ours.iterdir()} == {
        "all.pem": (0o640, UID, GID),
        "tls.key": (0o400, UID, GID),
        "tls.crt": (0o644, UID, OTHER_GID),
        "chain.pem": (0o440, os.geteuid(), GID),
    }, umask


def test_without_a_group_a_directory_with_setgid_does_not_give_keys_to_its_own(
    tmp_path: Path, generation: Path, umask: int
) -> None:
    ours = tmp_path / "ssl"
    ours.mkdir()
    os.chown(ours, -1, OTHER_GID)
    ours.chmod(0o2770)
    install(target(ours, key_mode="0640"), generation)
    assert {rights(path)[1:] for path in ours.iterdir()} == {(os.geteuid(), os.getegid())}, umask


def test_a_new_directory_can_be_entered_under_any_umask_and_written_by_nobody(
    tmp_path: Path, generation: Path, umask: int
) -> None:
    install(target(tmp_path / "etc" / "ssl", files={"cert": "deeper/tls.crt"}), generation)
    made = [tmp_path / name for name in ("etc", "etc/ssl", "etc/ssl/deeper")]
    assert [rights(path)[0] for path in made] == [0o755] * 3, umask


def test_absolute_names_lie_where_they_say(tmp_path: Path, generation: Path) -> None:
    names = {"privkey": str(tmp_path / "private" / "tls.key"), "fullchain": "tls.crt"}
    one = target(tmp_path / "certs", files=names)
    install(one, generation)
    assert one.copies == (tmp_path / "private" / "tls.key", tmp_path / "certs" / "tls.crt")
    assert [path.read_text() for path in one.copies] == ["new privkey\n", "new fullchain\n"]


def test_keys_go_first_and_the_full_chain_last_however_they_are_listed(tmp_path: Path) -> None:
    names = {"fullchain": "4", "cert": "3", "chain": "2", "privkey": "1"}
    assert [path.name for path in target(tmp_path, files=names).copies] == ["1", "2", "3", "4"]


def spoil_nothing(place: Path) -> None:
    """As a first installation finds it."""


def old_file(place: Path) -> None:
    place.write_text("old")
    place.chmod(0o640)
    os.chown(place, UID, GID)


def link(place: Path) -> None:
    place.with_name("elsewhere").write_text("precious")
    place.symlink_to("elsewhere")


def dangling(place: Path) -> None:
    place.symlink_to("/nowhere/at/all")


@pytest.mark.parametrize("before", [spoil_nothing, old_file, link, dangling])
@pytest.mark.parametrize("content", ["privkey+fullchain", "fullchain"])
def test_what_was_there_before_comes_back_exactly(
    tmp_path: Path, generation: Path, before: Callable[[Path], None], content: str
) -> None:
    ours = tmp_path / "ssl"
    ours.mkdir()
    before(ours / "tls.pem")
    old_file(ours / "tls.crt")
    one = target(ours, files={content: "tls.pem", "cert": "tls.crt"})
    there = {path.name: (path.read_text() if path.exists() else "", rights(path)) for path in ours.iterdir()}
    standing = one.standing()
    install(one, generation)
    assert "new fullchain" in (ours / "tls.pem").read_text()
    assert not (ours / "tls.pem").is_symlink()
    one.restore(standing)
    found = {path.name: (path.read_text() if path.exists() else "", rights(path)) for path in ours.iterdir()}
    assert found == there
    assert one.standing() == standing
    one.restore(standing)
    assert one.standing() == standing, "twice is no failure"


def test_restoring_where_the_directory_was_not_there_leaves_no_file(tmp_path: Path, generation: Path) -> None:
    one = target(tmp_path / "ssl")
    standing = one.standing()
    one.restore(standing)
    install(one, generation)
    one.restore(standing)
    assert list((tmp_path / "ssl").iterdir()) == []


def test_a_directory_in_the_place_of_a_file_is_an_error_before_anything_is_remembered(tmp_path: Path) -> None:
    (tmp_path / "ssl" / "cert.pem").mkdir(parents=True)
    with pytest.raises(DeployError, match=r"cannot write `.*/cert.pem`: is a directory"):
        target(tmp_path / "ssl").standing()


def test_nothing_of_what_stood_there_is_shown(tmp_path: Path) -> None:
    (tmp_path / "privkey.pem").write_text("SECRET")
    one = target(tmp_path)
    assert "SECRET" not in repr(one.standing())
    assert "SECRET" not in repr(one)


def test_the_stamp_changes_with_every_copy(tmp_path: Path, generation: Path) -> None:
    one = target(tmp_path / "ssl", files={"privkey": "a", "fullchain": "b"})
    stamps = [one.stamp()]
    install(one, generation)
    stamps.append(one.stamp())
    a, b = (tmp_path / "ssl" / name for name in ("a", "b"))
    a.chmod(0o666)
    stamps.append(one.stamp())
    assert one.changed_since(stamps[1]) == (a,)
    b.write_text(b.read_text().swapcase())
    stamps.append(one.stamp())
    b.unlink()
    stamps.append(one.stamp())
    b.symlink_to("a")
    stamps.append(one.stamp())
    a.unlink()
    stamps.append(one.stamp())
    a.mkdir()
    stamps.append(one.stamp())
    assert one.changed_since(stamps[1]) == (a, b)
    assert len(set(stamps)) == len(stamps)


def test_a_file_that_is_only_touched_or_copied_back_has_the_same_stamp(tmp_path: Path, generation: Path) -> None:
    one = target(tmp_path / "ssl", files={"privkey": "a", "fullchain": "b"})
    install(one, generation)
    before = one.stamp()
    os.utime(tmp_path / "ssl" / "a", ns=(1, 1))
    one.restore(one.standing())
    install(one, generation)
    assert one.stamp() == before
    assert one.changed_since(before) == ()


def test_a_key_that_is_not_on_this_host_cannot_be_joined_with_the_chain(tmp_path: Path, generation: Path) -> None:
    (generation / "privkey.pem").rename(generation / "csr.pem")
    with pytest.raises(DeployError) as raised:
        install(target(tmp_path / "ssl", files={"privkey+fullchain": "tls.pem"}), generation)
    assert "tls.pem` would hold the private key" in raised.value.message
    assert raised.value.hint == "name a file for the chain alone: `files: {fullchain: NAME}`"
    assert not (tmp_path / "ssl").exists()


def test_a_target_that_is_a_command_installs_nothing(generation: Path) -> None:
    one = registry.command(("/usr/local/bin/tell",))
    install(one, generation)
    one.restore(one.standing())
    assert (one.copies, one.standing(), one.stamp()) == ((), (), "")
    assert one.run == ("/usr/local/bin/tell",)
    assert (one.check, one.reload_command, one.verify) == (None, None, None)
    assert one.digest != registry.command(("/usr/local/bin/tell", "loudly")).digest


def test_a_failing_installation_leaves_what_was_there_and_no_temporary_file(tmp_path: Path, generation: Path) -> None:
    ours = tmp_path / "ssl"
    ours.mkdir()
    old_file(ours / "privkey.pem")
    (generation / "fullchain.pem").unlink()
    one = target(ours)
    standing = one.standing()
    with pytest.raises(DeployError, match="cannot read the fullchain to deploy"):
        install(one, generation)
    assert one.standing() == standing
    assert [path.name for path in ours.iterdir()] == ["privkey.pem"]
    assert not [path for path in ours.iterdir() if files.is_leftover(path.name)]


def test_another_passphrase_is_noticed_and_another_place_of_the_same_is_not(tmp_path: Path) -> None:
    """systemd puts credentials into a new directory for each run."""
    targets = []
    for name, content in (("a", "correct horse"), ("b", "correct horse"), ("c", "battery staple")):
        (tmp_path / name).touch(mode=0o600)
        (tmp_path / name).write_text(content)
        targets.append(target(tmp_path / "ssl", files={"pkcs12": "x.p12"}, passphrase_file=str(tmp_path / name)))
    same, moved, other = targets
    assert (same.digest, same.stamp()) == (moved.digest, moved.stamp())
    assert same.stamp() != other.stamp()
    (tmp_path / "a").unlink()
    assert same.stamp() != moved.stamp()
    assert "correct" not in moved.stamp()
