"""Debian's Pebble (and its DNS server, pebble-challtestsrv) on free ports of 127.0.0.1.

    with running_pebble(tmp_path, always_valid=True) as pebble:
        Session(pebble.directory_url, ca_bundle=pebble.ca_bundle, key=key)

Everything that Pebble does at random by default is set explicitly. It asks `resolver` (`127.0.0.1:PORT`) for names, and a
closed port where none is given: no test asks the host's own resolver.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from tests.servers.tls import server_tls

_Server = TypeVar("_Server", "Pebble", "ChallengeDNS")

_START_SECONDS = 20.0
_TRIES = 5  # another test may take a free port between our look and Pebble's


@dataclass(frozen=True, slots=True)
class Pebble:
    """A running Pebble. `log` has one line a request; `http_port` and `tls_port` are where it looks for http-01 and tls-alpn-01."""

    directory_url: str
    ca_bundle: Path
    management_url: str
    http_port: int
    log: Path
    tls_port: int = 0

    def root(self, number: int = 0) -> bytes:
        """The root certificate (PEM) of one of its chains; made anew at each start."""
        return self._management(f"/roots/{number}")

    def challenge_posts(self) -> int:
        """How many requests went to challenge URLs, those with a nonce that it rejected too."""
        return sum(" POST /chalZ/ ->" in line for line in self._requests())

    def finalize_posts(self) -> int:
        """How many requests went to finalize URLs, those with a nonce that it rejected too."""
        return sum(" POST /finalize-order/ ->" in line for line in self._requests())

    def issued(self) -> int:
        """How many certificates it issued."""
        return sum(" Issued certificate serial " in line for line in self._requests())

    def _requests(self) -> list[str]:
        return self.log.read_text(errors="replace").splitlines()

    def _management(self, path: str) -> bytes:
        context = ssl.create_default_context(cafile=str(self.ca_bundle))
        with urllib.request.urlopen(self.management_url + path, context=context, timeout=5) as answer:  # noqa: S310 - a fixed https URL on loopback
            return bytes(answer.read())


@contextmanager
def running_pebble(
    directory: Path,
    *,
    always_valid: bool = False,
    nonce_reject: int = 0,
    authz_reuse: int = 100,
    alternate_roots: int = 0,
    chain_length: int = 1,
    http_port: int | None = None,
    tls_port: int | None = None,
    resolver: str | None = None,
    external_account_binding: bool = False,
    mac_keys: Mapping[str, str] | None = None,
    blocked: Sequence[str] = (),
) -> Iterator[Pebble]:
    """Pebble with these rules, until the end of the block.

    `nonce_reject` and `authz_reuse` are percentages; `authz_reuse=0` still reuses about one valid authorization in a hundred. `mac_keys` are the keys of External
    Account Binding (base64url) by their identifiers. `blocked` are domains
    whose names the CA refuses; with more labels than a name of an order has, Debian's Pebble 2.4.0 panics.
    """
    program = _program("pebble")
    tls = server_tls(directory / "pebble-tls")
    environment = {
        "PEBBLE_VA_NOSLEEP": "1",
        "PEBBLE_WFE_NONCEREJECT": str(nonce_reject),
        "PEBBLE_AUTHZREUSE": str(authz_reuse),
        "PEBBLE_ALTERNATE_ROOTS": str(alternate_roots),
        "PEBBLE_CHAIN_LENGTH": str(chain_length),
    } | ({"PEBBLE_VA_ALWAYS_VALID": "1"} if always_valid else {})
    log = directory / "pebble.log"

    def start() -> tuple[subprocess.Popen[bytes], Pebble]:
        port, management, validated, validated_tls, closed = free_ports(5)
        settings = {
            "listenAddress": f"127.0.0.1:{port}",
            "managementListenAddress": f"127.0.0.1:{management}",
            "certificate": str(tls.certificate),
            "privateKey": str(tls.key),
            "httpPort": http_port or validated,
            "tlsPort": tls_port or validated_tls,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": external_account_binding,
            "externalAccountMACKeys": dict(mac_keys or {}),
            "domainBlocklist": list(blocked),
        }
        config = directory / "pebble.json"
        config.write_text(json.dumps({"pebble": settings}))
        process = _start(
            [program, "-config", str(config), "-dnsserver", resolver or f"127.0.0.1:{closed}"], environment, log
        )
        base, managed = f"https://127.0.0.1:{port}", f"https://127.0.0.1:{management}"
        served = Pebble(f"{base}/dir", tls.bundle, managed, http_port or validated, log, tls_port or validated_tls)
        return process, served

    process, pebble = _until_started(start, lambda server: _port(server.directory_url), log)
    try:
        yield pebble
    finally:
        _stop(process)


@dataclass(frozen=True, slots=True)
class ChallengeDNS:
    """A running pebble-challtestsrv: a DNS server whose answers are set by requests to its management port."""

    resolver: str
    management_url: str
    log: Path = field(repr=False)

    def add_txt(self, name: str, value: str) -> None:
        """Let `name` (with a dot at its end) have this TXT record."""
        self._post("/set-txt", {"host": name, "value": value})

    def clear_txt(self, name: str) -> None:
        """Take all TXT records of `name` away."""
        self._post("/clear-txt", {"host": name})

    def _post(self, path: str, body: dict[str, str]) -> None:
        request = urllib.request.Request(self.management_url + path, data=json.dumps(body).encode(), method="POST")  # noqa: S310 - a fixed http URL on loopback
        urllib.request.urlopen(request, timeout=5).close()  # noqa: S310 - as above


@contextmanager
def running_challenge_dns(directory: Path) -> Iterator[ChallengeDNS]:
    """A DNS server for Pebble's `resolver`; every name has the address 127.0.0.1."""
    program = _program("pebble-challtestsrv")
    log = directory / "challtestsrv.log"

    def start() -> tuple[subprocess.Popen[bytes], ChallengeDNS]:
        dns, management = free_ports(2)
        argv = [program, "-management", f"127.0.0.1:{management}", "-dns01", f"127.0.0.1:{dns}"]
        argv += ["-http01", "", "-https01", "", "-tlsalpn01", "", "-defaultIPv4", "127.0.0.1", "-defaultIPv6", ""]
        server = ChallengeDNS(f"127.0.0.1:{dns}", f"http://127.0.0.1:{management}", log)
        return _start(argv, {}, log), server

    process, server = _until_started(start, lambda s: _port(s.management_url), log)
    try:
        yield server
    finally:
        _stop(process)


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody used a moment ago, for TCP and UDP."""
    sockets: list[socket.socket] = []
    try:
        while len(sockets) < 2 * count:
            tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sockets += [tcp, udp]
            tcp.bind(("127.0.0.1", 0))
            try:
                udp.bind(tcp.getsockname())
            except OSError:
                for taken in (sockets.pop(), sockets.pop()):
                    taken.close()
        return [tcp.getsockname()[1] for tcp in sockets[::2]]
    finally:
        for each in sockets:
            each.close()


def _program(name: str) -> str:
    if found := shutil.which(name):
        return found
    raise RuntimeError(f"`{name}` is needed for this test: `apt-get install pebble`")


def _start(argv: Sequence[str], environment: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        return subprocess.Popen(
            argv,
            env={"PATH": os.environ["PATH"], **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )


def _until_started(
    start: Callable[[], tuple[subprocess.Popen[bytes], _Server]], port: Callable[[_Server], int], log: Path
) -> tuple[subprocess.Popen[bytes], _Server]:
    for _ in range(_TRIES):
        process, server = start()
        if _listens(process, port(server)):
            return process, server
        _stop(process)
        if "address already in use" not in log.read_text(errors="replace"):
            break
    raise RuntimeError(f"a server of this test did not start:\n{log.read_text(errors='replace')}")


def _listens(process: subprocess.Popen[bytes], port: int) -> bool:
    """Whether our own process listens; another's on the same port would have ended it."""
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return process.poll() is None
        time.sleep(0.02)  # bounded polling for a condition
    return False


def _port(url: str) -> int:
    return int(url.removesuffix("/dir").rpartition(":")[2])


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
