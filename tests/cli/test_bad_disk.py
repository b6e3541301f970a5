"""Disks that are full or read-only: a clear message, nothing half-written, and the same command works once there is space.

Mounts are made in a mount namespace of their own, which `unshare` holds open for the test, and which vanishes with it. As
root only; another user tries what modes forbid.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from acmectl.sandbox.server import Sandbox
from acmectl.storage.accounts import StoredAccount
from acmectl.storage.bundle import Bundle, write_bundle
from tests.cli.hosts import AS_NOBODY, Host, Ran

ROOM = 'mount -t tmpfs -o size=512k,mode=700 tmpfs "$1" && echo ready && read -r line'
READ_ONLY = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && echo ready && read -r line'

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root; modes are tried by the other tests")


class Namespace:
    """A mount namespace that lives as long as the process that holds it."""

    def __init__(self, pid: int, directory: Path) -> None:
        self._prefix = ("nsenter", f"--mount=/proc/{pid}/ns/mnt", f"--wd={directory}")
        self._filler = f"/proc/{pid}/root{directory}/state/filler"

    def run(self, host: Host, *words: str) -> Ran:
        return host.acmectl(*words, prefix=self._prefix)

    def fill(self, *, leave: int = 0) -> None:
        """Take all the space of the file system but `leave` bytes."""
        with Path(self._filler).open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"\0" * 4096)
            except OSError:
                file.truncate(max(0, file.tell() - leave))

    def free(self) -> None:
        Path(self._filler).unlink()

    def files(self) -> list[str]:
        """What lies in the state directory, but the filler and the lock."""
        state = Path(self._filler).parent
        return sorted(str(p.relative_to(state)) for p in state.rglob("*") if p.name not in {"filler", "lock"})


@contextmanager
def namespace(host: Host, script: str) -> Iterator[Namespace]:
    """`script` in a new mount namespace, with the state directory as its argument."""
    host.state.mkdir(mode=0o700, exist_ok=True)
    process = subprocess.Popen(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", str(host.state)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
            yield Namespace(process.pid, host.directory)
        finally:
            process.kill()


def assert_full(host: Host, ran: Ran) -> None:
    """One message about the full disk, and what to do."""
    assert ran.status == 1
    assert "Traceback" not in ran.err
    errors = [line for line in ran.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, host.block(ran)
    assert "no space left on device" in errors[0] or "database or disk is full" in errors[0]
    assert "hint: the disk is full: free some space and run the same command again\n" in ran.err


@as_root
def test_registering_on_a_full_disk(new_master: Host) -> None:
    with namespace(new_master, ROOM) as room:
        room.fill()
        assert_full(new_master, room.run(new_master, "account", "register", "--agree-tos"))
        assert room.files() == [] or room.files() == ["accounts"]
        room.free()
        assert room.run(new_master, "account", "register", "--agree-tos").status == 0
        assert "accounts/default/key.pem" in room.files()


@as_root
def test_importing_on_a_full_disk(new_follower: Host) -> None:
    with namespace(new_follower, ROOM) as room:
        room.fill()
        assert_full(new_follower, room.run(new_follower, "account", "import", "bundle.json"))
        assert set(room.files()) <= {"accounts"}
        room.free()
        assert room.run(new_follower, "account", "import", "bundle.json").status == 0


@as_root
def test_a_masters_run_on_a_full_disk(new_master: Host, account: StoredAccount) -> None:
    write_bundle(new_master.directory / "bundle.json", Bundle(account))
    with namespace(new_master, ROOM) as room:
        assert room.run(new_master, "account", "import", "bundle.json").status == 0
        room.fill()
        assert_full(new_master, room.run(new_master, "master", "run"))
        room.free()
        assert room.run(new_master, "master", "run").status == 0
        assert room.run(new_master, "master", "status").status == 0


@as_root
@pytest.mark.parametrize("leave", [0, 60_000])
def test_a_followers_run_on_a_full_disk(authorized: Host, new_follower: Host, leave: int) -> None:
    """With no space at all, and with enough for the database but not for a certificate."""
    assert authorized.directory.exists()
    with namespace(new_follower, ROOM) as room:
        assert room.run(new_follower, "account", "import", "bundle.json").status == 0
        room.fill(leave=leave)
        ran = room.run(new_follower, "follower", "run")
        if leave == 0 or ran.status:
            assert_full(new_follower, ran)
        room.free()
        assert room.run(new_follower, "follower", "run").status == 0
        assert room.run(new_follower, "status").status == 0
        files = room.files()
        assert "certificates/xmpp/1/privkey.pem" in files or "certificates/xmpp/2/privkey.pem" in files
        assert not [name for name in files if name.endswith(".tmp")]


def assert_refused(host: Host, ran: Ran, reason: str) -> None:
    assert ran.status == 1
    assert "Traceback" not in ran.err
    assert reason in ran.err, host.block(ran)
    assert len([line for line in ran.err.splitlines() if line.startswith("error: ")]) == 1


@as_root
def test_a_state_directory_that_is_mounted_read_only(issued: Host) -> None:
    before = issued.tree()
    with namespace(issued, READ_ONLY) as frozen:
        for words in ("run", "follower run", "account register --agree-tos", "account import config.yaml --replace"):
            ran = frozen.run(issued, *words.split())
            assert_refused(issued, ran, "read-only file system\nhint: the file system is mounted read-only\n")
        assert frozen.run(issued, "status").status == 0, "looking needs no writing"
        assert frozen.run(issued, "follower", "plan").status == 0
    assert issued.tree() == before


@as_root
def test_a_state_directory_of_another_user(ca: Sandbox, issued: Host, open_path: Path) -> None:
    shutil.copytree(issued.directory, open_path / "follower", symlinks=True)
    shutil.copy(ca.ca_bundle, open_path)
    host = Host(open_path / "follower", issued.config.read_text().replace(str(ca.ca_bundle), "../root.pem"))
    before = host.tree()
    for words in ("run", "status", "account show"):
        ran = host.acmectl(*words.split(), prefix=AS_NOBODY)
        assert_refused(host, ran, "permission denied\nhint: run as the user who owns it (mostly root)")
    assert host.tree() == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root ignores modes: see the tests with mounts")
def test_a_state_directory_that_may_not_be_written(issued: Host) -> None:
    issued.state.chmod(0o500)
    (issued.state / "lock").chmod(0o400)
    before = issued.tree()
    assert_refused(issued, issued.acmectl("run"), "permission denied\nhint: run as the user who owns it (mostly root)")
    assert issued.acmectl("status").status == 0
    assert issued.tree() == before
