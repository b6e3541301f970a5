"""New files, at names that were free: a file is created for its owner alone, gets its owner and its final mode, and then its content.

So a secret is never readable by others at any moment. What fails leaves no file behind.

What takes the place of a service's file is younger than it by a whole second, if need be ahead of the clock: ejabberd (its `pkix`)
reads a file again only where the time of its last change, in seconds, is later than the one it knows, and a clock can have been set back.
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from acmectl.errors import AcmectlError, StorageError
from acmectl.files.directories import sync_directory
from acmectl.files.reasons import hint_for, reason

PRIVATE = 0o600


def write_new(path: Path, content: bytes, *, mode: int = PRIVATE, error: type[AcmectlError] = StorageError) -> None:
    """Create `path` with exactly `mode`; an existing file (or link) there is an error and is left alone."""
    try:
        create(path, content, mode, -1, -1)
        sync_directory(path.parent)
    except FileExistsError as cause:
        raise error(f"`{path}` exists already", hint="choose another file, or remove it first") from cause
    except OSError as cause:
        raise error(f"cannot write `{path}`: {reason(cause)}", hint=hint_for(cause)) from cause


def create(path: Path, content: bytes, mode: int, uid: int, gid: int, *, younger_than: Path | None = None) -> None:
    """Write and sync a new file, by its time of change younger than another; -1 is an owner or group as it is. Raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode & PRIVATE)
    try:
        if (uid, gid) != (-1, -1):
            os.fchown(descriptor, uid, gid)
        os.fchmod(descriptor, mode)
        view = memoryview(content)
        while view:
            view = view[os.write(descriptor, view) :]
        if younger_than is not None:
            _make_younger(descriptor, younger_than)
        os.fsync(descriptor)
    except BaseException:
        with contextlib.suppress(OSError):
            path.unlink()
        raise
    finally:
        os.close(descriptor)


def _make_younger(descriptor: int, old: Path) -> None:
    """Give the open file a time of change later than that of `old`; where a file system cannot, it keeps its own."""
    with contextlib.suppress(OSError, OverflowError):
        before, ours = old.lstat(), os.fstat(descriptor)
        later = int(before.st_mtime) + 1
        if stat.S_ISREG(before.st_mode) and ours.st_mtime < later:
            os.utime(descriptor, (ours.st_atime, later))
