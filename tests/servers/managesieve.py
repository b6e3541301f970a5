"""Dovecot's ManageSieve alone on a free port of 127.0.0.1, with STARTTLS."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from tests.servers.chains import Generation
from tests.servers.daemon import running_daemon, unused_ports

_CONFIGURATION = """base_dir = {place}/run
state_dir = {place}/var
log_path = {place}/log
listen = 127.0.0.1
protocols = sieve
ssl = yes
ssl_cert = <{certificate}
ssl_key = <{key}
service managesieve-login {{
  chroot =
  inet_listener sieve {{
    port = {port}
  }}
}}
passdb {{
  driver = static
  args = password=test
}}
"""


@contextlib.contextmanager
def running_managesieve(place: Path, generation: Generation) -> Iterator[int]:
    """Dovecot with this certificate until the end of the block; yields its port."""
    (port,) = unused_ports(1)
    configuration = place / "dovecot.conf"
    configuration.write_text(
        _CONFIGURATION.format(place=place, port=port, certificate=generation.fullchain, key=generation.key)
    )
    argv: list[str | Path] = ["dovecot", "-F", "-c", configuration]
    with running_daemon(argv, log=place / "log", ports=(port,), package="dovecot-managesieved"):
        yield port
