"""vsftpd on a free port of 127.0.0.1, for FTP with AUTH TLS."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from tests.servers.chains import Generation
from tests.servers.daemon import running_daemon, unused_ports

_CONFIGURATION = """listen=YES
listen_address=127.0.0.1
listen_port={port}
background=NO
seccomp_sandbox=NO
anonymous_enable=YES
secure_chroot_dir={place}/empty
ssl_enable=YES
ssl_ciphers=HIGH
rsa_cert_file={certificate}
rsa_private_key_file={key}
"""


@contextlib.contextmanager
def running_vsftpd(place: Path, generation: Generation) -> Iterator[int]:
    """vsftpd with this certificate until the end of the block; yields its port."""
    (port,) = unused_ports(1)
    (place / "empty").mkdir(mode=0o755)
    configuration = place / "vsftpd.conf"
    configuration.write_text(
        _CONFIGURATION.format(place=place, port=port, certificate=generation.fullchain, key=generation.key)
    )
    with running_daemon(["vsftpd", configuration], log=place / "log", ports=(port,), package="vsftpd"):
        yield port
