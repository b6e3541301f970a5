"""http-01 by files below the document root of a web server that runs anyway.

The web server may be less trusted than we are, and may own its document root: a file is never written through a symbolic link, a
directory outside the root is never used, and a token is checked before it becomes a file name. What was there before
is left alone; the directories that we made are removed when they are empty.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator

from acmectl.errors import SolverError
from acmectl.files import group_id, hint_for, is_leftover, read, reason, user_id, write_atomically
from acmectl.options import ConfigPath, Mode, Owner
from acmectl.solvers.base import CONTRACT, Capabilities, Failures, Receipts, Response
from acmectl.solvers.failures import one_by_one
from acmectl.solvers.http_check import HttpCheck, HttpCheckOptions
from acmectl.solvers.option_types import one_or_more
from acmectl.solvers.registry import SolverType

_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,255}\Z")  # base64url, RFC 8555 section 8.3
_DIRECTORIES = (".well-known", "acme-challenge")
_DIRECTORY_MODE = 0o755


class WebrootOptions(HttpCheckOptions):
    """`path` is the document root, or several (each gets every file); `owner` and `group` are names or numbers."""

    path: Annotated[tuple[ConfigPath, ...], BeforeValidator(one_or_more)]
    """The document root, or several, of which each gets every file."""

    mode: Mode = 0o644
    """The permissions of the files."""

    owner: Owner | None = None
    """Whom the files, and directories made for them, shall belong to; it takes root to give them away."""

    group: Owner | None = None
    """Which group they shall belong to."""


class WebrootSolver:
    """Writes and removes the files; the check is shared with the other solvers for http-01."""

    capabilities = Capabilities(challenge_types=("http-01",), wildcard=False, ip=True)

    def __init__(self, options: WebrootOptions) -> None:
        self._options = options
        self._check = HttpCheck(options)
        self._made: list[Path] = []
        self._receipts: Receipts | None = None

    def keep_receipts_in(self, receipts: Receipts) -> None:
        """Which directories were made is known to a later run as well."""
        self._receipts = receipts

    def publish(self, responses: Sequence[Response]) -> Failures:
        """Write each response below every document root."""
        return one_by_one(responses, self._write)

    def seen(self, responses: Sequence[Response]) -> Failures:
        """Wait until the web server answers each."""
        return self._check.seen(responses)

    def remove(self, responses: Sequence[Response]) -> Failures:
        """Remove our files, and the directories that we made when they are empty."""
        failures = one_by_one(responses, self._remove)
        self._made = list(dict.fromkeys([*self._made, *self._made_earlier(responses)]))
        for directory in reversed(self._made):
            with contextlib.suppress(OSError):  # not empty: somebody uses it now, and it stays
                directory.rmdir()
        self._made = [directory for directory in self._made if directory.exists()]
        return failures

    def _made_earlier(self, responses: Sequence[Response]) -> list[Path]:
        """The directories that a run which was killed made for these responses."""
        kept = [self._receipts.get(response) for response in responses] if self._receipts is not None else []
        made = {path for text in kept if text for path in json.loads(text)}
        return [directory for root in self._options.path for directory in _directories(root) if str(directory) in made]

    def _write(self, response: Response) -> None:
        name, content = _file_name(response), response.key_authorization.encode("ascii")
        uid = user_id(self._options.owner, of="the solver", error=SolverError)
        gid = group_id(self._options.group, of="the solver", error=SolverError)
        self._announce(response)
        for root in self._options.path:
            with _pinned(self._directory(root, uid, gid), root) as directory:
                if not _is_published(directory / name, content):
                    mode = self._options.mode
                    write_atomically(directory / name, content, mode=mode, uid=uid, gid=gid, error=SolverError)

    def _announce(self, response: Response) -> None:
        """Keep in mind which directories will be made, before they are."""
        missing = [
            str(directory)
            for root in self._options.path
            for directory in _directories(_checked(root))
            if not os.path.lexists(directory)
        ]
        if missing and self._receipts is not None:
            self._receipts.put(response, json.dumps(missing))

    def _directory(self, root: Path, uid: int, gid: int) -> Path:
        """The challenge directory below `root`, made where it is missing; never `root` itself, which may be a misprint."""
        directory = _checked(root)
        for directory in _directories(root):
            try:
                directory.mkdir(_DIRECTORY_MODE)
                self._made.append(directory)
                _open_to_all(directory, uid, gid)
            except FileExistsError:
                _refuse_escape(directory, root)
            except OSError as cause:
                raise SolverError(
                    f"cannot make the directory `{directory}`: {reason(cause)}", hint=hint_for(cause)
                ) from cause
        return directory

    def _remove(self, response: Response) -> None:
        name, content = _file_name(response), response.key_authorization.encode("ascii")
        for root in self._options.path:
            path = root.joinpath(*_DIRECTORIES, name)
            try:
                if not path.parent.exists() or not path.parent.resolve().is_relative_to(root.resolve()):
                    continue
                with _pinned(path.parent, root) as directory:
                    for unfinished in filter(_is_unfinished, directory.glob(f".{name}.*")):
                        unfinished.unlink(missing_ok=True)
                    if _is_ours(directory / name, content):
                        (directory / name).unlink(missing_ok=True)
            except OSError as cause:
                raise SolverError(f"cannot remove `{path}`: {reason(cause)}", hint=hint_for(cause)) from cause


def _directories(root: Path) -> tuple[Path, ...]:
    """The two directories of RFC 8615 and RFC 8555 below `root`, the outer one first."""
    return tuple(root.joinpath(*_DIRECTORIES[: depth + 1]) for depth in range(len(_DIRECTORIES)))


def _open_to_all(directory: Path, uid: int, gid: int) -> None:
    """Whatever the umask: the web server has to get in. Never through a link that its user put there meanwhile. Raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if (uid, gid) != (-1, -1):
            os.fchown(descriptor, uid, gid)
        os.fchmod(descriptor, _DIRECTORY_MODE)
    finally:
        os.close(descriptor)


