"""A network that has loopback only: low ports are free in it, no packet can leave, and files can be mounted over others."""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

_CHECKOUT = Path(__file__).parents[2]
_CLONE_FS, _CLONE_NEWNS, _CLONE_NEWNET = 0x200, 0x20000, 0x40000000  # <linux/sched.h>; os.unshare is Python 3.12's


def run_in_own_network(code: str, *arguments: str) -> list[str]:
    """The lines that Python `code` prints; fails with what it complained of. Needs user namespaces, and no root."""
    shell = 'ip link set lo up && exec "$0" -W error -c "$@"'
    done = subprocess.run(
        [
            "unshare",
            "--user",
            "--map-root-user",
            "--net",
            "--mount",
            "sh",
            "-c",
            shell,
            sys.executable,
            code,
            *arguments,
        ],
        capture_output=True,
        check=False,
        cwd=_CHECKOUT,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@contextlib.contextmanager
def own_network(resolver: str | None = None) -> Iterator[None]:
    """A network for this thread, and for the threads and processes that it starts, until the end of the block.

    `resolver` is the address of the name server in its /etc/resolv.conf, whose answers are believed when they say that they
    checked the signatures. Needs root: servers that change their user do not work in a user namespace.
    """
    assert os.geteuid() == 0, "this test needs root: it makes a network of its own in which servers change their user"
    with contextlib.ExitStack() as stack:
        before = [os.open(f"/proc/thread-self/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC) for kind in ("net", "mnt")]
        for namespace in before:
            stack.callback(os.close, namespace)
        directory = Path.cwd()
        _call("unshare", _CLONE_NEWNET | _CLONE_NEWNS)
        stack.callback(os.chdir, directory)
        for namespace in before:
            stack.callback(_call, "setns", namespace, 0)
        stack.callback(_call, "unshare", _CLONE_FS)  # other threads share the current directory, which setns forbids
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        subprocess.run(["mount", "--make-rprivate", "/"], check=True)
        if resolver:
            _resolve_by(resolver)
        yield


def _resolve_by(address: str) -> None:
    with tempfile.NamedTemporaryFile("w") as file:  # the mount keeps what has no name any more
        file.write(f"nameserver {address}\noptions trust-ad edns0\n")
        file.flush()
        Path(file.name).chmod(0o644)
        subprocess.run(["mount", "--bind", file.name, "/etc/resolv.conf"], check=True)


def _call(function: str, *arguments: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, function)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{function}: {os.strerror(number)}")
