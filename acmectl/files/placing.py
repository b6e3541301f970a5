"""Files put in place of others, by one rename each; where one of them cannot be written, all stay as they were.

So all are written and synced under temporary names before the first is renamed, and what fails leaves none of these behind. What
stood there before can be taken down (`standing_at`) and put back by the same means, links and empty places too.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from acmectl.errors import AcmectlError, StorageError
from acmectl.files.creating import PRIVATE, create
from acmectl.files.directories import sync_directory
from acmectl.files.leftovers import temporary_name
from acmectl.files.reading import read_with_status
from acmectl.files.reasons import hint_for, reason


@dataclass(frozen=True, slots=True)
class NewFile:
    """A file as it shall be: its content (never shown), exactly this mode, and an owner and a group where they are not -1."""

    path: Path
    content: bytes = field(repr=False)
    mode: int = PRIVATE
    uid: int = -1
    gid: int = -1


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands at a path: a file with this content (never shown), a symbolic link with this text, or nothing at all."""

    path: Path
    content: bytes | None = field(default=None, repr=False)
    link: str | None = None
    mode: int = 0
    uid: int = -1
    gid: int = -1

    @property
    def is_nothing(self) -> bool:
        """Whether there is neither a file nor a link."""
        return self.content is None and self.link is None


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

    A symbolic link at `path` is replaced, not followed. Raises `error` with the path and the system's reason
    (read-only, full, missing directory, not permitted).
    """
    write_together([NewFile(path, content, mode, uid, gid)], error=error)


def write_together(new: Sequence[NewFile], *, younger: bool = False, error: type[AcmectlError] = StorageError) -> None:
    """Put several files in place, in their order, within microseconds of each other.

    All are written and synced under temporary names before the first is renamed, so that a full disk or a missing
    permission leaves every old file as it was. `younger` is as in `put_back`.
    """
    standing = [Standing(file.path, file.content, None, file.mode, file.uid, file.gid) for file in new]
    put_back(standing, younger=younger, error=error)


def standing_at(path: Path, *, error: type[AcmectlError] = StorageError) -> Standing:
    """What is at `path` now; a link is not followed. Raises `error` for what is neither a file, a link nor nothing."""
    try:
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode):
            return Standing(path, None, str(path.readlink()), 0, status.st_uid, status.st_gid)
    except (FileNotFoundError, NotADirectoryError):
        return Standing(path)
    except OSError as cause:
        raise error(f"cannot look at `{path}`: {reason(cause)}", hint=hint_for(cause)) from cause
    if stat.S_ISDIR(status.st_mode):
        raise error(f"cannot write `{path}`: {os.strerror(errno.EISDIR).lower()}")
    content, status = read_with_status(path, "the file in place", error, flags=os.O_NOFOLLOW)
    return Standing(path, content, None, stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid)


def put_back(standing: Sequence[Standing], *, younger: bool = False, error: type[AcmectlError] = StorageError) -> None:
    """Make each path what it says, in this order: files and links by a rename each, and nothing where nothing was.

    All are written and synced under temporary names before the first rename, as with `write_together`. Files are `younger` than
    what they replace for services that look at the time of a change, if need be ahead of the clock.
    """
    staged: list[tuple[Path, Path]] = []
    something = [one for one in standing if not one.is_nothing]
    path = Path()
    try:
        try:
            for path in (one.path for one in something):
                _refuse_directory(path)
            for one in something:
                path = one.path
                staged.append((temporary_name(path), path))
                _stage(staged[-1][0], one, younger=younger)
            for temporary, path in staged:
                temporary.replace(path)
            for path in (one.path for one in standing if one.is_nothing):
                _remove(path)
        finally:
            for temporary, _ in staged:
                with contextlib.suppress(OSError):
                    temporary.unlink()
        for path in {one.path.parent: None for one in standing}:
            _sync_if_there(path)
    except OSError as cause:
        raise error(f"cannot write `{path}`: {reason(cause)}", hint=hint_for(cause)) from cause


def refuse_others(standing: Sequence[Standing], *, error: type[AcmectlError] = StorageError) -> None:
    """Raise `error` where a file stands that `put_back` could not give its owner and group again.

    Only root gives files away, and to a group whoever is in it, or has it of the directory (setgid). It is tried with an empty one beside
    it, as the system alone knows what it permits.
    """
    ours = (os.geteuid(), os.getegid())
    for one in standing:
        if one.content is None or (one.uid, one.gid) == ours:
            continue
        temporary = temporary_name(one.path)
        try:
            create(temporary, b"", one.mode, one.uid, one.gid)
            temporary.unlink()
        except OSError as cause:
            if cause.errno != errno.EPERM:
                raise error(f"cannot write `{one.path}`: {reason(cause)}", hint=hint_for(cause)) from cause
            raise error(
                f"`{one.path}` belongs to {one.uid}:{one.gid}, and could not be put back like that: {reason(cause)}",
                hint=_how_to_be_its_owner(one, *ours),
            ) from cause


def _how_to_be_its_owner(one: Standing, uid: int, gid: int) -> str:
    if one.uid != uid:
        return f"run as root, or give it to the user of acmectl: `chown {uid}:{gid} {one.path}`"
    return f"run as root, put the user of acmectl into the group {one.gid}, or change that: `chgrp {gid} {one.path}`"


def _stage(temporary: Path, one: Standing, *, younger: bool) -> None:
    if one.link is None:
        replaced = one.path if younger else None
        create(temporary, one.content or b"", one.mode, one.uid, one.gid, younger_than=replaced)
        return
    temporary.symlink_to(one.link)
    if (one.uid, one.gid) != (-1, -1):
        with contextlib.suppress(PermissionError):  # whose a link is decides nothing
            os.lchown(temporary, one.uid, one.gid)


def _remove(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        path.unlink()


def _sync_if_there(directory: Path) -> None:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        sync_directory(directory)


def _refuse_directory(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
