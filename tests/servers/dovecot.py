"""Debian's Dovecot (2.3) on free ports of 127.0.0.1, with a configuration and sockets of its own."""

from __future__ import annotations

import contextlib
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.servers.commands import checking, reloading
from tests.servers.daemon import Daemon, running_daemon, unused_ports

# shutdown_clients: otherwise a reload ends all sessions, some seconds after it ("Processes aren't dying after reload, sent SIGTERM")
_CONFIGURATION = """base_dir = {place}/run
state_dir = {place}/var
log_path = {place}/log
listen = 127.0.0.1
protocols = imap pop3 sieve
ssl = yes
ssl_cert = <{ecdsa}
ssl_key = <{ecdsa}
ssl_alt_cert = <{rsa}
ssl_alt_key = <{rsa}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
  }}
}}
service pop3-login {{
  chroot =
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
service managesieve-login {{
  chroot =
  inet_listener sieve {{
    port = {sieve}
  }}
}}
passdb {{
  driver = static
  args = password=test
}}
userdb {{
  driver = static
  args = uid=dovecot gid=dovecot home={place}/home
}}
mail_location = maildir:{place}/home/Maildir
first_valid_uid = 1
shutdown_clients = no
"""


@dataclass(frozen=True)
class Dovecot:
    """A running Dovecot: IMAP, POP3 and ManageSieve with STARTTLS, and IMAP with TLS at once; anybody may log in with `test`."""

    daemon: Daemon
    place: Path
    imap: int
    imaps: int
    pop3: int
    sieve: int

    @property
    def configuration(self) -> Path:
        return self.place / "dovecot.conf"

    @property
    def check(self) -> list[str]:
        return checking("dovecot", "-c", self.configuration)

    @property
    def reload(self) -> list[str]:
        return reloading("dovecot", "-c", self.configuration)


@contextlib.contextmanager
def running_dovecot(place: Path, *, ecdsa: Path, rsa: Path) -> Iterator[Dovecot]:
    """Dovecot with these files, each of a key and its chain, until the end of the block; they must be there."""
    imap, imaps, pop3, sieve = ports = unused_ports(4)
    configuration = place / "dovecot.conf"
    configuration.write_text(
        _CONFIGURATION.format(place=place, ecdsa=ecdsa, rsa=rsa, imap=imap, imaps=imaps, pop3=pop3, sieve=sieve)
    )
    (place / "home").mkdir()
    shutil.chown(place / "home", "dovecot", "dovecot")
    argv: list[str | Path] = ["dovecot", "-F", "-c", configuration]
    with running_daemon(
        argv,
        log=place / "log",
        ports=ports,
        package="dovecot-imapd dovecot-pop3d dovecot-managesieved",
        reload=signal.SIGHUP,
        pid_file=place / "run" / "master.pid",
    ) as daemon:
        yield Dovecot(daemon, place, *ports)
