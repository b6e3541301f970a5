"""What proving by DNS costs: wall time, updates and queries for 1, 20 and 200 names over up to 20 zones, on each name server.

    make benchmarks, or alone: python -m tests.benchmarks.bench_solvers

Nothing here is asserted. Every connection of this process is counted as it is opened (an audit hook of Python): each
question has a socket of its own over UDP, each update one over TCP.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from acmectl.model.names import Identifier
from acmectl.solvers import registry
from acmectl.solvers.base import Failures, Response
from acmectl.solvers.rfc2136 import Rfc2136Options
from tests.servers.bind import running_bind
from tests.servers.knot import running_knot
from tests.servers.name_server import Key, NameServer, Zone, free_port
from tests.servers.nsd import running_nsd
from tests.servers.powerdns import running_powerdns

ZONES = tuple(Zone(f"z{number}.test", refresh=3) for number in range(20))
KEYS = (Key("acmectl"),)
SIZES = (1, 20, 200)
opened: Counter[str] = Counter()


def count(event: str, arguments: tuple[object, ...]) -> None:
    """Count what this process connects to."""
    if event == "socket.connect" and isinstance(connection := arguments[0], socket.socket):
        opened["tcp" if connection.type == socket.SOCK_STREAM else "udp"] += 1


Worlds = Iterator[tuple[NameServer, list[str]]]
"""The server that takes updates, and the servers that must answer."""


@contextlib.contextmanager
def bind(directory: Path) -> Worlds:
    with running_bind(directory, zones=ZONES, keys=KEYS) as server:
        yield server, [server.endpoint]


@contextlib.contextmanager
def knot(directory: Path) -> Worlds:
    with running_knot(directory, zones=ZONES, keys=KEYS) as server:
        yield server, [server.endpoint]


@contextlib.contextmanager
def powerdns(directory: Path) -> Worlds:
    with running_powerdns(directory, zones=ZONES, keys=KEYS) as server:
        yield server, [server.endpoint]


@contextlib.contextmanager
def hidden(directory: Path) -> Worlds:
    port = free_port()
    with (
        running_bind(directory, zones=ZONES, keys=KEYS, secondaries=[f"127.0.0.1 port {port}"]) as primary,
        running_knot(directory, zones=ZONES, primary=primary, port=port) as told,
        running_nsd(directory, zones=ZONES, primary=primary) as lagging,
    ):
        yield primary, [told.endpoint, lagging.endpoint]


KINDS = {
    "BIND": bind,
    "Knot": knot,
    "PowerDNS": powerdns,
    "BIND, hidden; Knot; NSD 3 s behind": hidden,
}


def responses(names: int) -> list[Response]:
    """A response for each of so many names, spread over the zones."""
    return [
        Response(Identifier(f"n{n}.z{n % len(ZONES)}.test"), "dns-01", "token", f"token.n{n}") for n in range(names)
    ]


def timed(call: Callable[[Sequence[Response]], Failures], batch: Sequence[Response]) -> tuple[float, int, int]:
    """Seconds, updates and queries of one step, which must not fail."""
    opened.clear()
    begin = time.perf_counter()
    if failures := call(batch):
        raise SystemExit(f"it failed: {next(iter(failures.values()))}")
    return time.perf_counter() - begin, opened["tcp"], opened["udp"]


def measure(server: NameServer, must_answer: list[str], names: int) -> str:
    """Publish, see and remove with a new solver, as one run does."""
    options: dict[str, Any] = {
        "server": server.address,
        "port": server.port,
        "tsig_key_file": str(server.key_file("acmectl")),
        "resolvers": [server.endpoint],
        "propagation": {"servers": must_answer, "timeout": "1m", "interval": "1s"},
    }
    solver = registry.build("rfc2136", Rfc2136Options.model_validate(options))
    batch = responses(names)
    steps = [timed(call, batch) for call in (solver.publish, solver.seen, solver.remove)]
    publish, seen, remove = (f"{seconds:7.2f}" for seconds, _, _ in steps)
    total = f"{sum(seconds for seconds, _, _ in steps):7.2f}"
    updates, queries = (sum(step[index] for step in steps) for index in (1, 2))
    return f"{names:5} {publish} {seen} {remove} {total} {updates:8} {queries:8}"


def bench_dns_solvers() -> None:
    """Print the table."""
    sys.addaudithook(count)
    columns = f"{'names':>5} {'publish':>7} {'seen':>7} {'remove':>7} {'total s':>7} {'updates':>8} {'queries':>8}"
    print(f"{'':36}{columns}")
    for kind, running in KINDS.items():
        with tempfile.TemporaryDirectory() as place, running(Path(place)) as (server, must_answer):
            measure(server, must_answer, 1)  # imports
            for names in SIZES:
                print(f"{kind:36}{measure(server, must_answer, names)}", flush=True)


if __name__ == "__main__":
    bench_dns_solvers()
