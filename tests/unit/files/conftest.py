from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest


@pytest.fixture(params=[0o000, 0o022, 0o077, 0o777], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@pytest.fixture
def open_place() -> Iterator[Path]:
    """A directory that every user gets to, unlike pytest's own."""
    with TemporaryDirectory(prefix="acmectl-open-") as directory:
        yield Path(directory)
