"""Files that are whole or not there: created with their final mode, synced, and put in place by one rename.

A secret is never readable by others at any moment: the temporary file beside the target is created with the final mode, and
gets its owner before its content. What fails leaves the old file as it was and no temporary file behind.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from pathlib import Path

from acmectl.errors import AcmectlError, StorageError

PRIVATE = 0o600
PRIVATE_DIRECTORY = 0o700
_MAX_READ = 16 * 1024 * 1024


def write_atomically(
    path: Path,
    content: bytes,
    *,
    mode: int = PRIVATE,
    uid: int = -1,
    gid: int = -1,
    error: type[AcmectlError] = StorageError,
) -> None:
    """Put `content` at `path` with exactly `mode` (and owner), or leave everything as it was.

    The temporary name is hidden (`.NAME.RANDOM.tmp`), so that directories which services index do not match it.
    Raises `error` with the path and the system's reason (read-only, full, missing directory, not permitted).
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        try:
            _write_new(temporary, content, mode, uid, gid)
            temporary.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
        sync_directory(path.parent)
    except OSError as cause:
        raise error(f"cannot write `{path}`: {cause.strerror}", hint=hint_for(cause)) from cause


def write_new(path: Path, content: bytes, *, mode: int = PRIVATE, error: type[AcmectlError] = StorageError) -> None:
    """Create `path` with exactly `mode`; an existing file (or link) there is an error and is left alone."""
    try:
        _write_new(path, content, mode, -1, -1)
        sync_directory(path.parent)
    except FileExistsError as cause:
        raise error(f"`{path}` exists already", hint="choose another file, or remove it first") from cause
    except OSError as cause:
        raise error(f"cannot write `{path}`: {cause.strerror}", hint=hint_for(cause)) from cause


def _write_new(path: Path, content: bytes, mode: int, uid: int, gid: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode & PRIVATE)
    try:
        if (uid, gid) != (-1, -1):
            os.fchown(descriptor, uid, gid)
        os.fchmod(descriptor, mode)
        view = memoryview(content)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    except BaseException:
        with contextlib.suppress(OSError):
            path.unlink()
        raise
    finally:
        os.close(descriptor)


def sync_directory(path: Path) -> None:
    """Make renames and new files in `path` survive a power failure."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_directory(path: Path, *, mode: int = PRIVATE_DIRECTORY, error: type[AcmectlError] = StorageError) -> None:
    """Make `path` with `mode`, and missing parents with 0755; one that exists is left as it is."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(mode=mode, exist_ok=True)
    except OSError as cause:
        raise error(f"cannot make the directory `{path}`: {cause.strerror}", hint=hint_for(cause)) from cause


def read(path: Path, *, what: str, error: type[AcmectlError] = StorageError) -> bytes:
    """The content of a regular file of a sane size; `what` is its role in messages, such as `the TSIG key`."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise error(f"{what} `{path}` is no regular file")
            if status.st_size > _MAX_READ:
                raise error(f"{what} `{path}` is larger than {_MAX_READ} bytes")
            return file.read(_MAX_READ)
    except OSError as cause:
        raise error(f"cannot read {what} `{path}`: {cause.strerror}", hint=hint_for(cause)) from cause


def read_secret(path: Path, *, what: str, error: type[AcmectlError] = StorageError) -> bytes:
    """As `read`, but refuses a file that others may read: `chmod` first, then think of who has read it."""
    content = read(path, what=what, error=error)
    if problem := exposure(path):
        raise error(f"{what} `{path}` {problem}", hint=f"`chmod 600 {path}`, and consider it known to others")
    return content


def exposure(path: Path) -> str | None:
    """Why the secret at `path` is not one (mode bits for the group's or others' access), None if it is.

    The group may read a file that root owns (root:bind 0640 is how BIND keys lie on Debian). Raises OSError.
    """
    status = path.stat()
    mode = stat.S_IMODE(status.st_mode)
    allowed = 0o740 if status.st_uid == 0 else 0o700
    return f"can be read or written by others (mode {mode:04o})" if mode & 0o777 & ~allowed else None


def hint_for(cause: OSError) -> str | None:
    """What a person can do about a failed system call."""
    import errno

    return {
        errno.ENOSPC: "the disk is full: free some space and run the same command again",
        errno.EDQUOT: "the quota is used up: free some space and run the same command again",
        errno.EROFS: "the file system is mounted read-only",
        errno.EACCES: "run as the user who owns it (mostly root), or choose another directory",
        errno.EPERM: "run as the user who owns it (mostly root), or choose another directory",
    }.get(cause.errno or 0)
