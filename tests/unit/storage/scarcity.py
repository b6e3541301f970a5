"""What the store does when the disk is full or read-only, for `test_disk`, which gives it a file system of its own.

`python -m tests.unit.storage.scarcity full|limited|read-only DIRECTORY`: the directory is a small tmpfs, except for `limited`,
which needs no permission to mount: there the size of each file is limited instead (EFBIG where the disk would say ENOSPC).
"""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from acmectl import keys
from acmectl.errors import StorageError
from acmectl.model.memory import Event
from acmectl.storage.bundle import Bundle, write_bundle
from acmectl.storage.state import StateDirectory
from tests.unit.storage.interrupting import (
    ACCOUNT,
    CHAINS,
    KEYS,
    ROLLED,
    check_certificates,
    check_replaced_account,
    issue_twice,
    save,
)

_PAGE = 4096
NOW = datetime(2026, 1, 1, tzinfo=UTC)

Squeeze = Callable[[Path, int], contextlib.AbstractContextManager[None]]


@contextlib.contextmanager
def filled(directory: Path, steps: int) -> Iterator[None]:
    """The disk is full but for so many pages."""
    filler = directory.parent / "filler"
    with filler.open("wb", buffering=0) as file:
        with contextlib.suppress(OSError):
            while True:
                file.write(b"x" * _PAGE)
        size = os.fstat(file.fileno()).st_size
        file.truncate(max(size - steps * _PAGE, 0))
    try:
        yield
    finally:
        filler.unlink()


@contextlib.contextmanager
def limited(directory: Path, steps: int) -> Iterator[None]:  # noqa: ARG001 - the signature of `filled`
    """No file can grow beyond so many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (steps * 30, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def attempt(directory: Path) -> None:
    """One issuance, which cleans up after itself as the follower does."""
    state = StateDirectory(directory)
    draft = None
    try:
        with state.locked():
            draft = state.certificates.begin("mail", keys.to_pem(KEYS[2]))
            state.certificates.complete(draft, CHAINS[2])
            state.certificates.switch("mail", draft.generation)
    except StorageError:
        if draft and draft.generation not in state.certificates.generations("mail"):
            state.certificates.drop(draft)
        raise
    finally:
        state.close()


def refused(act: Callable[[], None]) -> bool:
    """Whether `act` failed for lack of space; anything else than our error with a hint is a failure of the test."""
    try:
        act()
    except StorageError as error:
        if not any(words in str(error.hint) for words in ("the disk is full", "the limit for the size")):
            raise AssertionError(f"{error.message} ({error.hint})") from error
        return True
    return False


def run_out(directory: Path, squeeze: Squeeze) -> None:
    """Every amount of space from none to enough: never a half certificate, account or bundle."""
    issue_twice(directory)
    save(directory, ACCOUNT)
    bundle = directory.parent / "bundle"
    acts: list[tuple[Callable[[], None], Callable[[], None]]] = [
        (lambda: attempt(directory), lambda: check_certificates(directory)),
        (lambda: save(directory, ROLLED), lambda: check_replaced_account(directory)),
        (lambda: write_bundle(bundle, Bundle(ACCOUNT)), lambda: None if not bundle.exists() else bundle.unlink()),
    ]
    for act, check in acts:
        failures = 0
        for steps in range(200):
            with squeeze(directory, steps):
                failed = refused(act)
                assert not (failed and bundle.exists()), "a half bundle"
            check()
            leftovers = [path for path in directory.rglob("*") if path.name.startswith(".")]
            assert not leftovers, leftovers
            failures += failed
            if not failed:
                break
        else:
            raise AssertionError("it never succeeded")
        assert failures, "nothing was ever refused: is the squeeze real?"
    with squeeze(directory, 0):
        assert refused(lambda: StateDirectory(directory).memory.add_events([Event(NOW, "a", "b", "c" * 100_000)]))
    state = StateDirectory(directory)
    assert state.memory.events() == ()
    state.memory.add_event(Event(NOW, "a", "b", "c"))
    state.close()


def read_only(directory: Path) -> None:
    """Nothing can be changed, each attempt says why, and everything can be looked at."""
    issue_twice(directory)
    save(directory, ACCOUNT)
    state = StateDirectory(directory)
    state.memory.forget_parsed("mail", [1, 2])  # so that looking has to parse, and would like to remember
    state.close()
    subprocess.run(["mount", "-o", "remount,bind,ro", str(directory.parent)], check=True)
    check_certificates(directory)
    assert state.accounts.load("default") == ACCOUNT
    assert state.memory.events() == ()
    draft = state.certificates.generations("mail")[-1]
    acts: list[Callable[[], object]] = [
        lambda: StateDirectory(directory / "new").create(),
        lambda: state.locked().__enter__(),
        lambda: state.accounts.save(ROLLED, replace=True),
        lambda: state.memory.add_event(Event(NOW, "a", "b", "c")),
        lambda: state.certificates.begin("mail", keys.to_pem(KEYS[2])),
        lambda: state.certificates.switch("mail", draft),
        lambda: write_bundle(directory.parent / "bundle", Bundle(ACCOUNT)),
    ]
    for number, act in enumerate(acts):
        try:
            act()
        except StorageError as error:
            said = f"{error.message} {error.hint}"
            assert "read-only" in said or "mount the file system writable" in said, said
        else:
            raise AssertionError(f"act {number} was not refused")
    assert state.accounts.load("default") == ACCOUNT
    check_certificates(directory)


def main() -> None:
    mode, directory = sys.argv[1], Path(sys.argv[2]) / "state"
    if mode == "read-only":
        read_only(directory)
    else:
        run_out(directory, filled if mode == "full" else limited)
    print("held")  # noqa: T201 - the answer for the test


if __name__ == "__main__":
    main()
