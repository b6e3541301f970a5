"""What proving by HTTP and TLS costs: wall time of publish, seen and remove for 1, 20 and 200 names, by each solver.

    make benchmarks, or alone: python -m tests.benchmarks.bench_web

Nothing here is asserted. `webroot` is read back through nginx; each file is synced to the disk.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from acmectl.model.names import Identifier
from acmectl.solvers import registry
from acmectl.solvers.base import Response, Solver
from tests.servers.nginx import running_nginx
from tests.servers.pebble import free_ports

SIZES = (1, 20, 200)


def build(name: str, **options: Any) -> Solver:
    """A solver with these options."""
    model = registry.options_model(name)
    assert model
    return registry.build(name, model.model_validate(options))


@contextlib.contextmanager
def webroot(directory: Path, roots: int) -> Iterator[Solver]:
    """Files below so many document roots."""
    paths = [directory / f"www{number}" for number in range(roots)]
    for path in paths:
        path.mkdir()
    with running_nginx(directory, f"root {paths[0]};") as endpoint:
        yield build("webroot", path=[str(path) for path in paths], check_address=endpoint)


@contextlib.contextmanager
def own(name: str) -> Iterator[Solver]:
    """A server of our own."""
    here = f"127.0.0.1:{free_ports(1)[0]}"
    yield build(name, listen=here, check_address=here)


WORLDS: dict[str, Callable[[Path], contextlib.AbstractContextManager[Solver]]] = {
    "webroot": lambda directory: webroot(directory, 1),
    "webroot, two roots": lambda directory: webroot(directory, 2),
    "standalone": lambda _: own("standalone"),
    "tls-alpn": lambda _: own("tls-alpn"),
}


def timed(solver: Solver, responses: list[Response]) -> list[float]:
    """Seconds of each call, which all must succeed."""
    taken = []
    for call in (solver.publish, solver.seen, solver.remove):
        begin = time.perf_counter()
        failed = call(responses)
        taken.append(time.perf_counter() - begin)
        assert not failed, failed
    return taken


def bench_web_solvers() -> None:
    """Print the table."""
    print(f"{'solver':20}{'names':>6}{'publish':>10}{'seen':>10}{'remove':>10}")
    for label, world in WORLDS.items():
        type_ = "tls-alpn-01" if label == "tls-alpn" else "http-01"
        for size in SIZES:
            names = [Identifier(f"n{number}.example.test") for number in range(size)]
            responses = [Response(name, type_, f"t{n}", f"t{n}.thumbprint") for n, name in enumerate(names)]
            with tempfile.TemporaryDirectory() as directory, world(Path(directory)) as solver:
                figures = "".join(f"{seconds * 1000:7.0f} ms" for seconds in timed(solver, responses))
            print(f"{label:20}{size:6}{figures}")


if __name__ == "__main__":
    bench_web_solvers()
