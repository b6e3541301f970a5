"""Which generations were revoked: a mark in their own folder, so that no loss of the database makes one look good again.

A revoked generation stays where it is while it is in use, because a service with a revoked certificate is better off than one with none.
After that it is moved to `certificates/LABEL/revoked/7/`, where neither `prune` nor a rollback finds it.
"""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from pathlib import Path

from acmectl import files
from acmectl.errors import StorageError
from acmectl.model.renewals import Reason, Revocation
from acmectl.storage import folders

_MARK = "revoked.json"
_ARCHIVE = "revoked"


class Revocations:
    """The marks of revoked generations below one directory of certificates. Whatever changes them needs the lock."""

    def __init__(self, directory: Path) -> None:
        """`directory` is that of `Certificates`."""
        self._directory = directory

    def mark(self, label: str, revocation: Revocation) -> None:
        """Mark a generation as revoked. Raises StorageError."""
        fields = dataclasses.asdict(revocation) | {"at": revocation.at.astimezone(UTC).isoformat()}
        path = self._folder(label) / str(revocation.generation) / _MARK
        files.write_atomically(path, (json.dumps(fields, indent=2) + "\n").encode())

    def of(self, label: str, generation: int) -> Revocation | None:
        """What the folder of a generation says; None where it was not revoked. Raises StorageError."""
        return _read(self._folder(label) / str(generation) / _MARK)

    def archived(self, label: str) -> tuple[Revocation, ...]:
        """The revoked generations that were put out of the way, in the order of their numbers."""
        archive = self._folder(label) / _ARCHIVE
        found = (_read(archive / name / _MARK) for name in folders.entries(archive))
        return tuple(sorted((r for r in found if r is not None), key=lambda r: (r.generation, r.at)))

    def archive(self, label: str, *, in_use: int | None) -> tuple[int, ...]:
        """Put the revoked generations out of the way, but for the one in use; returns their numbers. Raises StorageError."""
        folder = self._folder(label)
        numbers = [int(name) for name in folders.entries(folder) if name.isdecimal() and name.isascii()]
        revoked = [n for n in numbers if n != in_use and self.of(label, n) is not None]
        for number in revoked:
            files.make_directory(folder / _ARCHIVE)
            folders.put(folder / str(number), self._vacant(folder / _ARCHIVE, number))
            with folders.translated(f"archive `{folder / str(number)}`"):
                files.sync_directory(folder)
        return tuple(revoked)

    def _folder(self, label: str) -> Path:
        return self._directory / folders.check_name(label, what="a certificate")

    def _vacant(self, archive: Path, number: int) -> Path:
        """Numbers come again where folders were removed by hand; nothing that was archived is written over."""
        taken = set(folders.entries(archive))
        names = [str(number), *(f"{number}.{again}" for again in range(2, len(taken) + 3))]
        return archive / next(name for name in names if name not in taken)


def _read(path: Path) -> Revocation | None:
    with folders.translated(f"read `{path}`"):
        try:
            content = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
    try:
        fields = json.loads(content)
        return Revocation(
            generation=int(fields["generation"]),
            serial=str(fields["serial"]),
            spki=str(fields["spki"]),
            reason=Reason(fields["reason"]),
            at=datetime.fromisoformat(fields["at"]),
            distrusts_key=bool(fields["distrusts_key"]),
        )
    except (ValueError, KeyError, TypeError) as cause:
        raise StorageError(
            f"`{path}` is damaged: it does not say what was revoked",
            hint=f"restore it from a backup; the generation in `{path.parent}` was revoked and should not be used",
        ) from cause
