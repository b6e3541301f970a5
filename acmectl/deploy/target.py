"""A target: what one service gets of one certificate, and how it is told. What is done when is the follower's to decide.

All files are written and synced beside their places, with owner and mode, before the first is renamed; then the keys go
first and the full chain last, microseconds apart. One rename switches one file, so presets give a service one file wherever it
takes certificate and key from one. A service that reads a pair of files by itself in just that moment can see a new key with an old
certificate; services that read when they are told to cannot. A run killed in between leaves the deployment unfinished in the
state, and the next run installs all files again.

A symbolic link at the place of a file is replaced by the file, never followed: the folder can belong to the service's user, who
could point root's pen anywhere. A link to the folder itself is the administrator's, and is followed.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from acmectl import files
from acmectl.deploy.contents import Content, made_from
from acmectl.errors import DeployError

if TYPE_CHECKING:
    from acmectl.deploy.wire.options import VerifyOptions

_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Copy:
    """One file of a target. `owner` and `group` are names or numbers; without them it is ours."""

    content: Content
    path: Path
    mode: int
    owner: str | None = None
    group: str | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """What one service gets; commands are None where there is nothing to run.

    `digest` is a hash of the options that decide what the service gets and is told: a target whose digest changed is deployed anew. `check` is run after the files are in place and
    says whether the service could use them; `reload_command` makes the service read them, and targets that share it need it once, and where it
    is the check as well, not again after that; `verify` is
    how to see that it did, and `verify_digest` a hash of that; `family`, `ecdsa` or `rsa`, is set where the service has both kinds, and is to be looked at for this one. `run` is what a
    target of type `command` does in place of all that.
    """

    digest: str
    wanted: tuple[Copy, ...] = ()
    passphrase_file: Path | None = None
    check: tuple[str, ...] | None = None
    check_timeout: timedelta = _MINUTE
    reload_command: tuple[str, ...] | None = None
    reload_timeout: timedelta = _MINUTE
    verify: VerifyOptions | None = None
    family: str | None = None
    verify_digest: str = ""
    run: tuple[str, ...] | None = None
    run_timeout: timedelta = _MINUTE

    @property
    def is_reloaded_by_check(self) -> bool:
        """Whether the service has read the files once its check has accepted them: the same command does both."""
        return self.check is not None and self.check == self.reload_command

    @property
    def copies(self) -> tuple[Path, ...]:
        """The places of its files, in the order in which they are put in place."""
        return tuple(copy.path for copy in self.wanted)

    def stamp(self) -> str:
        """Contents and rights of the files as they are now, as hashes: another one means that somebody changed, or removed, one.

        A passphrase counts by its content, because systemd puts it elsewhere and anew for each run.
        """
        return " ".join([*(_stamp(path) for path in self.copies), *_trace(self.passphrase_file)])

    def changed_since(self, stamp: str) -> tuple[Path, ...]:
        """The files that are not as they were when `stamp` was taken."""
        pairs = zip(self.copies, stamp.split(), self.stamp().split(), strict=False)
        return tuple(path for path, before, now in pairs if before != now)

    def standing(self) -> tuple[files.Standing, ...]:
        """What is at the places of its files now, to `restore` it. Raises DeployError for a directory in the place of a file."""
        return tuple(files.standing_at(path, error=DeployError) for path in self.copies)

    def restore(self, standing: Sequence[files.Standing]) -> None:
        """Put back just that, each by one rename, and remove what was not there. Raises DeployError, as `put`.

        A place that is so already is left alone: it may be one that cannot be renamed over, such as a mounted file.
        """
        changed = [one for one in standing if files.standing_at(one.path, error=DeployError) != one]
        files.put_back(changed, younger=True, error=DeployError)

    def made(self, generation: Path) -> tuple[files.NewFile, ...]:
        """The files as they shall be; makes their directories (0755) where there are none, and writes nothing else.

        The key of a generation that is for a person's CSR is not here to be copied: a file for the key alone is left as it is. Raises
        DeployError: unknown owner or group, a directory that cannot be made.
        """
        if not self.wanted:
            return ()
        chosen = _possible(self.wanted, generation)
        owners = [_owner(copy) for copy in chosen]
        made = [made_from(generation, copy.content, self.passphrase_file) for copy in chosen]
        for directory in {copy.path.parent: None for copy in chosen}:
            files.make_directory(directory, mode=0o755, error=DeployError)
        return tuple(
            files.NewFile(copy.path, content, copy.mode, uid, _group_in(copy.path.parent, gid))
            for copy, content, (uid, gid) in zip(chosen, made, owners, strict=True)
        )

    def written_from(self, generation: Path) -> tuple[Path, ...]:
        """The places of the files that `made` makes: a person's own key, for whose CSR the generation is, stays where it lies."""
        return tuple(copy.path for copy in _possible(self.wanted, generation))

    def put(self, new: Sequence[files.NewFile]) -> None:
        """Put what `made` returned in place; the same twice is no failure. Raises DeployError: a directory that cannot be written, a full disk.

        Every old file is then still in place.
        """
        for copy in new:
            files.remove_leftovers(copy.path, error=DeployError)
        files.write_together(new, younger=True, error=DeployError)


def _possible(wanted: Sequence[Copy], generation: Path) -> list[Copy]:
    """The files that can be made: all, but where the key is not on this host."""
    if (generation / "privkey.pem").exists() or not (generation / "csr.pem").exists():
        return list(wanted)
    chosen = [copy for copy in wanted if not copy.content.is_key_alone]
    if not chosen:
        raise DeployError(
            "the target wants the private key alone, and the certificate is for a CSR whose key is not on this host",
            hint="name other parts in its `files`, or remove the target",
        )
    if joined := next((copy for copy in chosen if copy.content.has_key), None):
        raise DeployError(
            f"`{joined.path}` would hold the private key, and the certificate is for a CSR whose key is not on this host",
            hint="name a file for the chain alone: `files: {fullchain: NAME}`",
        )
    return chosen


def _owner(copy: Copy) -> tuple[int, int]:
    return (
        files.user_id(copy.owner, of="the target", error=DeployError),
        files.group_id(copy.group, of="the target", error=DeployError),
    )


def _group_in(directory: Path, gid: int) -> int:
    """A directory with setgid would give a file its own group, whose members are not who the target means."""
    if gid != -1:
        return gid
    try:
        return os.getegid() if directory.stat().st_mode & stat.S_ISGID else -1
    except OSError as cause:
        raise DeployError(f"cannot look at `{directory}`: {files.reason(cause)}", hint=files.hint_for(cause)) from cause


def _stamp(path: Path) -> str:
    try:
        one = files.standing_at(path, error=DeployError)
    except DeployError:  # a folder, say, or one that we may not look into
        return "?"
    if one.is_nothing:
        return "-"
    content = b"link " + os.fsencode(one.link) if one.link is not None else one.content or b""
    return f"{hashlib.sha256(content).hexdigest()[:32]}:{one.mode:04o}:{one.uid}:{one.gid}"


def _trace(passphrase_file: Path | None) -> tuple[str, ...]:
    """32 bits of a hash: enough to notice a change, too few to find out a passphrase."""
    if passphrase_file is None:
        return ()
    try:
        return (hashlib.sha256(passphrase_file.read_bytes()).hexdigest()[:8],)
    except OSError:
        return ("-",)
