"""Debian's Apache on a free port of 127.0.0.1, with the event MPM and mod_ssl, and nothing of the host's configuration."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.servers.daemon import Daemon, require, running_daemon, unused_ports

_MODULES = Path("/usr/lib/apache2/modules")
_WANTED = ("mpm_event", "authz_core", "alias", "ssl", "socache_shmcb")


@dataclass(frozen=True)
class Apache:
    """A running Apache: one parent process that stays, and children that a graceful restart replaces."""

    daemon: Daemon
    directory: Path
    port: int

    @property
    def config(self) -> Path:
        """Its configuration file."""
        return self.directory / "apache.conf"

    def command(self, *arguments: str) -> list[str]:
        """The command line of Apache that talks of this one, such as `apache2 -t`."""
        return _argv(self.directory, *arguments)

    def log(self) -> str:
        """What it has logged."""
        return (self.directory / "error.log").read_text("utf-8", "replace")


@contextlib.contextmanager
def serving_apache(directory: Path, site: str) -> Iterator[Apache]:
    """Apache with one virtual host that has these directives, until the end of the block; it answers 200 to everything."""
    (port,) = unused_ports(1)
    (directory / "www").mkdir()
    (directory / "www" / "index.html").write_text("here\n")
    modules = "".join(f"LoadModule {name}_module {_MODULES}/mod_{name}.so\n" for name in _WANTED)
    (directory / "apache.conf").write_text(f"""{modules}
ServerRoot {directory}
ServerName localhost
PidFile {directory}/pid
ErrorLog {directory}/error.log
DocumentRoot {directory}/www
Mutex pthread
User www-data
Group www-data
StartServers 1
Listen 127.0.0.1:{port}
<VirtualHost 127.0.0.1:{port}>
AliasMatch "^/.*" "{directory}/www/index.html"
{site}
</VirtualHost>
""")
    argv = _argv(directory, "-D", "FOREGROUND")
    with running_daemon(
        argv, log=directory / "output", ports=[port], package="apache2", pid_file=directory / "pid"
    ) as daemon:
        yield Apache(daemon, directory, port)


def _argv(directory: Path, *arguments: str) -> list[str]:
    return [require("apache2", "apache2"), "-f", str(directory / "apache.conf"), *arguments]
