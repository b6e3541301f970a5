"""How a command is killed (SIGKILL) just before or after its n-th effect on the world.

Effects are requests (before they are sent, and after the CA did what they ask but before its answer), changes of the file system,
and commits of the state database.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.integration.hosts import await_true
from tests.servers.zygote import zygote

AT_MOST = 200  # points at which one command can be killed; it has about forty
FILES = ["open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.symlink", "shutil.rmtree"]
REQUESTS = ["http.client.send"]


@dataclass
class Executioner:
    """Starts commands that are about to be killed; the CA tells it of each request (`see`) before it answers."""

    victim: int = 0
    left: int = 0

    def see(self, _: str) -> None:
        self.left -= 1
        if self.left == 0:
            with suppress(ProcessLookupError):
                os.kill(self.victim, signal.SIGKILL)

    def before_a_request(self, host: Path, number: int, *argv: str) -> int:
        """Headers and body count each."""
        return zygote().run(host, *argv, kill=(REQUESTS, number))

    def before_an_answer(self, host: Path, number: int, *argv: str) -> int:
        def aim(pid: int) -> None:
            self.victim, self.left = pid, number

        try:
            return zygote().run(host, *argv, attach=aim)
        finally:
            self.left = 0

    def before_a_change_of_files(self, host: Path, number: int, *argv: str) -> int:
        return zygote().run(host, *argv, kill=(FILES, number))

    def before_a_sync(self, host: Path, number: int, *argv: str) -> int:
        return _before_a_system_call("fsync", host, number, argv)

    def before_a_commit(self, host: Path, number: int, *argv: str) -> int:
        """SQLite commits by removing its journal."""
        return _before_a_system_call("unlink", host, number, argv)

    def killed(self, kill: Kill, host: Path, number: int, *argv: str) -> bool:
        """Whether the command was killed at its n-th effect; False when it has fewer."""
        assert number < AT_MOST
        status = kill(self, host, number, *argv)
        assert status in {0, -signal.SIGKILL}, (host / "output").read_text()
        return status != 0


Kill = Callable[..., int]
"""One of the methods `before_...`: an executioner, a host, a number, and the command."""


def _before_a_system_call(call: str, host: Path, number: int, argv: tuple[str, ...]) -> int:
    """By strace, for what Python does not tell of."""
    tracers: list[subprocess.Popen[bytes]] = []

    def attach(pid: int) -> None:
        inject = f"inject={call}:signal=KILL:when={number}"
        options = ["-q", "-f", "-e", f"trace={call}", "-e", inject, "-o", os.devnull, "-p", str(pid)]
        tracers.append(subprocess.Popen(["strace", *options], stderr=subprocess.DEVNULL))
        status = Path(f"/proc/{pid}/status")
        await_true(lambda: "TracerPid:\t0\n" not in status.read_text(), what="strace")

    try:
        return zygote().run(host, *argv, attach=attach)
    finally:
        for tracer in tracers:
            tracer.wait(20)
