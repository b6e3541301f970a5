"""What the kernel saw of an installation: no file has another owner, group or mode at its place than it shall have, and none before its content is synced."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.unit.deploy.generations import GID, UID, made_generation

ROOT = Path(__file__).parents[3]

INSTALL = """
import os, sys
os.umask(0)
from pathlib import Path
from acmectl.deploy import registry
base = Path(sys.argv[1])
model = registry.options_model("files")
options = model.model_validate({
    "directory": str(base / "tls"), "owner": sys.argv[2], "group": sys.argv[3], "key_mode": "0640",
    "files": {"privkey": "tls.key", "fullchain": "tls.crt", "privkey+fullchain": "tls.pem"},
})
target = registry.build("files", options)
before = target.standing()
target.put(target.made(base / "new"))
target.restore(before)
"""
_CALL = re.compile(r"^(?:\d+ +)?(\w+)\((.*)\) += (-?\d+)")
_CALLS = "openat,close,fchown,fchmod,write,fsync,rename,renameat,renameat2"


def steps(trace: str, directory: Path) -> dict[str, list[tuple[str, ...]]]:
    """What was done to each file by the name that it has in the end, in its order."""
    done: dict[str, list[tuple[str, ...]]] = {}
    paths: dict[str, str] = {}
    named: dict[str, str] = {}
    for line in trace.splitlines():
        if not (found := _CALL.match(line)):
            continue
        call, arguments, result = found.groups()
        strings = re.findall(r'"([^"]*)"', arguments)
        if call == "openat" and strings and strings[0].startswith(f"{directory}/"):
            paths[result] = strings[0]
            done.setdefault(strings[0], []).append(("open", arguments.rpartition(", ")[2]))
        elif call == "close":
            paths.pop(arguments, None)
        elif call.startswith("rename"):
            named[strings[0]] = strings[1]
            done[strings[0]].append(("rename",))
        elif (path := paths.get(arguments.partition(",")[0])) in done and path:
            done[path].append((call, *arguments.split(", ")[1:]) if call in {"fchown", "fchmod"} else (call,))
    return {f"{Path(path).name} {Path(named[path]).name}": listed for path, listed in done.items() if path in named}


@dataclass(frozen=True)
class Watched:
    """A directory in which files were installed, and then what was there before put back."""

    directory: Path
    trace: str


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Watched:
    assert shutil.which("strace"), "strace is missing: `apt-get install strace`"
    base = tmp_path_factory.mktemp("watched")
    made_generation(base / "new", "new")
    (base / "tls").mkdir()
    for name in ("tls.key", "tls.pem"):
        (base / "tls" / name).write_text("old")
        (base / "tls" / name).chmod(0o600)
    argv = ["strace", "-f", "-e", f"trace={_CALLS}", "-o", str(base / "trace"), sys.executable, "-c", INSTALL]
    subprocess.run([*argv, str(base), str(UID), str(GID)], cwd=ROOT, check=True)
    return Watched(base / "tls", (base / "trace").read_text("utf-8", "replace"))


def test_a_file_has_its_owner_its_mode_and_its_synced_content_before_it_has_its_name(watched: Watched) -> None:
    found = steps(watched.trace, watched.directory)
    installed = {"tls.key": "0640", "tls.pem": "0640", "tls.crt": "0644"}
    by_name: dict[str, list[list[tuple[str, ...]]]] = {}
    for names, listed in found.items():
        temporary, name = names.split()
        assert re.fullmatch(rf"\.{name}\.[0-9a-f]{{8}}\.tmp", temporary)
        by_name.setdefault(name, []).append(listed)
    assert {name: listed[0] for name, listed in by_name.items()} == {
        name: [
            ("open", "0600"),
            ("fchown", str(UID), str(GID)),
            ("fchmod", mode),
            ("write",),
            ("fsync",),
            ("rename",),
        ]
        for name, mode in installed.items()
    }
    restored = [("open", "0600"), ("fchown", str(os.geteuid()), str(os.getegid())), ("fchmod", "0600")]
    assert {name: listed[1] for name, listed in by_name.items() if len(listed) > 1} == {
        name: [*restored, ("write",), ("fsync",), ("rename",)] for name in ("tls.key", "tls.pem")
    }
    assert sorted(path.name for path in watched.directory.iterdir()) == ["tls.key", "tls.pem"]


def test_all_files_are_written_before_the_first_is_renamed(watched: Watched) -> None:
    lines = watched.trace.splitlines()
    renames = [number for number, line in enumerate(lines) if "rename" in line and f"{watched.directory}/" in line]
    assert len(renames) == 5, "three installed, and two put back"
    for name in ("tls.key", "tls.pem", "tls.crt"):
        opened = [n for n, line in enumerate(lines) if f"{watched.directory}/.{name}." in line and "O_CREAT" in line]
        assert opened[0] < renames[0]
        assert not [number for number in opened if renames[0] < number < renames[2]]
        assert not [number for number in opened if renames[3] < number]
