"""Files that are whole or not there: created with their final mode, synced, and put in place by one rename.

A secret is never readable by others at any moment: the temporary file beside the target is created for its owner alone, gets
its owner and its final mode before its content. What fails leaves the old file as it was and no temporary file behind;
only a process that is killed can leave one, and `is_leftover` knows its name.

What takes a file's place is younger than it by a whole second, if need be ahead of the clock: ejabberd (its `pkix`) reads a file
again only where the time of its last change, in seconds, is later than the one it knows, and a clock can have been set back.
"""

from __future__ import annotations

import contextlib
import errno
import grp
import os
import pwd
import re
import secrets
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from acmectl.errors import AcmectlError, StorageError

PRIVATE = 0o600
PRIVATE_DIRECTORY = 0o700
_MAX_READ = 16 * 1024 * 1024
_LEFTOVER = re.compile(r"\..+\.[0-9a-f]{8}\.tmp\Z", re.DOTALL)


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


def temporary_name(path: Path) -> Path:
    """A fresh hidden name (`.NAME.RANDOM.tmp`) beside `path`, which directories that services index do not match."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")


def is_leftover(name: str) -> bool:
    """Whether `name` is one that `temporary_name` makes: what a killed run left behind."""
    return bool(_LEFTOVER.match(name))


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


def write_together(new: Sequence[NewFile], *, error: type[AcmectlError] = StorageError) -> None:
    """Put several files in place, in their order, within microseconds of each other.

    All are written and synced under temporary names before the first is renamed, so that a full disk or a missing
    permission leaves every old file as it was.
    """
    put_back([Standing(file.path, file.content, None, file.mode, file.uid, file.gid) for file in new], error=error)


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
    content, status = _read(path, "the file in place", error, flags=os.O_NOFOLLOW)
    return Standing(path, content, None, stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid)


def put_back(standing: Sequence[Standing], *, error: type[AcmectlError] = StorageError) -> None:
    """Make each path what it says, in this order: files and links by a rename each, and nothing where nothing was.

    All are written and synced under temporary names before the first rename, as with `write_together`.
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
                _stage(staged[-1][0], one)
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
            _write_new(temporary, b"", one.mode, one.uid, one.gid)
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


def _stage(temporary: Path, one: Standing) -> None:
    if one.link is None:
        _write_new(temporary, one.content or b"", one.mode, one.uid, one.gid, instead_of=one.path)
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


def write_new(path: Path, content: bytes, *, mode: int = PRIVATE, error: type[AcmectlError] = StorageError) -> None:
    """Create `path` with exactly `mode`; an existing file (or link) there is an error and is left alone."""
    try:
        _write_new(path, content, mode, -1, -1)
        sync_directory(path.parent)
    except FileExistsError as cause:
        raise error(f"`{path}` exists already", hint="choose another file, or remove it first") from cause
    except OSError as cause:
        raise error(f"cannot write `{path}`: {reason(cause)}", hint=hint_for(cause)) from cause


def _write_new(path: Path, content: bytes, mode: int, uid: int, gid: int, *, instead_of: Path | None = None) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode & PRIVATE)
    try:
        if (uid, gid) != (-1, -1):
            os.fchown(descriptor, uid, gid)
        os.fchmod(descriptor, mode)
        view = memoryview(content)
        while view:
            view = view[os.write(descriptor, view) :]
        if instead_of is not None:
            _make_younger(descriptor, instead_of)
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


def remove_leftovers(path: Path, *, error: type[AcmectlError] = StorageError) -> None:
    """Remove the temporary files that killed runs left beside `path`; only where no other run writes `path` now."""
    mine = re.compile(rf"\.{re.escape(path.name)}\.[0-9a-f]{{8}}\.tmp\Z")
    try:
        for entry in list(os.scandir(path.parent)):
            if mine.match(entry.name):
                Path(entry.path).unlink()
    except OSError as cause:
        raise error(f"cannot tidy `{path.parent}`: {reason(cause)}", hint=hint_for(cause)) from cause


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


def read(path: Path, *, what: str, error: type[AcmectlError] = StorageError) -> bytes:
    """The content of a regular file of a sane size; `what` is its role in messages, such as `the TSIG key`."""
    return _read(path, what, error)[0]


def read_secret(path: Path, *, what: str, error: type[AcmectlError] = StorageError) -> bytes:
    """As `read`, but refuses a file that others may read: `chmod` first, then think of who has read it."""
    content, status = _read(path, what, error)
    if problem := _exposure(status):
        raise error(f"{what} `{path}` {problem}", hint=f"`chmod 600 {path}`, and consider it known to others")
    return content


def _read(path: Path, what: str, error: type[AcmectlError], *, flags: int = 0) -> tuple[bytes, os.stat_result]:
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


def reason(cause: OSError) -> str:
    """The system's words for a failed call, in our style."""
    text = cause.strerror or str(cause) or type(cause).__name__
    return text[:1].lower() + text[1:]


def hint_for(cause: OSError) -> str | None:
    """What a person can do about a failed system call."""
    return {
        errno.ENOSPC: "the disk is full: free some space and run the same command again",
        errno.EDQUOT: "the quota is used up: free some space and run the same command again",
        errno.EFBIG: "the limit for the size of a file is reached (`ulimit -f`): raise it and run the same command again",
        errno.EROFS: "the file system is mounted read-only",
        errno.ELOOP: "a symbolic link on that way leads to itself: remove it",
        errno.ENOTDIR: "a file on that way stands in the place of a directory: move it elsewhere",
        errno.EACCES: "run as the user who owns it (mostly root), or choose another directory",
        errno.EPERM: "run as the user who owns it (mostly root), or choose another directory",
    }.get(cause.errno or 0)


def user_id(owner: str | None, *, of: str, error: type[AcmectlError] = StorageError) -> int:
    """The number of a user that is given by name or number, -1 for None (as it is); `of` is whose `owner` it is."""
    if owner is None:
        return -1
    if (number := _number(owner, lambda name: pwd.getpwnam(name).pw_uid)) is None:
        raise error(f"there is no user `{owner}` on this host", hint=f"correct the `owner` of {of}")
    return number


def group_id(group: str | None, *, of: str, error: type[AcmectlError] = StorageError) -> int:
    """The number of a group, as `user_id`."""
    if group is None:
        return -1
    if (number := _number(group, lambda name: grp.getgrnam(name).gr_gid)) is None:
        raise error(f"there is no group `{group}` on this host", hint=f"correct the `group` of {of}")
    return number


def is_number_of_owner(number: object) -> bool:
    """Whether a user or group can have it: the largest of 32 bits is chown's -1, which leaves them as they are."""
    return type(number) is int and 0 <= number < 0xFFFF_FFFF


def _number(text: str, known: Callable[[str], int]) -> int | None:
    try:
        number = int(text) if text.isascii() and text.isdecimal() else known(text)
    except (KeyError, ValueError):  # also a NUL in a name, or thousands of digits
        return None
    return number if is_number_of_owner(number) else None
