"""Directories: made with their modes whatever the umask, and synced, so that what was renamed in them survives a power failure."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from acmectl.errors import AcmectlError, StorageError
from acmectl.files.reasons import hint_for, reason

PRIVATE_DIRECTORY = 0o700


def make_directory(path: Path, *, mode: int = PRIVATE_DIRECTORY, error: type[AcmectlError] = StorageError) -> None:
    """Make `path` with `mode`, and missing parents with 0755, whatever the umask; one that exists is left as it is."""
    try:
        for parent in reversed(path.parents):
            _make_if_missing(parent, 0o755)
        _make_if_missing(path, mode)
    except FileExistsError as cause:
        raise error(f"cannot make the directory `{path}`: a file of that name is in the way") from cause
    except OSError as cause:
        raise error(f"cannot make the directory `{path}`: {reason(cause)}", hint=hint_for(cause)) from cause


def _make_if_missing(path: Path, mode: int) -> None:
    if path.is_dir():
        return
    try:
        path.mkdir(mode)
    except FileExistsError:
        if path.is_dir():  # another process was faster
            return
        raise
    # not by its name, at which whoever owns the directory above can put a link now
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except (
        PermissionError
    ):  # a umask that leaves us nothing either; root, who has more to lose by a link, is never refused
        path.chmod(mode)
        return
    try:
        inherited = os.fstat(descriptor).st_mode & stat.S_ISGID
        os.fchmod(descriptor, mode | inherited)
    finally:
        os.close(descriptor)


def sync_directory(path: Path) -> None:
    """Make renames and new files in `path` survive a power failure. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as cause:
        if cause.errno != errno.EINVAL:  # file systems without the notion (some FUSE ones, CIFS) say so like this
            raise
    finally:
        os.close(descriptor)
