"""What a master knows of the TLSA records that it keeps published: `published-records.json` in the state directory.

Not in the state database: which records are ours, and may be removed, is known to nobody else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from acmectl import files
from acmectl.errors import StorageError
from acmectl.model.tlsa import TlsaRecord
from acmectl.policy.kept_records import KeptRecords
from acmectl.storage import folders, moments

_ASSOCIATION = re.compile("[0-3] [01] [0-2] ([0-9a-f]{2})+")


class KeptRecordsStore:
    """What is known of the records of each file, by the file's path. Whoever changes it needs the lock of the state directory."""

    def __init__(self, path: Path) -> None:
        """`path` is the file that it is kept in."""
        self._path = path

    def load(self) -> Mapping[str, KeptRecords]:
        """What is known of every file. Raises StorageError."""
        with folders.translated(f"read `{self._path}`"):
            try:
                content = self._path.read_bytes()
            except FileNotFoundError:
                return {}
        try:
            return {str(source): _decode(known) for source, known in json.loads(content).items()}
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as cause:
            raise StorageError(
                f"`{self._path}` is damaged: it does not say which records this host published",
                hint=f"move it away: `mv {self._path} {self._path}.damaged`; then none of them are removed by acmectl",
            ) from cause

    def save(self, known: Mapping[str, KeptRecords]) -> None:
        """Remember what is known of every file (0600, whole or not there). Raises StorageError."""
        content = {source: _encode(kept) for source, kept in known.items()}
        files.make_directory(self._path.parent)
        files.write_atomically(self._path, (json.dumps(content, indent=2) + "\n").encode("utf-8"))


def _encode(known: KeptRecords) -> dict[str, Any]:
    return {
        "ours": [[record.owner, record.association] for record in sorted(known.ours)],
        "wanted": [[record.owner, record.association] for record in sorted(known.wanted)],
        "complete_at": moments.text(known.complete_at),
        "lives_for": known.lives_for.total_seconds(),
        "looked_at": moments.text(known.looked_at),
    }


def _decode(content: dict[str, Any]) -> KeptRecords:
    return KeptRecords(
        ours=_records(content["ours"]),
        wanted=_records(content["wanted"]),
        complete_at=moments.moment(content["complete_at"]),
        lives_for=moments.span(content["lives_for"]),
        looked_at=moments.moment(content["looked_at"]),
    )


def _records(listed: list[list[str]]) -> frozenset[TlsaRecord]:
    return frozenset(_record(owner, association) for owner, association in listed)


def _record(owner: str, association: str) -> TlsaRecord:
    if not _ASSOCIATION.fullmatch(association):
        raise ValueError(f"no data of a TLSA record: {association}")
    return TlsaRecord(str(owner), association)
