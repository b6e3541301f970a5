from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from acmectl.config import Loaded, load

Files = Mapping[str, str | bytes]


@pytest.fixture
def loaded(tmp_path: Path) -> Callable[[Files], Loaded]:
    """Writes files (0600) below tmp_path and loads `config.yaml`."""

    def write_and_load(files: Files) -> Loaded:
        for name, content in files.items():
            file = tmp_path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch(mode=0o600)
            file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return load(tmp_path / "config.yaml")

    return write_and_load


@pytest.fixture
def complaints(loaded: Callable[[Files], Loaded], tmp_path: Path) -> Callable[[Files], list[str]]:
    """Every problem of some files as a person reads it, with paths relative to the configuration's directory."""

    def write_and_complain(files: Files) -> list[str]:
        answer = loaded(files)
        assert (answer.config is None) == bool(answer.problems)
        return [str(problem).replace(f"{tmp_path}/", "") for problem in answer.problems]

    return write_and_complain
