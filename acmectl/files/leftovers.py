"""The names under which files are written before they get their own, and what killed runs left under such names.

A run can be killed between any two system calls; nobody else uses names like these, so what has one can be removed.
"""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path

from acmectl.errors import AcmectlError, StorageError
from acmectl.files.reasons import hint_for, reason

_LEFTOVER = re.compile(r"\..+\.[0-9a-f]{8}\.tmp\Z", re.DOTALL)


def temporary_name(path: Path) -> Path:
    """A fresh hidden name (`.NAME.RANDOM.tmp`) beside `path`, which directories that services index do not match."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")


def is_leftover(name: str) -> bool:
    """Whether `name` is one that `temporary_name` makes: what a killed run left behind."""
    return bool(_LEFTOVER.match(name))


def remove_leftovers(path: Path, *, error: type[AcmectlError] = StorageError) -> None:
    """Remove the temporary files that killed runs left beside `path`; only where no other run writes `path` now."""
    mine = re.compile(rf"\.{re.escape(path.name)}\.[0-9a-f]{{8}}\.tmp\Z")
    try:
        for entry in list(os.scandir(path.parent)):
            if mine.match(entry.name):
                Path(entry.path).unlink()
    except OSError as cause:
        raise error(f"cannot tidy `{path.parent}`: {reason(cause)}", hint=hint_for(cause)) from cause
