"""Where solvers listen that answer the CA themselves (http-01, tls-alpn-01): only while something is published.

They may stand on a low port of a public host, so strangers get no more than bounded time: each connection has 10 s as a whole, 64 are
served at once, and further ones wait in the listen queue.
"""

from __future__ import annotations

import contextlib
import errno
import os
import selectors
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from acmectl.dns.endpoints import Endpoint
from acmectl.errors import SolverError
from acmectl.solvers.inherited import Inherited, Listen, take

_CONNECTIONS = 64
_SECONDS = 10.0
_OUT_OF_DESCRIPTORS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

Serve = Callable[[socket.socket, float], None]
"""Answers one connection until a moment of `time.monotonic`; OSError and ValueError end it."""


@dataclass(frozen=True, slots=True)
class Service:
    """What is served: its challenge type, its usual port, and what to do where a web server has that port."""

    challenge: str
    port: int
    instead: str


class Listening:
    """Accepts connections from `start` to `stop`, and has each served in a thread that does not keep the process alive."""

    def __init__(self, service: Service, wanted: Listen, serve: Serve) -> None:
        self._service = service
        self._wanted = wanted
        self._serve = serve
        self._slots = threading.BoundedSemaphore(_CONNECTIONS)
        self._listeners: list[socket.socket] = []
        self._wake: socket.socket | None = None

    def start(self) -> None:
        """Listen from now on; SolverError explains why it cannot."""
        if self._listeners:
            return
        self._listeners = _open(self._service, self._wanted)
        asleep, self._wake = socket.socketpair()
        accepting = self._accept, (list(self._listeners), asleep)
        threading.Thread(target=accepting[0], args=accepting[1], name=self._service.challenge, daemon=True).start()

    def stop(self) -> None:
        """Free the ports; connections that are being answered end by themselves."""
        for listener in self._listeners:
            listener.close()
        self._listeners = []
        if self._wake:
            self._wake.close()
            self._wake = None

    def _accept(self, listeners: Sequence[socket.socket], asleep: socket.socket) -> None:
        with asleep, selectors.DefaultSelector() as selector:
            for one in (asleep, *listeners):
                with contextlib.suppress(ValueError):  # closed before we got here
                    selector.register(one, selectors.EVENT_READ)
            while True:
                ready = [key.fileobj for key, _ in selector.select()]
                if asleep in ready:
                    return
                for listener in ready:
                    assert isinstance(listener, socket.socket)  # noqa: S101  # what was registered above
                    self._take(listener)

    def _take(self, listener: socket.socket) -> None:
        self._slots.acquire()
        try:
            connection, _ = listener.accept()
        except OSError as cause:  # gone again, or closed by `stop`
            self._slots.release()
            if cause.errno in _OUT_OF_DESCRIPTORS:
                time.sleep(0.1)  # for a moment; do not spin
            return
        name = f"{self._service.challenge} request"
        threading.Thread(target=self._answer, args=(connection,), name=name, daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        try:
            with connection, contextlib.suppress(OSError, ValueError):
                self._serve(connection, time.monotonic() + _SECONDS)
        finally:
            self._slots.release()


def _open(service: Service, wanted: Listen) -> list[socket.socket]:
    if isinstance(wanted, Inherited):
        opened = take(wanted)
    else:
        opened = []
        try:
            for address in wanted or (None,):
                opened.append(_listen(service, address))
        except SolverError:
            for listener in opened:
                listener.close()
            raise
    for listener in opened:
        listener.setblocking(False)
    return opened


def _listen(service: Service, address: Endpoint | None) -> socket.socket:
    try:
        if address is None or address.host == "::":
            return _listen_everywhere(address.port if address else service.port)
        family = socket.AF_INET6 if address.is_ipv6 else socket.AF_INET
        return socket.create_server((address.host, address.port), family=family, backlog=_CONNECTIONS)
    except OSError as cause:
        shown = address or Endpoint("*", service.port)
        reason = os.strerror(cause.errno or 0).lower()  # `strerror` of the error has the address once more
        message = f"cannot listen on `{shown}` for {service.challenge}: {reason}"
        raise SolverError(message, hint=_hint(service, cause, shown)) from cause


def _listen_everywhere(port: int) -> socket.socket:
    if socket.has_dualstack_ipv6():
        try:
            return socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=_CONNECTIONS)
        except OSError as cause:
            if cause.errno not in {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL}:  # IPv6 is there, and switched off
                raise
    return socket.create_server(("0.0.0.0", port), backlog=_CONNECTIONS)  # noqa: S104  # every address is what is wanted


def _hint(service: Service, cause: OSError, address: Endpoint) -> str | None:
    if cause.errno == errno.EADDRINUSE:
        return f"another program has the port: `ss -ltnp 'sport = :{address.port}'` names it; {service.instead}"
    if cause.errno in {errno.EACCES, errno.EPERM}:
        return (
            "ports below 1024 need root, a socket from systemd (`listen: systemd`), "
            "or `setcap cap_net_bind_service=+ep` for the Python that runs acmectl"
        )
    if cause.errno == errno.EADDRNOTAVAIL:
        return f"`{address.host}` is no address of this host: correct `listen` of the solver"
    return None
