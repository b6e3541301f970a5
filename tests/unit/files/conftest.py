from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest


@pytest.fixture
def open_place() -> Iterator[Path]:
    """A directory that every user gets to, unlike pytest's own."""
    with TemporaryDirectory(prefix="acmectl-open-") as directory:
        yield Path(directory)
