"""A name server of a test's own making, for what BIND never does: silence, nonsense, unsigned answers, chains that have no end."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import dns.message
from dns.message import Message

from acmectl.dns.endpoints import Endpoint
from tests.servers.bind import free_port

Answering = Callable[[Message, bool], Message | bytes | None]
"""(query, whether it came over TCP) -> the answer; bytes go out as they are, None is silence."""


@dataclass(frozen=True)
class OddServer:
    """A running server, and the queries that it saw."""

    endpoint: Endpoint
    queries: list[Message]


@contextlib.contextmanager
def running_odd_dns(answering: Answering, *, address: str = "127.0.0.1", port: int = 0) -> Iterator[OddServer]:
    """Answer as `answering` says, over UDP and TCP, until the end of the block."""
    endpoint = Endpoint(address, port or free_port(address))
    seen: list[Message] = []

    def reply(wire: bytes, *, tcp: bool) -> bytes | None:
        query = dns.message.from_wire(wire, keyring=False, ignore_trailing=True)
        seen.append(query)
        answer = answering(query, tcp)
        return answer.to_wire(max_size=65535) if isinstance(answer, Message) else answer

    with (
        socket.socket(type=socket.SOCK_DGRAM) as udp,
        socket.create_server((endpoint.host, endpoint.port)) as tcp,
    ):
        udp.bind((endpoint.host, endpoint.port))
        threads = [
            threading.Thread(target=_serve_udp, args=(udp, reply)),
            threading.Thread(target=_serve_tcp, args=(tcp, reply)),
        ]
        for thread in threads:
            thread.start()
        try:
            yield OddServer(endpoint, seen)
        finally:
            with socket.socket(type=socket.SOCK_DGRAM) as waker:
                waker.sendto(b"", (endpoint.host, endpoint.port))
            tcp.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join()


def _serve_udp(listener: socket.socket, reply: Callable[..., bytes | None]) -> None:
    while True:
        wire, peer = listener.recvfrom(65535)
        if not wire:
            return
        if (answer := reply(wire, tcp=False)) is not None:
            listener.sendto(answer, peer)


def _serve_tcp(listener: socket.socket, reply: Callable[..., bytes | None]) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection, contextlib.suppress(OSError), connection.makefile("rb") as stream:
            (size,) = struct.unpack("!H", stream.read(2))
            answer = reply(stream.read(size), tcp=True)
            if answer is not None:
                connection.sendall(struct.pack("!H", len(answer)) + answer)
            else:
                connection.settimeout(5)
                stream.read()  # until the other side has had enough
