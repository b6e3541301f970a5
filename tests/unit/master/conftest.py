from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from acmectl.storage.memory import Memory


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Memory]:
    memory = Memory(tmp_path / "state.db")
    yield memory
    memory.close()
