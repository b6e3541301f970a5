"""TSIG secrets are in no command line, no environment, no output and no file of ours: watched from outside, while runs work and fail."""

from __future__ import annotations

import os
import subprocess
import sys
from base64 import b64decode
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.servers.bind import Bind, running_bind
from tests.servers.name_server import Key, Zone

ACMECTL = str(Path(sys.executable).with_name("acmectl"))
KEY, WRONG = Key("acmectl"), Key("acmectl")


@pytest.fixture(scope="module")
def bind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bind]:
    directory = tmp_path_factory.mktemp("bind")
    with running_bind(directory, zones=[Zone("office.test")], keys=[KEY], resolve=True) as server:
        yield server


def watched(argv: Sequence[str], directory: Path, **environment: str) -> tuple[int, bytes]:
    """Run a program in `directory`; its exit status, and all that it says, leaves behind, or shows of itself and its children in /proc."""
    shown = bytearray()
    with (directory / "said").open("wb") as said:
        process = subprocess.Popen(argv, cwd=directory, stdout=said, stderr=said, env=os.environ | environment)
        looks = 0
        while process.poll() is None:
            for pid in (process.pid, *children(process.pid)):
                shown += look(pid)
            looks += 1
    assert looks > 3
    for path in directory.rglob("*"):
        if path.is_file() and not path.is_relative_to(directory / "secrets"):
            shown += path.read_bytes()
    return process.returncode, bytes(shown)


def look(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() + Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:  # it has ended
        return b""


def children(pid: int) -> list[int]:
    try:
        found = [
            int(word)
            for task in Path(f"/proc/{pid}/task").iterdir()
            for word in (task / "children").read_text().split()
        ]
    except OSError:
        return []
    return found + [grandchild for child in found for grandchild in children(child)]


def configure(directory: Path, bind: Bind, key: Key) -> None:
    """One solver with the key as a credential of systemd, one with a hook that is no business of the key."""
    (directory / "secrets").mkdir()
    key.write(directory / "secrets" / "tsig")
    hook = directory / "hook"
    hook.write_text("#!/bin/sh\nenv\nexec sleep 0.2\n")
    hook.chmod(0o755)
    looks = f'resolvers: ["{bind.endpoint}"], propagation: {{require: primary, timeout: 1s, interval: 1s}}'
    (directory / "config.yaml").write_text(f"""\
authority: {{directory: "https://127.0.0.1:1/directory"}}
contact: [admin@office.test]
state_directory: state
solvers:
  dns: {{type: rfc2136, server: 127.0.0.1, port: {bind.port}, tsig_key_file: "credential:tsig", {looks}}}
  hook: {{type: command, challenge: dns-01, publish: [./hook], remove: [./hook], {looks}}}
master:
  authorize:
    - {{names: [office.test, "*.office.test"], solver: dns}}
    - {{names: [hook.office.test], solver: hook}}
""")


@pytest.mark.parametrize(
    ("key", "words"), [(KEY, b""), (WRONG, b"has another secret (BADSIG)")], ids=["right", "wrong"]
)
def test_a_secret_is_nowhere_to_be_seen(tmp_path: Path, bind: Bind, key: Key, words: bytes) -> None:
    configure(tmp_path, bind, key)
    command = [ACMECTL, "-vv", "--config", "config.yaml", "master", "try"]
    status, shown = watched(command, tmp_path, CREDENTIALS_DIRECTORY=str(tmp_path / "secrets"))
    assert status == 1  # the hook publishes nothing
    assert b"office.test" in shown
    assert words in shown
    assert key.secret.encode("ascii") not in shown
    assert b64decode(key.secret) not in shown
    assert (b"refuses the update" in shown) is bool(words)


def test_the_watcher_sees_arguments_and_environment_of_children(tmp_path: Path) -> None:
    script = "SEEN=in-the-environment sleep 1 & sleep 1 & wait"
    _, shown = watched(["sh", "-c", script], tmp_path)
    assert b"sleep\x001" in shown
    assert b"SEEN=in-the-environment" in shown
