"""The state directory as a whole: made for its owner alone, and worked on by one run at a time.

The lock is a `flock`, which the kernel gives up when the process dies, however it dies: no lock is ever stale. Reading needs no lock, since
everything changes by one rename or one transaction; whatever writes holds it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

from acmectl import files
from acmectl.errors import LockHeld, StorageError
from acmectl.storage.accounts import Accounts
from acmectl.storage.certificates import Certificates
from acmectl.storage.memory import Memory
from acmectl.storage.previous_files import PreviousFiles
from acmectl.storage.revocations import Revocations

_RETRY_SECONDS = 0.1


class StateDirectory:
    """One host's state: accounts, certificates and memory. Nothing is made on disk before it is needed."""

    def __init__(self, path: Path) -> None:
        """`path`, mostly /var/lib/acmectl."""
        self.path = path

    @cached_property
    def accounts(self) -> Accounts:
        """The ACME accounts of this host."""
        return Accounts(self.path / "accounts")

    @cached_property
    def certificates(self) -> Certificates:
        """The certificates of this host, with their keys."""
        return Certificates(self.path / "certificates", self.memory)

    @cached_property
    def revocations(self) -> Revocations:
        """Which of them were revoked."""
        return Revocations(self.path / "certificates")

    @cached_property
    def previous_files(self) -> PreviousFiles:
        """What stood at the places of targets before a run that was killed."""
        return PreviousFiles(self.path / "deployed")

    @cached_property
    def memory(self) -> Memory:
        """What this host remembers between runs."""
        return Memory(self.path / "state.db")

    def create(self) -> None:
        """Make the directory with mode 0700; one that exists is left as it is. Raises StorageError."""
        files.make_directory(self.path)

    def close(self) -> None:
        """Close the state database."""
        self.memory.close()

    @contextlib.contextmanager
    def locked(self, *, wait: timedelta | None = None) -> Iterator[None]:
        """Hold the lock, making the directory if there is none; one made for nothing is removed again.

        Raises LockHeld at once, or after `wait`, when another run holds it; StorageError when the directory cannot be
        made or written.
        """
        made = not self.path.exists()
        descriptor = self._locked_descriptor(timedelta(0) if wait is None else wait)
        try:
            yield
        finally:
            if made:
                self._remove_unused()
            os.close(descriptor)  # gives the lock up; the text stays, and says nothing while nobody holds it

    @property
    def _lock(self) -> Path:
        return self.path / "lock"

    def _locked_descriptor(self, wait: timedelta) -> int:
        """The lock file, open and ours, and still the one at its path: another run may have removed it unused."""
        while True:
            self.create()
            descriptor = self._open_lock()
            try:
                self._acquire(descriptor, wait)
                if os.fstat(descriptor).st_nlink:
                    return descriptor
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)

    def _remove_unused(self) -> None:
        """A refused command leaves nothing behind: not even a directory with nothing but our lock."""
        with contextlib.suppress(OSError):
            if [entry.name for entry in self.path.iterdir()] == [self._lock.name]:
                self._lock.unlink()
                self.path.rmdir()

    def _open_lock(self) -> int:
        try:
            # close-on-exec: a service that a reload command starts must not hold our lock
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            return os.open(self._lock, flags, files.PRIVATE)
        except OSError as cause:
            raise self._unusable(cause) from cause

    def _acquire(self, descriptor: int, wait: timedelta) -> None:
        deadline = time.monotonic() + wait.total_seconds()
        try:
            while not _try(descriptor):
                left = deadline - time.monotonic()
                if left <= 0:
                    raise self._held(descriptor)
                time.sleep(min(_RETRY_SECONDS, left))
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()} {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}\n".encode("ascii"), 0)
        except OSError as cause:
            raise self._unusable(cause) from cause

    def _held(self, descriptor: int) -> LockHeld:
        words = os.pread(descriptor, 100, 0).decode("ascii", "replace").split()
        holder = f" (process {words[0]}, since {words[1]})" if len(words) == 2 else ""
        return LockHeld(
            f"another run{holder} works on `{self.path}`", hint="wait until it ends, for example with `--lock-wait 10m`"
        )

    def _unusable(self, cause: OSError) -> StorageError:
        return StorageError(f"cannot lock `{self._lock}`: {files.reason(cause)}", hint=files.hint_for(cause))


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
