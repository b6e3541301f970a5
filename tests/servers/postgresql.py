"""Debian's PostgreSQL on a free port of 127.0.0.1, with a cluster made for a test that trusts everybody."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.servers.daemon import Daemon, path, running_daemon, unused_ports

_AS_POSTGRES = ("setpriv", "--reuid", "postgres", "--regid", "postgres", "--init-groups")


@dataclass(frozen=True)
class Postgresql:
    """A running PostgreSQL; it refuses to run as root, so it is the user `postgres`, as on a real host."""

    daemon: Daemon
    directory: Path
    port: int

    @property
    def data(self) -> Path:
        """Its cluster."""
        return self.directory / "cluster" / "data"

    @property
    def config(self) -> Path:
        """Its configuration file."""
        return self.data / "postgresql.conf"

    def pg_ctl(self, verb: str) -> list[str]:
        """The command line of its `pg_ctl`, such as `pg_ctl reload`."""
        return [*_AS_POSTGRES, program("pg_ctl"), verb, "-D", str(self.data)]

    def check(self) -> list[str]:
        """A command that reads its whole configuration, and fails if it cannot."""
        return [*_AS_POSTGRES, program("postgres"), "-D", str(self.data), "-C", "ssl"]


def program(name: str) -> str:
    """A program of the newest PostgreSQL that is installed; Debian keeps them outside PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    assert found, "this test needs PostgreSQL: run .ci/servers, or `apt-get install postgresql`"
    return str(found[-1])


@contextlib.contextmanager
def serving_postgresql(directory: Path, pem: Path) -> Iterator[Postgresql]:
    """PostgreSQL with key and certificates in one file, until the end of the block."""
    (port,) = unused_ports(1)
    (directory / "cluster").mkdir()
    shutil.chown(directory / "cluster", "postgres", "postgres")
    data = directory / "cluster" / "data"
    made = [
        program("initdb"),
        "-D",
        str(data),
        "-A",
        "trust",
        "--no-sync",
        "-E",
        "UTF8",
        "--locale=C",
        "-U",
        "postgres",
    ]
    environment = {"PATH": path(), "LANG": "C"}
    subprocess.run([*_AS_POSTGRES, *made], check=True, capture_output=True, cwd="/", timeout=60, env=environment)
    with (data / "postgresql.conf").open("a") as config:
        config.write(f"""
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = ''
fsync = off
ssl = on
ssl_cert_file = '{pem}'
ssl_key_file = '{pem}'
""")
    argv = [*_AS_POSTGRES, program("postgres"), "-D", str(data)]
    log = directory / "output"
    with running_daemon(argv, log=log, ports=[port], package="postgresql", stop=signal.SIGINT) as daemon:
        yield Postgresql(daemon, directory, port)
