"""Debian's nginx on a free port of 127.0.0.1."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.integration.hosts import await_true
from tests.servers.pebble import free_ports

_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


@contextlib.contextmanager
def running_nginx(directory: Path, server: str) -> Iterator[str]:
    """nginx with one `server` block that has these directives, until the end of the block; gives `127.0.0.1:PORT`."""
    assert shutil.which("nginx"), "these tests need nginx: run .ci/servers"
    (port,) = free_ports(1)
    log, file = directory / "error.log", directory / "nginx.conf"
    paths = "".join(f"{kind}_temp_path {directory}/{kind};" for kind in _TEMPORARY)
    site = f"server {{ listen 127.0.0.1:{port}; {server} }}"
    file.write_text(f"pid {directory}/pid; events {{}} http {{ access_log off; {paths} {site} }}")
    argv = ["nginx", "-e", str(log), "-c", str(file), "-p", str(directory), "-g", "daemon off; user root;"]
    process = subprocess.Popen(argv)
    try:
        await_true(lambda: (directory / "pid").exists() or process.poll() is not None, what="nginx")
        assert process.poll() is None, log.read_text()
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)
