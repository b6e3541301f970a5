"""Debian's coturn on free ports of 127.0.0.1, run as the user `turnserver`."""

from __future__ import annotations

import contextlib
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.servers.daemon import Daemon, require, running_daemon, unused_ports

_AS_TURNSERVER = ("setpriv", "--reuid", "turnserver", "--regid", "turnserver", "--init-groups")


@dataclass(frozen=True)
class Coturn:
    """A running TURN server; `port` is that for TLS over TCP."""

    daemon: Daemon
    directory: Path
    port: int

    @property
    def pid(self) -> int:
        """Its process, which takes signals."""
        return self.daemon.process.pid


@contextlib.contextmanager
def serving_coturn(directory: Path, pem: Path) -> Iterator[Coturn]:
    """coturn with key and certificates in one file, until the end of the block."""
    plain, tls, *relay = unused_ports(4)
    data = directory / "turn"
    data.mkdir()
    shutil.chown(data, "turnserver", "turnserver")
    (directory / "turnserver.conf").write_text(f"""
listening-ip=127.0.0.1
relay-ip=127.0.0.1
listening-port={plain}
tls-listening-port={tls}
min-port={min(relay)}
max-port={max(relay)}
no-auth
no-udp
no-dtls
no-cli
realm=service.test
cert={pem}
pkey={pem}
log-file=stdout
simple-log
pidfile={data}/pid
userdb={data}/db
""")
    argv = [*_AS_TURNSERVER, require("turnserver", "coturn"), "-c", str(directory / "turnserver.conf")]
    with running_daemon(argv, log=directory / "output", ports=[tls], package="coturn", reload=signal.SIGUSR2) as daemon:
        yield Coturn(daemon, directory, tls)
