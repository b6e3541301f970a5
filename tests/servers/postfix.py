"""Debian's Postfix on free ports of 127.0.0.1, with a configuration, a queue and a log of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from acmectl.deploy.presets import PRESETS
from tests.integration.hosts import await_true
from tests.servers.commands import reloading
from tests.servers.daemon import Daemon, running_daemon, unused_ports

_MAIN = """compatibility_level = 3.6
queue_directory = {place}/queue
data_directory = {place}/var
maillog_file = {place}/log
maillog_file_prefixes = {place}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks_style = host
myhostname = mail.service.test
mydestination =
alias_maps =
smtpd_peername_lookup = no
smtpd_tls_security_level = may
smtpd_tls_chain_files = {chains}
"""
_MASTER = """127.0.0.1:{smtp} inet n - n - - smtpd
127.0.0.1:{submission} inet n - n - - smtpd -o smtpd_tls_security_level=encrypt
127.0.0.1:{submissions} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
error unix - - n - - error
retry unix - - n - - error
proxymap unix - - n - - proxymap
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""


@dataclass(frozen=True)
class Postfix:
    """A running Postfix: SMTP and submission with STARTTLS, submissions with TLS at once."""

    daemon: Daemon
    place: Path
    smtp: int
    submission: int
    submissions: int

    @property
    def configuration(self) -> Path:
        return self.place / "etc"

    @property
    def pid(self) -> int:
        """The master process, which a reload does not end."""
        return int((self.place / "queue" / "pid" / "master.pid").read_text("ascii"))

    def command(self, verb: str) -> list[str]:
        return ["postfix", "-c", str(self.configuration), verb]

    @property
    def check(self) -> list[str]:
        told = f"postfix -c {self.configuration} check"
        return [word.replace("postfix check", told) for word in PRESETS["postfix"].check or ()]

    @property
    def reload(self) -> list[str]:
        return reloading("postfix", "-c", self.configuration)


@contextlib.contextmanager
def running_postfix(place: Path, chains: Sequence[Path], *, ports: Sequence[int] = ()) -> Iterator[Postfix]:
    """Postfix with these `smtpd_tls_chain_files`, until the end of the block; `place` must be open to its user.

    `ports` are those for SMTP, submission and submissions, free ones unless given.
    """
    smtp, submission, submissions = ports = ports or unused_ports(3)
    for folder in ("etc", "queue", "var"):
        (place / folder).mkdir()
    shutil.chown(place / "var", "postfix")
    etc = place / "etc"
    (etc / "main.cf").write_text(_MAIN.format(place=place, chains=", ".join(map(str, chains))))
    (etc / "master.cf").write_text(_MASTER.format(smtp=smtp, submission=submission, submissions=submissions))
    argv: list[str | Path] = ["postfix", "-c", etc, "start-fg"]
    with running_daemon(argv, log=place / "log", ports=ports, package="postfix") as daemon:
        postfix = Postfix(daemon, place, *ports)
        master = postfix.pid
        try:
            yield postfix
        finally:
            os.kill(master, signal.SIGTERM)  # the daemon is a shell that waits for it, and it has a session of its own
            await_true(lambda: daemon.process.poll() is not None, what="the end of Postfix")
