"""Where services of a test live: directories open to all, as those below pytest's are not, since they run as users of their own."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def open_place(name: str) -> Iterator[Path]:
    """A new directory that every user may enter, with a folder `tls`; removed in any case."""
    place = Path(tempfile.mkdtemp(prefix=f"acmectl-{name}-"))
    try:
        place.chmod(0o755)
        (place / "tls").mkdir()
        (place / "tls").chmod(0o755)
        yield place
    finally:
        shutil.rmtree(place)


@contextlib.contextmanager
def broken(file: Path, line: str) -> Iterator[None]:
    """A configuration file with one more line, which its service does not understand."""
    good = file.read_bytes()
    with file.open("a") as opened:  # in place: the file keeps its owner
        opened.write(f"{line}\n")
    try:
        yield
    finally:
        file.write_bytes(good)
