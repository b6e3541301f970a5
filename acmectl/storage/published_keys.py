"""What is known of the keys of a certificate that the DNS speaks of: `certificates/LABEL/published-keys.json`.

Beside the keys and not in the state database: how long a resolver may keep what was published before is known to nobody else, and a key
that is used too early because that was forgotten makes every validating client turn away.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import os
from pathlib import Path
from typing import Any

from acmectl import files
from acmectl.errors import StorageError
from acmectl.model.tlsa import KeptSet, Publication, PublishedKeys, Uptime
from acmectl.storage import folders, moments

_FILE = "published-keys.json"
_HASH = 32  # octets of a SHA-256, of which a pin is the base64
_DAMAGE = (
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    OverflowError,
    RecursionError,
)  # whatever comes of the wrong JSON


class PublishedKeysStore:
    """One file for each certificate. Whoever changes it needs the lock of the state directory."""

    def __init__(self, directory: Path) -> None:
        """`directory` is that of all certificates."""
        self._directory = directory

    def load(self, label: str) -> PublishedKeys:
        """What is known; nothing where nobody looked yet. Raises StorageError."""
        path = self.path(label)
        with folders.translated(f"read `{path}`"):
            try:
                content = path.read_bytes()
            except FileNotFoundError:
                return PublishedKeys()
        try:
            return _decode(json.loads(content))
        except _DAMAGE as cause:
            raise StorageError(
                f"`{path}` is damaged: it does not say which keys are published",
                hint=f"move it away: `mv {path} {path}.damaged`; then keys are looked at anew, and waited for",
            ) from cause

    def known(self, label: str) -> PublishedKeys:
        """What is known; nothing also where the file cannot be read.

        For whoever can do without: the key in use needs no record that was not there before, and any other one waits then. A run
        that looks at the records, and `check`, tell of the file by `load`.
        """
        try:
            return self.load(label)
        except StorageError:
            return PublishedKeys()

    def may_bind(self, label: str) -> bool:
        """Whether the zone may have records of the certificate's keys, which clients then hold its services to.

        So it may where nobody can say (any more); not where no server had any record at any of its owner names.
        """
        try:
            known = self.load(label)
        except StorageError:
            return os.path.lexists(self.path(label))  # not where the state is not for our eyes
        return any(p.is_ours for p in known.publications) or bool(known.publications and not known.is_bare)

    def save(self, label: str, known: PublishedKeys) -> None:
        """Remember it (0600, whole or not there). Raises StorageError."""
        path = self.path(label)
        for directory in (self._directory.parent, self._directory, path.parent):
            files.make_directory(directory)
        files.write_atomically(path, (json.dumps(_encode(known), indent=2) + "\n").encode("ascii"))

    def path(self, label: str) -> Path:
        """Where it lies."""
        return self._directory / folders.check_name(label, what="a certificate") / _FILE


def _encode(known: PublishedKeys) -> dict[str, Any]:
    return {
        "publications": [
            {
                **dataclasses.asdict(publication),
                "seen_at": moments.text(publication.seen_at),
                "retired_at": moments.text(publication.retired_at),
                "lives_for": publication.lives_for.total_seconds(),
            }
            for publication in known.publications
        ],
        "usable": sorted(known.usable),
        "looked_at": moments.text(known.looked_at),
        "left": known.left,
        "is_bare": known.is_bare,
        "uptime": None if known.uptime is None else dataclasses.asdict(known.uptime),
        "sets": [
            {"owner": one.owner, "lives_for": one.lives_for.total_seconds(), "until": moments.text(one.until)}
            for one in known.sets
        ],
    }


def _decode(content: dict[str, Any]) -> PublishedKeys:
    return PublishedKeys(
        tuple(
            Publication(
                str(one["owner"]),
                _pin(one["spki"]),
                is_ours=bool(one["is_ours"]),
                seen_at=moments.moment(one["seen_at"]),
                lives_for=moments.span(one["lives_for"]),
                retired_at=moments.moment(one["retired_at"]),
            )
            for one in content["publications"]
        ),
        frozenset(map(_pin, content["usable"])),
        moments.moment(content["looked_at"]),
        None if content["left"] is None else _pin(content["left"]),
        is_bare=bool(content.get("is_bare", False)),  # neither this nor what follows is in files of the first versions
        uptime=_uptime(content.get("uptime")),
        sets=tuple(
            KeptSet(str(one["owner"]), moments.span(one["lives_for"]), moments.moment(one["until"]))
            for one in content.get("sets", ())
        ),
    )


def _uptime(content: dict[str, Any] | None) -> Uptime | None:
    return None if content is None else Uptime(str(content["boot"]), moments.seconds(content["seconds"]))


def _pin(text: str) -> str:
    """The pin of a key. Raises ValueError for what is none."""
    if len(base64.b64decode(text, validate=True)) != _HASH:
        raise ValueError(f"no SHA-256 hash: {text}")
    return text