def _file_name(response: Response) -> str:
    if not _TOKEN.match(response.token):
        raise SolverError(f"the CA sent a token for `{response.identifier}` that is no base64url text: refused")
    return response.token


def _checked(root: Path) -> Path:
    if not root.is_dir():
        raise SolverError(
            f"the document root `{root}` is no directory", hint="correct `path` of the solver, or make the directory"
        )
    return root


def _refuse_escape(directory: Path, root: Path) -> None:
    """Refuse what is no directory, and a symbolic link that leads out of the document root."""
    if not directory.is_dir():
        raise SolverError(f"`{directory}` is no directory", hint=f"remove it: `rm {directory}`")
    if not directory.resolve().is_relative_to(root.resolve()):
        raise SolverError(
            f"`{directory}` is a symbolic link that leads out of the document root",
            hint=f"remove the link, or set `path` so that `PATH/{'/'.join(_DIRECTORIES)}` is the directory itself",
        )


@contextlib.contextmanager
def _pinned(directory: Path, root: Path) -> Iterator[Path]:
    """The directory by a path that leads to it whoever renames it, or puts a link in its place, meanwhile.

    That is a descriptor's path below /proc, which Linux has. Raises SolverError where it lies outside the document root.
    """
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as cause:
        raise SolverError(f"cannot open `{directory}`: {reason(cause)}", hint=hint_for(cause)) from cause
    pinned = Path(f"/proc/self/fd/{descriptor}")
    try:
        _refuse_moved(directory, pinned, root)
        yield pinned
    except SolverError as error:  # in the words of the person's path
        message, hint = (text and text.replace(str(pinned), str(directory)) for text in (error.message, error.hint))
        raise SolverError(message or "", hint=hint) from error
    finally:
        os.close(descriptor)


def _refuse_moved(directory: Path, pinned: Path, root: Path) -> None:
    if not pinned.readlink().is_relative_to(root.resolve()):
        raise SolverError(f"`{directory}` was moved out of the document root meanwhile")


def _is_published(path: Path, content: bytes) -> bool:
    """Whether `path` has `content` already; another's file in its place is an error."""
    if not os.path.lexists(path):
        return False
    if not _is_plain(path) or read(path, what="the token file", error=SolverError) != content:
        raise SolverError(
            f"`{path}` exists, and is not from this run", hint=f"see who made it, and remove it: `rm {path}`"
        )
    return True


def _is_ours(path: Path, content: bytes) -> bool:
    return _is_plain(path) and read(path, what="the token file", error=SolverError) == content


def _is_unfinished(path: Path) -> bool:
    """Whether this is what a run that was killed while it wrote left behind."""
    return is_leftover(path.name) and _is_plain(path)


def _is_plain(path: Path) -> bool:
    return os.path.lexists(path) and stat.S_ISREG(path.lstat().st_mode)


SOLVER_TYPE = SolverType(
    WebrootOptions,
    WebrootSolver,
    contract=CONTRACT,
    summary="http-01 by files below the document root of a web server",
    capabilities=WebrootSolver.capabilities,
)
