"""Services as processes of a test: in the foreground, on ports of their own, awaited, and ended in any case with all they started."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

_START_SECONDS = 40.0
_STOP_SECONDS = 15.0
_UNUSED = range(12000, 32000)  # below what Linux gives to outgoing connections, any of which could take a port from us


@dataclass(frozen=True)
class Daemon:
    """A running service: its process, where it logs, and the environment that its own tools need."""

    process: subprocess.Popen[bytes]
    log: Path

    def said(self) -> str:
        """What it has logged or printed."""
        return self.log.read_text("utf-8", "replace") if self.log.exists() else ""


@contextlib.contextmanager
def running_daemon(
    argv: Sequence[str | Path],
    *,
    log: Path,
    ports: Sequence[int],
    package: str,
    environment: Mapping[str, str] | None = None,
    stop: signal.Signals = signal.SIGTERM,
    reload: signal.Signals | None = None,
    pid_file: Path | None = None,
) -> Iterator[Daemon]:
    """Start a service of the Debian package, wait until it listens on all `ports` of 127.0.0.1, and end it with `stop`.

    Most listen before they can be told anything: where it is reloaded by a signal, its handler for `reload` is awaited too, as the
    signal would end it before; where a command looks for it in a `pid_file`, that. Fails with what it said if it does not come up.
    """
    require(str(argv[0]), package)
    with log.open("ab") as output:
        process = subprocess.Popen(
            argv,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={"PATH": path(), "HOME": "/nonexistent", "LANG": "C.UTF-8", **(environment or {})},
            start_new_session=True,
        )
    daemon = Daemon(process, log)
    try:
        for port in ports:
            _await(daemon, partial(is_listening, port))
        if reload is not None:
            _await(daemon, partial(_catches, process.pid, reload))
        if pid_file is not None:
            _await(daemon, lambda: pid_file.exists() and pid_file.read_text().endswith("\n"))
        yield daemon
    finally:
        _end(process, stop)


def require(program: str, package: str) -> str:
    """The path of a program; fails with what to install if it is missing."""
    found = shutil.which(program, path=path())
    assert found, f"this test needs {program}: run .ci/servers, or `apt-get install {package}`"
    return found


def path() -> str:
    """Where programs are, those of root too."""
    return f"{os.environ['PATH']}:/usr/sbin:/sbin"


def _await(daemon: Daemon, is_ready: Callable[[], bool]) -> None:
    until = time.monotonic() + _START_SECONDS
    while not is_ready():
        is_late = time.monotonic() > until or daemon.process.poll() is not None
        assert not is_late, f"{daemon.process.args!r} does not start:\n{daemon.said()}"
        time.sleep(0.02)  # bounded polling for a condition


def _catches(pid: int, number: signal.Signals) -> bool:
    """Whether a process has a handler for a signal (proc_pid_status(5), SigCgt)."""
    with contextlib.suppress(FileNotFoundError):  # it has ended
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("SigCgt:"):
                return bool(int(line.split()[1], 16) >> (number - 1) & 1)
    return False


def is_listening(port: int) -> bool:
    """Whether somebody accepts connections on a port of 127.0.0.1."""
    with socket.socket() as client:
        client.settimeout(2)
        return client.connect_ex(("127.0.0.1", port)) == 0


def _end(process: subprocess.Popen[bytes], stop: signal.Signals) -> None:
    process.send_signal(stop)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_STOP_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # workers that outlived it
    process.wait()


def unused_ports(count: int) -> tuple[int, ...]:
    """Ports of 127.0.0.1 that nobody uses, for TCP and UDP."""
    chosen: list[int] = []
    while len(chosen) < count:
        port = random.choice(_UNUSED)  # noqa: S311  # no secret
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp, contextlib.suppress(OSError):
            tcp.bind(("127.0.0.1", port))
            udp.bind(("127.0.0.1", port))
            if port not in chosen:
                chosen.append(port)
    return tuple(chosen)
