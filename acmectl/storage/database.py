"""The state database as a file: created for its owner alone, one connection shared by all threads, our errors.

The rollback journal is used rather than a write-ahead log: it works on a read-only file system, leaves one file, and SQLite gives it the mode
of the database. `synchronous = EXTRA` also syncs the directory, so that what was committed survives a power failure.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from acmectl import files
from acmectl.errors import StorageError
from acmectl.storage import folders, schema
from acmectl.storage.rows import Column

T = TypeVar("T")

_BUSY = timedelta(seconds=30)  # how long to wait while another process writes
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT}
_HINTS = {
    sqlite3.SQLITE_FULL: "the disk is full: free some space and run the same command again",
    sqlite3.SQLITE_READONLY: "run as the user who owns it (mostly root), or mount the file system writable",
    sqlite3.SQLITE_CANTOPEN: "run as the user who owns it (mostly root), or mount the file system writable",
    sqlite3.SQLITE_IOERR: "the disk is failing, or the limit for the size of a file is reached (`dmesg`, `ulimit -f`)",
    sqlite3.SQLITE_BUSY: "another acmectl, or a backup, is busy with it: try again",
}


class Database:
    """One SQLite file, opened when it is first needed. Any thread may call; one at a time is served."""

    def __init__(self, path: Path, *, busy_for: timedelta = _BUSY) -> None:
        """`path` in an existing directory; nothing is opened or made yet. Another writer is waited for `busy_for`."""
        self.path = path
        self._busy_for = busy_for.total_seconds()
        self._connection: sqlite3.Connection | None = None
        self._turn = threading.RLock()

    def rows(self, query: str, parameters: Sequence[Column], decode: Callable[[Sequence[Any]], T]) -> tuple[T, ...]:
        """The decoded rows of a query; none where no database was made yet (reading makes nothing)."""
        with self._turn, self._translated():
            connection = self._existing()
            if connection is None:
                return ()
            found = connection.execute(query, parameters).fetchall()
            try:
                return tuple(decode(row) for row in found)
            except (ValueError, TypeError, KeyError, OverflowError) as cause:
                raise self._damaged(f"holds a row that cannot be read: {cause}") from cause

    def write(self, *statements: tuple[str, Iterable[Sequence[Column]]]) -> None:
        """Each statement once for each of its rows of parameters, all in one transaction, durable on return."""
        with self._turn, self._translated():
            connection = self._opened()
            connection.execute("BEGIN IMMEDIATE")
            try:
                for statement, parameters in statements:
                    connection.executemany(statement, parameters)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close the file; the next call opens it again."""
        with self._turn:
            if self._connection:
                self._connection.close()
            self._connection = None

    def _existing(self) -> sqlite3.Connection | None:
        return self._opened() if self._connection or folders.exists(self.path) else None

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            self._make_private()
            self._connection = self._connect()
        return self._connection

    def _make_private(self) -> None:
        """SQLite would create the file by the umask; so it is made first, and empty (version 0)."""
        if folders.exists(self.path):
            return
        with contextlib.suppress(FileExistsError):
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, files.PRIVATE))

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=self._busy_for, isolation_level=None, check_same_thread=False)
        try:
            for pragma in ("foreign_keys = ON", "synchronous = EXTRA", "trusted_schema = OFF"):
                connection.execute(f"PRAGMA {pragma}")
            schema.upgrade(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as cause:
            raise StorageError(
                f"cannot open `{self.path}`: {files.reason(cause)}", hint=files.hint_for(cause)
            ) from cause
        except schema.UnknownSchema as cause:
            raise StorageError(f"`{self.path}` {cause}", hint=f"upgrade acmectl, or {self._move_away}") from cause
        except sqlite3.Error as cause:
            self._raise(cause)

    def _raise(self, cause: sqlite3.Error) -> NoReturn:
        code = getattr(cause, "sqlite_errorcode", 0) & 0xFF  # the upper bits only refine it
        if code in _DAMAGED:
            raise self._damaged(f"is damaged: {cause}") from cause
        if code == sqlite3.SQLITE_ERROR:
            raise self._damaged(f"does not have the tables it should have: {cause}") from cause
        raise StorageError(f"cannot use `{self.path}`: {cause}", hint=_HINTS.get(code)) from cause

    def _damaged(self, what: str) -> StorageError:
        return StorageError(f"`{self.path}` {what}", hint=f"{self._move_away} (it holds neither keys nor certificates)")

    @property
    def _move_away(self) -> str:
        return f"move it away: `mv {self.path} {self.path}.damaged`"
