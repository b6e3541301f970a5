from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
_UNSHARE = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--mount"]
_TMPFS = 'mount -t tmpfs -o size=1m,mode=700 none "$0" && exec "$@"'


def may_mount() -> bool:
    return subprocess.run([*_UNSHARE, "true"], capture_output=True, check=False).returncode == 0


def play(story: str, directory: Path, *, before: tuple[str, ...] = ()) -> None:
    argv = [*before, sys.executable, "-m", "tests.unit.storage.scarcity", story, str(directory)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "held\n"), done.stderr


@pytest.mark.parametrize("story", ["full", "read-only"])
def test_a_disk_that_is_full_or_read_only_costs_no_key_and_no_certificate(tmp_path: Path, story: str) -> None:
    if not may_mount():
        pytest.skip("this user may not mount; the limit for the size of files, below, covers the full disk")
    play(story, tmp_path, before=(*_UNSHARE, "sh", "-c", _TMPFS, str(tmp_path)))


def test_a_limit_for_the_size_of_files_costs_no_key_and_no_certificate(tmp_path: Path) -> None:
    play("limited", tmp_path)
