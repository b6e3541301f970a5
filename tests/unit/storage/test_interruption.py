from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("story", "at_least"),
    [
        ("certificate", 30),
        ("first-account", 8),
        ("replaced-account", 14),
        ("rolled-over-account", 28),
        ("archived-account", 4),
        ("lineage", 4),
        ("copies", 6),
    ],
)
def test_a_run_killed_at_any_step_leaves_the_old_or_the_new_and_the_next_run_goes_on(
    tmp_path: Path, story: str, at_least: int
) -> None:
    argv = [sys.executable, "-m", "tests.unit.storage.interrupting", story, str(tmp_path)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= at_least, "fewer steps than the story has: were they seen?"
