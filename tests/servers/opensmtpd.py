"""OpenSMTPD on a free port of 127.0.0.1, from where `.ci/mail_servers` unpacked it: as a package it would put Postfix out.

Its queue, its socket and its empty root have fixed places, so it runs in a mount namespace of its own.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.servers.commands import checking
from tests.servers.daemon import unused_ports
from tests.servers.detached import Detached, running_detached
from tests.servers.unpacked import unpacked

_CONFIGURATION = """pki mail.service.test cert "{file}"
pki mail.service.test key "{file}"
listen on socket
listen on 127.0.0.1 port {smtp} tls pki mail.service.test hostname mail.service.test
action "local" mbox
match for local action "local"
"""
_LAUNCHED = """set -e
for folder in /var/spool /var/lib /run; do mount -t tmpfs -o mode=755 none $folder; done
mkdir -m 711 /var/spool/smtpd
mkdir -p /var/lib/opensmtpd/empty
{program} -d -f {place}/smtpd.conf &
echo $! >{place}/pid
"""


@dataclass(frozen=True)
class OpenSmtpd:
    """A running OpenSMTPD: SMTP with STARTTLS."""

    service: Detached
    place: Path
    smtp: int

    @property
    def configuration(self) -> Path:
        return self.place / "smtpd.conf"

    @property
    def check(self) -> list[str]:
        return checking("opensmtpd", "-f", self.configuration, program=unpacked("smtpd"))

    @property
    def restart(self) -> list[str]:
        """It reads its files when it starts, and at no other time."""
        return self.service.command("restart")


@contextlib.contextmanager
def running_opensmtpd(place: Path, file: Path) -> Iterator[OpenSmtpd]:
    """OpenSMTPD with this file of a key and its chain, until the end of the block; it must be there."""
    (port,) = unused_ports(1)
    (place / "smtpd.conf").write_text(_CONFIGURATION.format(file=file, smtp=port))
    (place / "launched").write_text(_LAUNCHED.format(place=place, program=unpacked("smtpd")))
    start = f"unshare --mount sh {place}/launched"
    with running_detached(place, start, pid_file=place / "pid", ports=[port]) as service:
        yield OpenSmtpd(service, place, port)
