"""Exim on free ports of 127.0.0.1, from where `.ci/mail_servers` unpacked it: as a package it would put Postfix out."""

from __future__ import annotations

import contextlib
import shutil
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.servers.commands import checking
from tests.servers.daemon import Daemon, running_daemon, unused_ports
from tests.servers.unpacked import unpacked

USER = "Debian-exim"
# exim_path: at SIGHUP the daemon, by then without root's rights, starts this anew, and Debian's default is another one
_CONFIGURATION = """exim_path = {program}
spool_directory = {place}/spool
log_file_path = {place}/log/%slog
pid_file_path = {place}/spool/exim.pid
primary_hostname = mail.service.test
local_interfaces = <; 127.0.0.1
daemon_smtp_ports = {smtp} : {submissions}
tls_on_connect_ports = {submissions}
tls_advertise_hosts = *
tls_certificate = {files}
host_lookup =
rfc1413_query_timeout = 0s
keep_environment =
"""


@dataclass(frozen=True)
class Exim:
    """A running Exim: SMTP with STARTTLS, and submissions with TLS at once."""

    daemon: Daemon
    place: Path
    smtp: int
    submissions: int

    @property
    def configuration(self) -> Path:
        return self.place / "exim.conf"

    @property
    def check(self) -> list[str]:
        return checking("exim", "-C", self.configuration, program=unpacked("exim4"))

    @property
    def reload(self) -> list[str]:
        """What `systemctl reload exim4` does."""
        return ["kill", "-HUP", str(self.daemon.process.pid)]

    def log(self) -> str:
        """What it has logged."""
        return (self.place / "log" / "mainlog").read_text("utf-8", "replace")


@contextlib.contextmanager
def running_exim(place: Path, files: Sequence[Path]) -> Iterator[Exim]:
    """Exim with these files, each of a key and its chain, until the end of the block."""
    smtp, submissions = ports = unused_ports(2)
    for folder in ("spool", "log"):
        (place / folder).mkdir()
        shutil.chown(place / folder, USER, USER)
    program, configuration = unpacked("exim4"), place / "exim.conf"
    named = {"program": program, "place": place, "files": " : ".join(map(str, files))}
    configuration.write_text(_CONFIGURATION.format(smtp=smtp, submissions=submissions, **named))
    argv: list[str | Path] = [program, "-C", configuration, "-bdf", "-q1h"]
    with running_daemon(
        argv, log=place / "output", ports=ports, package="exim4-daemon-light", reload=signal.SIGHUP
    ) as daemon:
        yield Exim(daemon, place, *ports)
