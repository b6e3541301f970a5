"""Debian's Prosody on free ports of 127.0.0.1, with a configuration, a store and certificates of its own.

It runs as the user `prosody`, as on a real host: as root it refuses to start, and `prosodyctl` changes to that user by itself.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.servers.daemon import path, require, running_daemon, unused_ports
from tests.servers.xmpp_server import XmppServer

_AS_PROSODY = ("setpriv", "--reuid", "prosody", "--regid", "prosody", "--init-groups")


@dataclass(frozen=True)
class Prosody(XmppServer):
    """A running Prosody."""

    @property
    def config(self) -> Path:
        """Its configuration file."""
        return self.directory / "prosody.cfg.lua"

    @property
    def certs(self) -> Path:
        """Its directory of certificates."""
        return self.directory / "tls"

    def prosodyctl(self, *arguments: str) -> tuple[str, ...]:
        """The command line of its own `prosodyctl`."""
        return (require("prosodyctl", "prosody"), "--config", str(self.config), *arguments)

    def log(self) -> str:
        """What it has logged."""
        return (self.directory / "data" / "log").read_text("utf-8", "replace")


@contextlib.contextmanager
def running_prosody(directory: Path, *hosts: str, options: str = "") -> Iterator[Prosody]:
    """Serve virtual hosts until the end of the block; `tls` (made before) is its directory of certificates.

    `options` are further lines of the configuration's global part.
    """
    client, server, direct = unused_ports(3)
    data = directory / "data"
    data.mkdir()
    shutil.chown(data, "prosody", "prosody")
    config = directory / "prosody.cfg.lua"
    config.write_text(f"""
pidfile = "{data}/pid"
data_path = "{data}"
certificates = "{directory}/tls"
log = {{ debug = "{data}/log" }}
modules_enabled = {{ "posix", "roster", "saslauth", "tls", "disco", "ping" }}
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {client} }}
s2s_ports = {{ {server} }}
c2s_direct_tls_ports = {{ {direct} }}
authentication = "internal_hashed"
{options}
{"".join(f'VirtualHost "{host}"' + chr(10) for host in hosts)}
""")
    argv = [*_AS_PROSODY, require("prosody", "prosody"), "--config", str(config), "-F"]
    with running_daemon(
        argv, log=directory / "output", ports=[client, server, direct], package="prosody", reload=signal.SIGHUP
    ) as daemon:
        yield Prosody(daemon, directory, client, server, direct)


def indexed(certs: Path) -> set[str]:
    """The files that Prosody's own search picks in a directory of certificates, asked as the user `prosody`."""
    program = """
        package.path = "/usr/lib/prosody/?.lua;" .. package.path
        package.cpath = "/usr/lib/prosody/?.so;" .. package.cpath
        prosody = { paths = { config = "." }, events = { add_handler = function() end } }
        for _, files in pairs(require "core.certmanager".index_certs(arg[1])) do
            for file in pairs(files) do print(file) end
        end
    """
    argv = [*_AS_PROSODY, require("lua5.4", "prosody"), "-", str(certs)]
    done = subprocess.run(
        argv, input=program.encode(), capture_output=True, check=True, timeout=20, env={"PATH": path()}
    )
    return set(done.stdout.decode().split())
