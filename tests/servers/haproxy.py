"""Debian's HAProxy on a free port of 127.0.0.1, as master and worker: it answers 200 by itself."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.servers.daemon import Daemon, require, running_daemon, unused_ports


@dataclass(frozen=True)
class Haproxy:
    """A running HAProxy: a master process that stays, and a worker that a reload replaces."""

    daemon: Daemon
    directory: Path
    port: int

    @property
    def config(self) -> Path:
        """Its configuration file."""
        return self.directory / "haproxy.cfg"

    @property
    def pid(self) -> int:
        """The master's process."""
        return self.daemon.process.pid

    def command(self, *arguments: str) -> list[str]:
        """The command line of HAProxy with this configuration, such as `haproxy -c`."""
        return _argv(self.directory, *arguments)


@contextlib.contextmanager
def serving_haproxy(directory: Path, bind: str) -> Iterator[Haproxy]:
    """HAProxy whose frontend has these words after `bind ADDRESS:PORT`, until the end of the block."""
    (port,) = unused_ports(1)
    (directory / "haproxy.cfg").write_text(f"""
global
    stats socket {directory}/socket mode 600 level admin expose-fd listeners
defaults
    mode http
    timeout client 2m
    timeout server 2m
    timeout connect 5s
frontend site
    bind 127.0.0.1:{port} {bind}
    http-request return status 200 content-type text/plain string here
""")
    argv = _argv(directory, "-W")
    with running_daemon(
        argv, log=directory / "output", ports=[port], package="haproxy", reload=signal.SIGUSR2
    ) as daemon:
        yield Haproxy(daemon, directory, port)


def _argv(directory: Path, *arguments: str) -> list[str]:
    return [require("haproxy", "haproxy"), *arguments, "-f", str(directory / "haproxy.cfg")]
