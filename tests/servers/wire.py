"""Small real servers on loopback for what `acmectl.deploy.wire` looks at: TLS of Python or OpenSSL, after any words in the clear.

A `Step` is what a server does in the clear: bytes are sent, `Heard` waits for a text of the client, `Silence` for its end.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.servers.chains import Generation

_SECONDS = 20  # a test that hangs fails


@dataclass(frozen=True, slots=True)
class Heard:
    """Wait until the client has said this."""

    text: bytes


@dataclass(frozen=True, slots=True)
class Drip:
    """Send this, byte by byte with pauses, for ever again."""

    text: bytes
    seconds: float = 0.02


class Silence:
    """Say nothing until the client goes."""


class TLS:
    """Shake hands."""


@dataclass(frozen=True, slots=True)
class BreakOff:
    """Shake hands as far as the client's answer to the certificate, in TLS 1.2, and send this alert (RFC 5246 section 7.2), or none."""

    alert: int | None


Step = bytes | Heard | Drip | Silence | TLS | BreakOff


class Server:
    """Serves connections one after the other, each in a thread of its own; `context` can be exchanged, as by a reload."""

    def __init__(self, script: Sequence[Step], context: ssl.SSLContext | None, *, host: str) -> None:
        self.script = script
        self.context = context
        self.context_for_each: Callable[[], ssl.SSLContext | None] = lambda: self.context
        self.connections = 0
        self.asked: list[str | None] = []
        self.farewells: list[bytes] = []
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, 0), family=family)
        self.port = int(self._listener.getsockname()[1])
        self._accepting = threading.Thread(target=self._accept)
        self._talking: list[threading.Thread] = []
        self._stopped = threading.Event()
        self._accepting.start()

    def stop(self) -> None:
        self._stopped.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join(_SECONDS)
        self._listener.close()
        for thread in self._talking:
            thread.join(_SECONDS)

    def _accept(self) -> None:
        while not self._stopped.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._talk, args=(connection,))
            self._talking.append(thread)
            thread.start()

    def _talk(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.settimeout(_SECONDS)
            for step in self.script:
                self._do(step, connection)

    def _do(self, step: Step, connection: socket.socket) -> None:
        match step:
            case bytes():
                connection.sendall(step)
            case Heard(text):
                _hear(connection, text)
            case Drip(text, seconds):
                while not self._stopped.is_set():
                    self._drip(connection, text, seconds)
            case Silence():
                while connection.recv(4096):
                    pass
            case TLS():
                self._shake_hands(connection)
            case BreakOff(alert):
                self._break_off(connection, alert)

    def _drip(self, connection: socket.socket, text: bytes, seconds: float) -> None:
        for byte in text:
            connection.sendall(bytes([byte]))
            self._stopped.wait(seconds)

    def _shake_hands(self, connection: socket.socket) -> None:
        context = self.context_for_each()
        assert context
        with context.wrap_socket(connection, server_side=True) as tls:
            self.asked.append(getattr(tls.context, "asked", None))
            farewell = b""
            while chunk := tls.recv(4096):
                farewell += chunk
            self.farewells.append(farewell)

    def _break_off(self, connection: socket.socket, alert: int | None) -> None:
        context = self.context_for_each()
        assert context
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_side=True)
        while not outgoing.pending:
            incoming.write(connection.recv(4096))
            with contextlib.suppress(ssl.SSLError):  # it wants the next flight, or refuses the version
                tls.do_handshake()
        connection.sendall(outgoing.read())
        if connection.recv(4096) and alert is not None:
            connection.sendall(bytes([0x15, 3, 3, 0, 2, 2, alert]))  # fatal
            while connection.recv(4096):
                pass


def _hear(connection: socket.socket, text: bytes) -> None:
    heard = b""
    while text not in heard:
        if not (chunk := connection.recv(4096)):
            raise ConnectionError("the client went")
        heard += chunk


class _Context(ssl.SSLContext):
    asked: str | None = None


def context(
    generation: Generation,
    *,
    leaf_only: bool = False,
    certificates: Path | None = None,
    versions: tuple[ssl.TLSVersion, ssl.TLSVersion] = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3),
    wants_clients_certificate: bool = False,
) -> ssl.SSLContext:
    """What a server with this certificate has; `asked` of it is the name that the last client asked for."""
    made = _Context(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version, made.maximum_version = versions
    made.verify_mode = ssl.CERT_REQUIRED if wants_clients_certificate else ssl.CERT_NONE
    made.load_cert_chain(certificates or (generation.leaf if leaf_only else generation.fullchain), generation.key)

    def remember(_: ssl.SSLObject | ssl.SSLSocket, name: str | None, own: ssl.SSLContext) -> None:
        del own
        made.asked = name

    made.sni_callback = remember
    return made


@contextlib.contextmanager
def serving(
    context: ssl.SSLContext | None = None, *, script: Sequence[Step] = (TLS(),), host: str = "127.0.0.1"
) -> Iterator[Server]:
    """A server that does `script` on each connection."""
    server = Server(script, context, host=host)
    try:
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def openssl_server(first: Generation, second: Generation, *options: str) -> Iterator[int]:
    """`openssl s_server` with certificates of two kinds; yields its port."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    argv = ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-quiet", *options]
    argv += ["-cert", str(first.leaf), "-key", str(first.key), "-cert_chain", str(first.chain)]
    argv += ["-dcert", str(second.leaf), "-dkey", str(second.key), "-dcert_chain", str(second.chain)]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        await_port(port, process)
        yield port
    finally:
        process.kill()
        process.communicate()


def await_port(port: int, process: subprocess.Popen[bytes]) -> None:
    """Until somebody listens there. Fails if the process ends first."""
    ready = threading.Event()
    while not ready.wait(0.02):
        assert process.poll() is None, f"`{process.args!r}` ended"
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), 5):
            return
