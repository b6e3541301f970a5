from __future__ import annotations

import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from acmectl.errors import LockHeld, StorageError
from acmectl.storage.state import StateDirectory

HOLD = """
import sys, time, pathlib
from acmectl.storage.state import StateDirectory
with StateDirectory(pathlib.Path(sys.argv[1])).locked():
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def another_run(path: Path) -> Iterator[subprocess.Popen[str]]:
    argv = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def test_nothing_is_made_before_it_is_needed(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path / "state")
    assert state.accounts.names() == ()
    assert state.certificates.labels() == ()
    assert state.certificates.current("mail") is None
    assert state.certificates.damage("mail") is None
    assert state.memory.authorizations() == ()
    assert list(tmp_path.iterdir()) == []


def test_a_made_state_directory_is_private_with_everything_in_it(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path / "state")
    with state.locked():
        state.memory.set_fact("a", "b")
    assert stat.S_IMODE(state.path.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in state.path.iterdir()}
    assert modes == {"lock": 0o600, "state.db": 0o600}


def test_an_existing_directory_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o750)
    StateDirectory(tmp_path).create()
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o750


def test_a_file_in_the_place_of_the_directory_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "state").touch()
    with pytest.raises(StorageError, match="a file of that name is in the way"):
        StateDirectory(tmp_path / "state").create()


def test_a_held_lock_is_reported_at_once_with_its_holder(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path)
    with another_run(tmp_path) as holder:
        began = time.monotonic()
        with pytest.raises(LockHeld) as raised, state.locked():
            pass
        assert time.monotonic() - began < 1
    assert raised.value.message.startswith(f"another run (process {holder.pid}, since 20")
    assert raised.value.message.endswith(f"Z) works on `{tmp_path}`")
    assert raised.value.exit_status == 3


def test_the_lock_dies_with_its_process_however_it_dies(tmp_path: Path) -> None:
    with another_run(tmp_path) as holder:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        with StateDirectory(tmp_path).locked():
            pass


def test_a_waiting_run_gets_the_lock_when_the_other_ends(tmp_path: Path) -> None:
    with another_run(tmp_path) as holder:
        waiter = subprocess.Popen(
            [
                sys.executable,
                "-c",
                HOLD.replace(".locked()", ".locked(wait=__import__('datetime').timedelta(minutes=1))"),
                str(tmp_path),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        with waiter:
            with pytest.raises(subprocess.TimeoutExpired):
                waiter.wait(0.7)
            assert holder.stdin
            holder.stdin.close()
            assert waiter.stdout
            assert waiter.stdout.readline() == "held\n"
            waiter.kill()


def test_a_wait_for_the_lock_ends(tmp_path: Path) -> None:
    with another_run(tmp_path):
        began = time.monotonic()
        with pytest.raises(LockHeld), StateDirectory(tmp_path).locked(wait=timedelta(seconds=0.4)):
            pass
        assert 0.4 <= time.monotonic() - began < 3


def test_two_runs_in_one_process_exclude_each_other_too(tmp_path: Path) -> None:
    with StateDirectory(tmp_path).locked(), pytest.raises(LockHeld), StateDirectory(tmp_path).locked():
        pass


def test_the_lock_can_be_taken_again_after_an_error_inside(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="inside"), StateDirectory(tmp_path).locked():
        raise RuntimeError("inside")
    with StateDirectory(tmp_path).locked():
        pass


def test_a_program_started_under_the_lock_does_not_hold_it(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path)
    with state.locked():
        child = subprocess.Popen(["sleep", "60"], close_fds=False)
    try:
        with state.locked():
            pass
    finally:
        child.kill()
        child.wait()


def test_a_link_in_the_place_of_the_lock_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError, match="cannot lock"), StateDirectory(tmp_path).locked():
        pass
    assert not (tmp_path / "elsewhere").exists()


def test_reading_the_state_imports_no_heavy_library(tmp_path: Path) -> None:
    """A run with nothing due must stay cheap: what certificates say is remembered, not parsed."""
    from acmectl import keys
    from acmectl.model.certificates import KeyType
    from tests.unit.storage.certificate_maker import make_chain

    state, key = StateDirectory(tmp_path / "state"), keys.generate(KeyType.ECDSA_P256)
    with state.locked():
        draft = state.certificates.begin("mail", keys.to_pem(key))
        state.certificates.complete(draft, make_chain(key))
        state.certificates.switch("mail", draft.generation)
    state.close()
    code = """
import sys, pathlib
from acmectl.storage.state import StateDirectory
from acmectl.storage.bundle import read_bundle
state = StateDirectory(pathlib.Path(sys.argv[1]))
with state.locked():
    assert state.certificates.current("mail").serial == "abc"
    assert state.certificates.damage("mail") is None
    assert state.memory.follower_order("mail") is None
print(*sorted({"acme", "josepy", "requests", "dns", "cryptography", "pydantic", "rich", "yaml"} & set(sys.modules)))
"""
    argv = [sys.executable, "-c", code, str(state.path)]
    assert subprocess.run(argv, check=True, capture_output=True, text=True).stdout == "\n"
    code = code.replace('damage("mail")', 'damage("mail", deep=True)')
    found = subprocess.run([sys.executable, "-c", code, str(state.path)], check=True, capture_output=True, text=True)
    assert found.stdout == "cryptography\n", "the check itself must be able to fail"
