"""Generations to deploy, how their files get into place, and owners to give files to."""

from __future__ import annotations

import os
from pathlib import Path

from acmectl.deploy.target import Target

_ROOT = os.geteuid() == 0
UID, GID, OTHER_GID = (54321, 54322, 54323) if _ROOT else (os.geteuid(), os.getegid(), os.getegid())
"""Somebody else, where we are root and may give files away."""


def made_generation(directory: Path, word: str) -> Path:
    """A generation's folder, whose files say which they are."""
    directory.mkdir()
    for part in ("privkey", "cert", "chain", "fullchain"):
        (directory / f"{part}.pem").write_text(f"{word} {part}\n")
    return directory


def install(target: Target, generation: Path) -> None:
    """The files of a generation, as a deployment puts them in place."""
    target.put(target.made(generation))
