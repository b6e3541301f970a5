"""Folders that are whole or not there: built under a temporary name, put in place and taken away by one rename.

A run can be killed between any two system calls. What it leaves has a name that `files.is_leftover` knows, is
never taken for the real thing, and is swept away by the next run that writes there.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from acmectl import files
from acmectl.errors import StorageError

_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,127}\Z")


def is_name(name: str) -> bool:
    """Whether a folder of ours can have that name: `../x`, hidden and empty names are none."""
    return bool(_SAFE.match(name))


def check_name(name: str, *, what: str) -> str:
    """`name`, if it can be that of a folder of ours; raises StorageError for `../x`, hidden and empty names."""
    if not is_name(name):
        raise StorageError(f"`{name}` cannot be the name of {what}", hint="use letters, digits, `.`, `_` and `-`")
    return name


@contextlib.contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turn OSError into StorageError: `cannot DOING: reason`."""
    try:
        yield
    except OSError as cause:
        raise StorageError(f"cannot {doing}: {files.reason(cause)}", hint=files.hint_for(cause)) from cause


def exists(path: Path) -> bool:
    """Whether there is anything at `path`, a dangling link included. Raises OSError where we may not look.

    Not `Path.exists`, which answers False for a folder that we may not enter from Python 3.14 on: a run as the
    wrong user would then find no account instead of a missing permission.
    """
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    return True


def is_blocked(path: Path) -> bool:
    """Whether there is something at `path` that is no folder: a file, or a link that leads to none. Raises OSError."""
    return exists(path) and not os.path.isdir(path)  # noqa: PTH112  # a link that cannot be followed leads to none: no OSError


def entries(folder: Path) -> tuple[str, ...]:
    """The names in a folder, sorted; none if it does not exist. Raises StorageError where we may not look."""
    with translated(f"read `{folder}`"):
        try:
            return tuple(sorted(path.name for path in folder.iterdir()))
        except FileNotFoundError:
            return ()


def build(target: Path, contents: Mapping[str, bytes]) -> Path:
    """A folder with these files, all private and synced, under a temporary name beside `target`; returns its path.

    Raises StorageError, and leaves nothing behind then.
    """
    folder = files.temporary_name(target)
    with translated(f"make `{target}`"):
        folder.mkdir(files.PRIVATE_DIRECTORY)
    try:
        for name, content in contents.items():
            files.write_new(folder / name, content)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder


def put(folder: Path, target: Path) -> None:
    """Rename a built folder to `target`, which must not exist, or be empty. Raises StorageError."""
    with translated(f"make `{target}`"):
        folder.rename(target)
        files.sync_directory(target.parent)


def remove(folder: Path) -> None:
    """Remove a folder: gone by one rename, then its content; also what is none, in its place. Raises StorageError."""
    with translated(f"remove `{folder}`"):
        doomed = files.temporary_name(folder)
        folder.rename(doomed)
        _take_away(doomed)
        files.sync_directory(folder.parent)


def sweep(folder: Path) -> None:
    """Remove what killed runs left in `folder`; call it only under the lock. Raises StorageError."""
    with translated(f"tidy `{folder}`"):
        for entry in list(os.scandir(folder)):
            if files.is_leftover(entry.name):
                _take_away(Path(entry.path))


def _take_away(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
