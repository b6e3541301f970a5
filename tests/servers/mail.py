"""A mail server that does TLS and nothing else: STARTTLS at one port, TLS from the first byte at another.

It reads the file with its key and certificates anew for each connection, as Exim does.
"""

from __future__ import annotations

import contextlib
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

_SECONDS = 10.0
_GREETING = b"220 mail ESMTP\r\n"
_REPLIES = {b"EHLO": b"250-mail\r\n250 STARTTLS\r\n", b"STARTTLS": b"220 go ahead\r\n", b"QUIT": b"221 bye\r\n"}


class _Session(socketserver.StreamRequestHandler):
    timeout = _SECONDS
    chain: ClassVar[Path]
    is_submissions: ClassVar[bool]

    def handle(self) -> None:
        with suppress(OSError):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.chain)
            if self.is_submissions or self._talk(self.request) == b"STARTTLS":
                with context.wrap_socket(self.request, server_side=True) as tls:
                    self._talk(tls, greeting=_GREETING if self.is_submissions else b"")

    @staticmethod
    def _talk(connection: ssl.SSLSocket, *, greeting: bytes = _GREETING) -> bytes:
        """Answer until the client is silent or ends, or asks for TLS; the last word it said."""
        connection.sendall(greeting)
        verb, lines = b"", b""
        while verb not in {b"STARTTLS", b"QUIT"} and (lines := connection.recv(1024)):
            verb = lines.split()[0].upper() if lines.strip() else b""
            connection.sendall(_REPLIES.get(verb, b"502 what?\r\n"))
        return verb


@contextlib.contextmanager
def running_mail(chain: Path, *, address: str = "127.0.0.1", smtp: int = 25, submissions: int = 465) -> Iterator[None]:
    """Serve what is in `chain` at the moment of each connection, until the end of the block."""
    with contextlib.ExitStack() as stack:
        for port in (smtp, submissions):
            session = type("Session", (_Session,), {"chain": chain, "is_submissions": port == submissions})
            server = stack.enter_context(_Server((address, port), session))
            stack.callback(server.shutdown)
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
