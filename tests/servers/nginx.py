"""Debian's nginx on a free port of 127.0.0.1."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.servers.daemon import Daemon, require, running_daemon, unused_ports

_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


@dataclass(frozen=True)
class Nginx:
    """A running nginx: one master process that stays, and workers that a reload replaces."""

    daemon: Daemon
    directory: Path
    port: int

    @property
    def config(self) -> Path:
        """Its configuration file."""
        return self.directory / "nginx.conf"

    def command(self, *arguments: str) -> list[str]:
        """The command line of an nginx that talks of this one, such as `nginx -t`."""
        return _argv(self.directory, *arguments)


@contextlib.contextmanager
def running_nginx(directory: Path, server: str) -> Iterator[str]:
    """nginx with one `server` block that has these directives, until the end of the block; gives `127.0.0.1:PORT`."""
    with serving_nginx(directory, server) as nginx:
        yield f"127.0.0.1:{nginx.port}"


@contextlib.contextmanager
def serving_nginx(directory: Path, server: str, *, listen: str = "") -> Iterator[Nginx]:
    """As `running_nginx`, for those who reload it; `listen` are further parameters of that directive, such as `ssl`."""
    (port,) = unused_ports(1)
    paths = "".join(f"{kind}_temp_path {directory}/{kind};\n" for kind in _TEMPORARY)
    site = f"server {{ listen 127.0.0.1:{port} {listen}; {server} }}"
    top = f"user root;\npid {directory}/pid;\nevents {{ }}\n"
    (directory / "nginx.conf").write_text(f"{top}http {{\naccess_log off;\n{paths}{site}\n}}\n")
    argv = _argv(directory, "-g", "daemon off;")
    with running_daemon(
        argv, log=directory / "error.log", ports=[port], package="nginx-light", pid_file=directory / "pid"
    ) as daemon:
        yield Nginx(daemon, directory, port)


def _argv(directory: Path, *arguments: str) -> list[str]:
    nginx, log = require("nginx", "nginx-light"), str(directory / "error.log")
    return [nginx, "-e", log, "-c", str(directory / "nginx.conf"), "-p", str(directory), *arguments]
