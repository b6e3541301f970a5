"""Reading what others wrote: never waiting for a FIFO, never without an end, and a secret only where it is one.

What is read is judged by the file that was opened, not by its name, which can mean another one a moment later.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from acmectl.errors import AcmectlError, StorageError
from acmectl.files.reasons import hint_for, reason

_MAX_READ = 16 * 1024 * 1024


def read(path: Path, *, what: str, error: type[AcmectlError] = StorageError) -> bytes:
    """The content of a regular file of a sane size; `what` is its role in messages, such as `the TSIG key`."""
    return read_with_status(path, what, error)[0]


def read_secret(path: Path, *, what: str, error: type[AcmectlError] = StorageError) -> bytes:
    """As `read`, but refuses a file that others may read: `chmod` first, then think of who has read it."""
    content, status = read_with_status(path, what, error)
    if problem := _exposure(status):
        raise error(f"{what} `{path}` {problem}", hint=f"`chmod 600 {path}`, and consider it known to others")
    return content


def read_with_status(
    path: Path, what: str, error: type[AcmectlError], *, flags: int = 0
) -> tuple[bytes, os.stat_result]:
    """As `read`, with the status of just the file that was read; `flags` are more of `open`'s."""
    try:
        # O_NONBLOCK: opening a FIFO must not wait for its writer
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY | flags)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise error(f"{what} `{path}` is no regular file")
            with open(descriptor, "rb", closefd=False) as file:
                content = file.read(_MAX_READ + 1)
        finally:
            os.close(descriptor)
    except OSError as cause:
        raise error(f"cannot read {what} `{path}`: {reason(cause)}", hint=hint_for(cause)) from cause
    if len(content) > _MAX_READ:
        raise error(f"{what} `{path}` is larger than {_MAX_READ // 1024 // 1024} MB")
    return content, status


def exposure(path: Path) -> str | None:
    """Why the secret at `path` is not one (mode bits for the group's or others' access), None if it is.

    The group may read a file that root owns (root:bind 0640 is how BIND keys lie on Debian). Raises OSError.
    """
    return _exposure(path.stat())


def _exposure(status: os.stat_result) -> str | None:
    mode = stat.S_IMODE(status.st_mode)
    allowed = 0o740 if status.st_uid == 0 else 0o700
    return f"can be read or written by others (mode {mode:04o})" if mode & 0o777 & ~allowed else None
