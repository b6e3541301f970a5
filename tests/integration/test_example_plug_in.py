"""`examples/solver-plugin` as its README says: installed by pip, found, tested by its own tests, and used by a real process."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
ACMECTL = Path(sys.executable).with_name("acmectl")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The plug-in beside this acmectl, in a directory of its own; made from a copy, as building writes beside the source."""
    source = tmp_path_factory.mktemp("source") / "plug-in"
    shutil.copytree(ROOT / "examples" / "solver-plugin", source)
    target = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    done = run([*command, "--no-build-isolation", "--no-index", "--target", str(target), str(source)], {})
    assert done.returncode == 0, done.stderr
    return target


def run(command: list[str], env: Mapping[str, str], cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, env={**os.environ, **env}, cwd=cwd, capture_output=True, text=True, timeout=100, check=False
    )


def test_it_passes_its_own_tests_where_it_is_installed(installed: Path, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples" / "solver-plugin" / "tests", tmp_path / "tests")
    command = [
        sys.executable,
        "-W",
        "error",
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(tmp_path),
        "tests",
    ]
    done = run(command, {"PYTHONPATH": str(installed)}, tmp_path)
    assert done.returncode == 0, done.stdout
    assert "12 passed" in done.stdout


def test_it_is_listed_shown_and_checked_by_file_and_line(installed: Path, tmp_path: Path) -> None:
    env = {"PYTHONPATH": str(installed), "ACMECTL_CONFIG": str(tmp_path / "config.yaml")}
    listed = run([str(ACMECTL), "solvers", "list"], env)
    assert listed.stdout.splitlines()[-1] == (
        "webdav      http-01          http-01 through a web server that takes files by WebDAV "
        "(acmectl-solver-webdav 1.0, `acmectl_webdav:SOLVER_TYPE`)"
    )
    shown = run([str(ACMECTL), "solvers", "show", "webdav"], env)
    assert "\n  password_file  secret file, required\n      A file that holds the password" in shown.stdout
    (text,) = (ROOT / "examples" / "solver-plugin" / "README.md").read_text().split("```yaml\n")[1:]
    documented = yaml.safe_load(text.partition("```")[0])
    (tmp_path / "secret").touch(mode=0o600)
    documented["solvers"]["web"]["password_file"] = str(tmp_path / "secret")
    documented |= {"authority": "letsencrypt", "master": {"authorize": [{"names": ["a.acme.test"], "solver": "web"}]}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(documented))
    checked = run([str(ACMECTL), "check"], env)
    assert checked.returncode == 0, checked.stderr
    documented["solvers"]["web"]["url"] = "upload"
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(documented))
    refused = run([str(ACMECTL), "check"], env)
    assert refused.returncode == 2
    assert "`solvers.web.url`: not the URL of a directory (such as `https://upload" in refused.stderr
