"""Services that are restarted by a reload command: no child of the test then, as no service is one of its init script."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.servers.daemon import path

# as an init script does; $1 is `start`, `stop` or `restart`: it ends when the service listens (state 0A in /proc/net/tcp)
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
for port in {ports}; do
    for _ in $(seq 400); do
        ! grep -q " 0100007F:$port 00000000:0000 0A " /proc/net/tcp || continue 2
        sleep 0.05
    done
    echo "nobody listens on port 0x$port" >&2
    exit 1
done
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
        done = subprocess.run(self.command(verb), check=False, cwd="/", env=environment, timeout=60)
        assert done.returncode == 0, f"`{verb}` failed; the service said: {self.log.read_text()}"


@contextlib.contextmanager
def running_detached(directory: Path, start: str, *, pid_file: Path, ports: Sequence[int]) -> Iterator[Detached]:
    """Start a service by a line of shell, and end it in any case; whenever its script has started it, it listens on all `ports` of 127.0.0.1."""
    service = Detached(directory / "service", pid_file, directory / "output")
    awaited = " ".join(f"{port:04X}" for port in ports)
    service.script.write_text(_SCRIPT.format(start=start, pid_file=pid_file, log=service.log, ports=awaited))
    try:
        service.run("start")
        yield service
    finally:
        if pid_file.exists():
            service.run("stop")
