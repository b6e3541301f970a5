"""Listening sockets that systemd hands over (`sd_listen_fds(3)`), so that ports below 1024 need neither root nor a capability.

The service names its socket units (`Sockets=`), systemd opens them and passes them as descriptors from 3 on. They belong to the
service: we listen on copies, and the port stays open as long as the unit.
"""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from acmectl.dns.endpoints import Endpoint
from acmectl.errors import SolverError

_FIRST = 3  # SD_LISTEN_FDS_START
_HINT = "run acmectl by a service with `Sockets=`, as examples/systemd has it; by hand, set `listen` to an address"


@dataclass(frozen=True, slots=True)
class Inherited:
    """The sockets of one `FileDescriptorName=`, or, without a name, all that were handed over."""

    name: str = ""

    def __str__(self) -> str:
        return f"systemd:{self.name}" if self.name else "systemd"


Listen = Inherited | tuple[Endpoint, ...]
"""Where a solver listens; no endpoint at all means the usual port of every address, IPv6 and IPv4."""


def take(wanted: Inherited, environment: Mapping[str, str] = os.environ) -> list[socket.socket]:
    """Copies of the sockets, one at least. Raises SolverError where there is none, or one that does not listen."""
    found = _descriptors(environment)
    if not found:
        raise SolverError("systemd has handed over no socket", hint=_HINT)
    chosen = [descriptor for descriptor, name in found if wanted.name in {"", name}]
    if not chosen:
        names = ", ".join(f"`{name}`" for name in dict.fromkeys(name for _, name in found))
        raise SolverError(
            f"systemd has handed over no socket called `{wanted.name}`",
            hint=f"correct `listen`, or `FileDescriptorName=` of the socket unit; there are {names}",
        )
    return [_copy(descriptor) for descriptor in chosen]


def _descriptors(environment: Mapping[str, str]) -> list[tuple[int, str]]:
    """Each descriptor with its name; none where they are meant for another process (our parent's, say)."""
    count = environment.get("LISTEN_FDS", "")
    if environment.get("LISTEN_PID") != str(os.getpid()) or not (count.isascii() and count.isdigit()):
        return []
    names = environment.get("LISTEN_FDNAMES", "").split(":")
    return [(_FIRST + i, names[i] if i < len(names) else "") for i in range(int(count))]


def _copy(descriptor: int) -> socket.socket:
    try:
        listener = socket.socket(fileno=fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _FIRST))
    except OSError as cause:
        raise SolverError(
            f"what systemd has handed over as descriptor {descriptor} is no socket", hint=_HINT
        ) from cause
    with suppress(OSError):
        is_tcp = listener.type == socket.SOCK_STREAM and listener.family in {socket.AF_INET, socket.AF_INET6}
        if is_tcp and listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            return listener
    listener.close()
    raise SolverError(
        f"the socket that systemd has handed over as descriptor {descriptor} does not listen on a TCP port",
        hint="use `ListenStream=` with a port, and no `Accept=yes`, in the socket unit",
    )
