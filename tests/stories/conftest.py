"""Months of runs write their state thousands of times: on a file system in memory, where waiting for the disk takes no time."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stories.world import memory


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """As pytest's own, in memory where there is such a place, and removed at the end."""
    with tempfile.TemporaryDirectory(prefix="acmectl-story-", dir=memory()) as directory:
        yield Path(directory)
