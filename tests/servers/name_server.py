"""What the name servers of the tests have in common: a process on loopback, TSIG keys, and what it answers right now."""

from __future__ import annotations

import base64
import contextlib
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype

_START_SECONDS = 30
_ATTEMPTS = 5
_BROKEN = "not loaded due to errors"  # BIND goes on without the zone
_TAKEN = ("address in use", "Address already in use", "address already in use")


@dataclass(frozen=True)
class Key:
    """A TSIG key as the server knows it; `statement` is what a BIND key file has."""

    name: str
    algorithm: str = "hmac-sha256"
    secret: str = field(default_factory=lambda: base64.b64encode(secrets.token_bytes(32)).decode("ascii"))

    @property
    def statement(self) -> str:
        return f'key "{self.name}" {{\n\talgorithm {self.algorithm};\n\tsecret "{self.secret}";\n}};\n'

    def write(self, path: Path) -> Path:
        """Write the key file, for its owner alone."""
        path.touch(mode=0o600)
        path.write_text(self.statement, "ascii")
        return path


@dataclass(frozen=True)
class Zone:
    """A zone to serve: `records` are lines of a zone file after its SOA and NS records.

    `nameservers` are the targets of NS, `ns` (with the server's own address) unless given. `update` is what may change the zone:
    None lets every key do everything; otherwise the lines of BIND's `update-policy`; "" forbids updates. A secondary asks after
    `refresh` seconds whether there is something new.
    """

    name: str
    records: Sequence[str] = ()
    nameservers: Sequence[str] = ("ns",)
    update: str | None = None
    refresh: int = 3600
    signed: bool = False

    def text(self, address: str) -> str:
        """The zone file; `ns` is at `address`."""
        times = f"{self.refresh} {self.refresh} 86400 5"
        soa = f"$ORIGIN {self.name}.\n$TTL 60\n@ IN SOA ns.{self.name}. hostmaster.{self.name}. 1 {times}\n"
        own = f"ns IN A {address}\n" if "ns" in self.nameservers else ""
        lines = [*(f"@ IN NS {server}" for server in self.nameservers), *self.records]
        return soa + own + "\n".join(lines) + "\n"


@dataclass(frozen=True)
class NameServer:
    """A running server. `endpoint` is what goes into a configuration."""

    address: str
    port: int
    directory: Path
    keys: Mapping[str, Key]
    process: subprocess.Popen[bytes]

    @property
    def endpoint(self) -> str:
        return f"{self.address}:{self.port}"

    def key_file(self, name: str) -> Path:
        """A new file with the key `name`, for its owner alone."""
        path = self.directory / f"{name}.{secrets.token_hex(4)}.key"
        return self.keys[name].write(path)

    def txt(self, name: str) -> set[str]:
        """The TXT values at `name` right now; a server that was started with `resolve` follows CNAMEs."""
        query = dns.message.make_query(name, dns.rdatatype.TXT)
        answer, _ = dns.query.udp_with_fallback(query, self.address, timeout=10, port=self.port)
        return {
            b"".join(rdata.strings).decode("ascii")
            for rrset in answer.answer
            if rrset.rdtype == dns.rdatatype.TXT
            for rdata in rrset
        }

    def serial(self, zone: str) -> int:
        """The serial of the zone's SOA record."""
        query = dns.message.make_query(zone, dns.rdatatype.SOA, flags=dns.flags.Flag(0))
        return int(dns.query.udp(query, self.address, timeout=10, port=self.port).answer[0][0].serial)

    def is_serving(self, zone: str) -> bool:
        """Whether the server answers for the zone."""
        query = dns.message.make_query(zone, dns.rdatatype.SOA, flags=dns.flags.Flag(0))
        with contextlib.suppress(OSError, dns.exception.DNSException):
            answer = dns.query.udp(query, self.address, timeout=1, port=self.port)
            return answer.rcode() == dns.rcode.NOERROR and bool(answer.answer)
        return False

    def stop(self) -> None:
        """End the server, and wait until it is gone."""
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def log(self) -> str:
        """What the server has logged."""
        return (self.directory / "log").read_text("utf-8", "replace")


Server = TypeVar("Server", bound=NameServer)


def require(program: str, package: str) -> None:
    """Fail with what to install if a program is missing."""
    if not shutil.which(program):
        raise AssertionError(f"this test needs {program}: `apt-get install {package}`")


def start(argv: Sequence[str | Path], place: Path) -> subprocess.Popen[bytes]:
    """Start a server that stays in the foreground, what it says going into `log` in `place`."""
    with (place / "log").open("wb") as log:
        return subprocess.Popen(argv, cwd=place, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)


@contextlib.contextmanager
def running(
    directory: Path, launch: Callable[[Path, int], Server], *, zones: Sequence[Zone], port: int, address: str
) -> Iterator[Server]:
    """`launch` in a new place below `directory`, tried again on another port where somebody took it; stopped in any case.

    `port` 0 chooses a free one. Fails with the server's log when it does not serve all zones in time.
    """
    for attempt in range(_ATTEMPTS):
        place = directory / f"dns-{secrets.token_hex(4)}"
        place.mkdir(parents=True)
        server = launch(place, port or free_port(address))
        try:
            if _comes_up(server, zones):
                yield server
                return
        finally:
            server.stop()
        if attempt + 1 == _ATTEMPTS or not any(words in server.log() for words in _TAKEN):
            raise AssertionError(f"{server.process.args!r} does not start:\n{server.log()}")


def _comes_up(server: NameServer, zones: Sequence[Zone]) -> bool:
    end = time.monotonic() + _START_SECONDS
    waiting = [zone.name for zone in zones]
    while time.monotonic() < end and server.process.poll() is None:
        waiting = [name for name in waiting if not server.is_serving(name)]
        if not waiting:
            return True
        if _BROKEN in server.log():
            return False
        time.sleep(0.05)
    return False


def free_port(address: str = "127.0.0.1") -> int:
    """A port that is free for UDP and TCP at this moment."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.bind((address, 0))
            port: int = tcp.getsockname()[1]
            with contextlib.suppress(OSError):
                udp.bind((address, port))
                return port
