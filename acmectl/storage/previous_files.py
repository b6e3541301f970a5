"""The files that stood at a target's places before a run put new ones there: what goes back when the service refuses the new ones.

`deployed/LABEL/TARGET/` is written, whole, before the first rename in the target's places, and removed once the service's own check has passed. What lies
there was left by a run that was killed in between: the next one puts it back before it does anything else. It holds old private keys, so all of it is for its owner alone (0700, 0600).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acmectl import files
from acmectl.errors import StorageError
from acmectl.files import Standing
from acmectl.storage import folders

_LIST = "standing.json"


@dataclass(frozen=True, slots=True)
class Remembered:
    """What stood at the places of a target, in order; `digest` is that of the options that it had then.

    `begun` has, in the same order, `digest_of` what the run was about to put there, None where nothing: by this a place is known that still
    holds the work of the killed run.
    """

    label: str
    target: str
    digest: str
    standing: tuple[Standing, ...]
    begun: tuple[str | None, ...]


def digest_of(content: bytes) -> str:
    """How `Remembered.begun` tells contents apart."""
    return hashlib.sha256(content).hexdigest()


class PreviousFiles:
    """The memory of old files. Whatever changes it needs the lock of the state directory."""

    def __init__(self, directory: Path) -> None:
        """`directory` is there only while something is remembered."""
        self._directory = directory

    def remember(self, found: Remembered) -> None:
        """Keep it, whole and synced, or not at all. Raises StorageError, also where something is remembered already."""
        folder = self._folder(found.label, found.target)
        for directory in (self._directory.parent, self._directory, folder.parent):
            files.make_directory(directory)
        folders.sweep(folder.parent)
        contents = {str(n): one.content for n, one in enumerate(found.standing) if one.content is not None}
        listed = {
            "target": found.target,
            "digest": found.digest,
            "standing": [_fields(one) for one in found.standing],
            "begun": found.begun,
        }
        contents[_LIST] = (json.dumps(listed, indent=2) + "\n").encode("ascii")
        folders.put(folders.build(folder, contents), folder)

    def of(self, label: str, target: str) -> Remembered | None:
        """What is remembered of a target. Raises StorageError."""
        return _read(label, self._folder(label, target))

    def holds(self, label: str, target: str) -> bool:
        """Whether anything is remembered of a target, be it damaged; nothing is where somebody's file is in the way. Raises StorageError."""
        folder = self._folder(label, target)
        with folders.translated(f"read `{folder}`"):
            in_the_way = folders.is_blocked(self._directory) or folders.is_blocked(folder.parent)
            return not in_the_way and folders.exists(folder)

    def places(self) -> frozenset[Path]:
        """The places of all that is remembered; those of what is damaged are not known. Raises StorageError."""
        return frozenset(one.path for label in self._ours() for found in self.whole(label)[0] for one in found.standing)

    def all(self, label: str) -> tuple[Remembered, ...]:
        """What is remembered of all targets that a certificate has, or had. Raises StorageError where any of it is damaged."""
        whole, damaged = self.whole(label)
        for _, error in damaged:
            raise error
        return whole

    def whole(self, label: str) -> tuple[tuple[Remembered, ...], tuple[tuple[str, StorageError], ...]]:
        """What is remembered of all targets of a certificate; and the targets of which it is damaged, each with what is wrong. Raises StorageError."""
        folder = self._directory / folders.check_name(label, what="a certificate")
        whole, damaged = [], []
        for name in folders.entries(folder):
            if files.is_leftover(name):
                continue
            try:
                found = _read(label, folder / name)
            except StorageError as error:
                damaged.append((re.sub(r"\.(\d+)\Z", r"[\1]", name), error))
            else:
                whole += [found] if found else []
        return tuple(whole), tuple(damaged)

    def labels(self) -> tuple[str, ...]:
        """The certificates of which something is remembered. Raises StorageError.

        What nobody can have remembered, by its name, or because it is no folder, is among `strays`.
        """
        return tuple(
            label
            for label in self._ours()
            if not all(files.is_leftover(name) for name in folders.entries(self._directory / label))
        )

    def sweep(self) -> None:
        """Take away what killed runs left half made. Raises StorageError."""
        with folders.translated(f"read `{self._directory}`"):
            if not folders.exists(self._directory) or not self._directory.is_dir():
                return
        folders.sweep(self._directory)
        for label in self._ours():
            folders.sweep(self._directory / label)
            with contextlib.suppress(OSError):  # something is remembered there
                (self._directory / label).rmdir()
        with contextlib.suppress(OSError):
            self._directory.rmdir()

    def strays(self) -> tuple[Path, ...]:
        """What lies among the folders of certificates, or in the place of all, and is none, but somebody's. Raises StorageError."""
        if self._is_none():
            return (self._directory,)
        names = folders.entries(self._directory)
        return tuple(
            self._directory / name for name in names if not self._is_ours(name) and not files.is_leftover(name)
        )

    def _is_none(self) -> bool:
        """Whether the folder is none, but a file of somebody's. Raises StorageError."""
        with folders.translated(f"read `{self._directory}`"):
            return folders.exists(self._directory) and not self._directory.is_dir()

    def _ours(self) -> tuple[str, ...]:
        names = () if self._is_none() else folders.entries(self._directory)
        return tuple(name for name in names if self._is_ours(name))

    def _is_ours(self, name: str) -> bool:
        return folders.is_name(name) and not (self._directory / name).is_symlink() and (self._directory / name).is_dir()

    def forget(self, label: str, target: str) -> None:
        """The service took its new files, or has its old ones again; nothing remembered is no error. Raises StorageError."""
        folder = self._folder(label, target)
        with folders.translated(f"remove `{folder}`"):
            if folders.exists(folder):
                folders.remove(folder)
        for directory in (folder.parent, self._directory):
            with contextlib.suppress(OSError):  # others are remembered there
                directory.rmdir()

    def forget_all(self, label: str) -> None:
        """The certificate is gone. Raises StorageError."""
        folder = self._directory / folders.check_name(label, what="a certificate")
        with folders.translated(f"remove `{folder}`"):
            if folders.exists(folder):
                folders.remove(folder)
        with contextlib.suppress(OSError):
            self._directory.rmdir()

    def _folder(self, label: str, target: str) -> Path:
        return self._directory / folders.check_name(label, what="a certificate") / _folder_name(target)


