"""Services that are restarted by a reload command: no child of the test then, as no service is one of its init script."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.integration.hosts import await_true
from tests.servers.daemon import is_listening, path

# as an init script does; $1 is `start`, `stop` or `restart`
_SCRIPT = """set -eu
if [ "$1" != start ]; then
    pid=$(cat {pid_file})
    kill "$pid" 2>/dev/null || :
    for _ in $(seq 400); do  # until its ports are free; one that was killed shows as defunct until somebody asks for it
        grep -qs '^State:[[:space:]]*[^ZX[:space:]]' "/proc/$pid/status" || break
        sleep 0.05
    done
fi
[ "$1" != stop ] || exit 0
setsid {start} >>{log} 2>&1 </dev/null
"""


@dataclass(frozen=True)
class Detached:
    """A service that was started, and perhaps restarted since, by its script."""

    script: Path
    pid_file: Path
    log: Path

    @property
    def pid(self) -> int:
        """The process that is at work now."""
        return int(self.pid_file.read_text("ascii"))

    def command(self, verb: str) -> list[str]:
        """What starts, stops or restarts it."""
        return ["sh", str(self.script), verb]

    def run(self, verb: str) -> None:
        """Do that."""
        environment = {"PATH": path(), "LANG": "C.UTF-8"}
        subprocess.run(self.command(verb), check=True, cwd="/", env=environment, timeout=60)


@contextlib.contextmanager
def running_detached(directory: Path, start: str, *, pid_file: Path, ports: Sequence[int]) -> Iterator[Detached]:
    """Start a service by a line of shell, wait until it listens on all `ports` of 127.0.0.1, and end it in any case."""
    service = Detached(directory / "service", pid_file, directory / "output")
    service.script.write_text(_SCRIPT.format(start=start, pid_file=pid_file, log=service.log))
    service.run("start")
    try:
        for port in ports:
            await_true(lambda p=port: is_listening(p), what=f"port {port} of `{start}`:\n{service.log.read_text()}")  # type: ignore[misc]
        yield service
    finally:
        if pid_file.exists():
            service.run("stop")
