"""BIND's `named` on a free high port of loopback, with zones and TSIG keys made for a test, and dynamic update allowed.

It serves its zones and nothing else: no recursion, no root hints, no notifies, so nothing leaves the host.
"""

from __future__ import annotations

import base64
import contextlib
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype

_START_SECONDS = 15
_ATTEMPTS = 5
_ADDRESS = "127.0.0.1"
_EMPTY_ROOT = "$TTL 60\n. IN SOA ns. hostmaster. 1 3600 600 86400 5\n. IN NS ns.\nns. IN A 127.0.0.1\n"


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
    None lets every key do everything; otherwise the lines of an `update-policy`; "" forbids updates.
    """

    name: str
    records: Sequence[str] = ()
    nameservers: Sequence[str] = ("ns",)
    update: str | None = None

    def text(self, address: str) -> str:
        """The zone file; `ns` is at `address`."""
        soa = f"$TTL 60\n@ IN SOA ns.{self.name}. hostmaster.{self.name}. 1 3600 600 86400 5\n"
        own = f"ns IN A {address}\n" if "ns" in self.nameservers else ""
        lines = [*(f"@ IN NS {server}" for server in self.nameservers), *self.records]
        return soa + own + "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Bind:
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
        answer = dns.query.udp(query, self.address, timeout=5, port=self.port)
        return {
            b"".join(rdata.strings).decode("ascii")
            for rrset in answer.answer
            if rrset.rdtype == dns.rdatatype.TXT
            for rdata in rrset
        }

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
        return (self.directory / "named.log").read_text("utf-8", "replace")


@contextlib.contextmanager
def running_bind(
    directory: Path, *, zones: Sequence[Zone], keys: Sequence[Key] = (), port: int = 0, resolve: bool = False
) -> Iterator[Bind]:
    """Start `named` below `directory` (made anew), wait until it answers, and stop it at the end in any case.

    `port` 0 chooses a free one; the address is 127.0.0.1, because named binds only to addresses that an interface has. `resolve` makes it a
    resolver as well, which follows CNAMEs from one of its zones into another, for clients that cannot; the root zone is its own and
    empty, so that it asks nobody. Fails with a message when named is missing or does not start.
    """
    if not shutil.which("named"):
        raise AssertionError("this test needs BIND: `apt-get install bind9`")
    bind = _start(directory, zones, keys, port, resolve=resolve)
    try:
        yield bind
    finally:
        bind.stop()


def _start(directory: Path, zones: Sequence[Zone], keys: Sequence[Key], port: int, *, resolve: bool) -> Bind:
    for attempt in range(_ATTEMPTS):
        place = directory / f"bind-{secrets.token_hex(4)}"
        place.mkdir(parents=True)
        bind = _launch(place, zones, keys, port or free_port(), resolve=resolve)
        if _is_serving(bind, zones):
            return bind
        bind.stop()
        if attempt + 1 == _ATTEMPTS or "address in use" not in bind.log():
            raise AssertionError(f"named does not start:\n{bind.log()}")
    raise AssertionError("unreachable")


def _launch(place: Path, zones: Sequence[Zone], keys: Sequence[Key], port: int, *, resolve: bool) -> Bind:
    for zone in zones:
        (place / f"{zone.name}.zone").write_text(zone.text(_ADDRESS), "ascii")
    (place / "named.conf").write_text(_configuration(place, zones, keys, port, resolve=resolve), "ascii")
    with (place / "named.log").open("wb") as log:
        process = subprocess.Popen(
            ["named", "-g", "-4", "-n", "1", "-c", str(place / "named.conf")],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    return Bind(_ADDRESS, port, place, {key.name: key for key in keys}, process)


def _configuration(place: Path, zones: Sequence[Zone], keys: Sequence[Key], port: int, *, resolve: bool) -> str:
    options = f"""options {{
    directory "{place}"; pid-file none; session-keyfile none; lock-file none; managed-keys-directory "{place}";
    listen-on port {port} {{ {_ADDRESS}; }}; listen-on-v6 {{ none; }};
    recursion {"yes" if resolve else "no"}; dnssec-validation no; empty-zones-enable no; notify no; allow-transfer {{ none; }};
}};
controls {{ }};
"""
    if resolve:
        (place / "root.zone").write_text(_EMPTY_ROOT, "ascii")
        options += 'zone "." { type primary; file "root.zone"; };\n'
    return options + "".join(key.statement for key in keys) + "".join(_zone(zone, keys) for zone in zones)


def _zone(zone: Zone, keys: Sequence[Key]) -> str:
    if zone.update is None:
        update = f"allow-update {{ {' '.join(f'key {key.name};' for key in keys) or 'none;'} }};"
    else:
        update = f"update-policy {{ {zone.update} }};" if zone.update else "allow-update { none; };"
    return f'zone "{zone.name}" {{ type primary; file "{zone.name}.zone"; {update} }};\n'


def free_port(address: str = _ADDRESS) -> int:
    """A port that is free for UDP and TCP at this moment."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.bind((address, 0))
            port: int = tcp.getsockname()[1]
            with contextlib.suppress(OSError):
                udp.bind((address, port))
                return port


def _is_serving(bind: Bind, zones: Sequence[Zone]) -> bool:
    """Wait until every zone is answered for; False when the server ended or took too long."""
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end and bind.process.poll() is None and "not loaded due to errors" not in bind.log():
        if "running" in bind.log() and all(_answers(bind, zone.name) for zone in zones):
            return True
        time.sleep(0.05)
    return False


def _answers(bind: Bind, zone: str) -> bool:
    query = dns.message.make_query(zone, dns.rdatatype.SOA, flags=dns.flags.Flag(0))
    with contextlib.suppress(OSError, dns.exception.DNSException):
        return dns.query.udp(query, bind.address, timeout=1, port=bind.port).rcode() == dns.rcode.NOERROR
    return False