def _fields(one: Standing) -> dict[str, Any]:
    is_file = one.content is not None
    return {
        "path": str(one.path),
        "is_file": is_file,
        "link": one.link,
        "mode": one.mode,
        "uid": one.uid,
        "gid": one.gid,
    }


def _folder_name(target: str) -> str:
    return re.sub(r"\[(\d+)\]\Z", r".\1", target)  # `files[0]` would be a pattern to a shell


def _read(label: str, folder: Path) -> Remembered | None:
    path = folder / _LIST
    with folders.translated(f"read `{path}`"):
        if not folders.exists(folder):
            return None
    try:
        listed = json.loads(files.read(path, what="the list of previous files"))
        _refuse_what_cannot_be(listed, folder)
        standing = tuple(_standing(folder / str(n), fields) for n, fields in enumerate(listed["standing"]))
        return Remembered(label, listed["target"], listed["digest"], standing, tuple(listed["begun"]))
    except (ValueError, KeyError, TypeError, RecursionError) as cause:
        raise _damaged(folder, "it does not say what stood where") from cause
    except StorageError as cause:
        raise _damaged(folder, cause.message) from cause


def _refuse_what_cannot_be(listed: dict[str, Any], folder: Path) -> None:
    """Only what is of this folder, and what the system takes, is put back. Raises ValueError, KeyError, TypeError."""
    standing, begun = listed["standing"], listed["begun"]
    if not (
        _folder_name(listed["target"]) == folder.name
        and isinstance(listed["digest"], str)
        and isinstance(standing, list)
        and isinstance(begun, list)
        and len(begun) == len(standing)
        and all(one is None or isinstance(one, str) for one in begun)
        and all(_can_stand(fields) for fields in standing)
    ):
        raise ValueError


def _can_stand(fields: dict[str, Any]) -> bool:
    """Whether the system takes such values. Raises ValueError, KeyError, TypeError."""
    names = [fields["path"]] if fields["link"] is None else [fields["path"], fields["link"]]
    numbers = [fields["uid"], fields["gid"]]
    return (
        type(fields["is_file"]) is bool
        and all(name and b"\0" not in os.fsencode(name) for name in names)
        and type(fields["mode"]) is int
        and 0 <= fields["mode"] <= 0o7777
        and all(number == -1 or files.is_number_of_owner(number) for number in numbers)
    )


def _damaged(folder: Path, why: str) -> StorageError:
    return StorageError(
        f"the memory of previous files in `{folder}` is damaged: {why}",
        hint=f"remove it (`rm -r {folder}`): the files of the target are then put in place anew",
    )


def _standing(content: Path, fields: dict[str, Any]) -> Standing:
    return Standing(
        path=Path(fields["path"]),
        content=files.read(content, what="the previous file") if fields["is_file"] else None,
        link=fields["link"],
        mode=fields["mode"],
        uid=fields["uid"],
        gid=fields["gid"],
    )
