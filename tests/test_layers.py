"""The rooms of the house and their import rules, checked by import-linter; and that the check itself can fail."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
LINT = Path(sys.executable).with_name("lint-imports")


def test_every_import_rule_holds() -> None:
    result = subprocess.run([LINT, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


def test_a_follower_that_imports_a_solver_is_caught(tmp_path: Path) -> None:
    """Copies the package, lets the follower cheat, and expects the linter to name it."""
    import shutil

    shutil.copytree(ROOT / "acmectl", tmp_path / "acmectl", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / "acmectl" / "follower" / "engine.py").open("a") as file:
        file.write("\nfrom acmectl.solvers import base as _cheat\n")
    result = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; sys.path.insert(0, '.'); from importlinter.cli import lint_imports_command as c; c()",
            "--no-cache",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1, result.stdout
    assert "a follower has no way to prove BROKEN" in result.stdout
