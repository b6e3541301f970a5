"""What proving by hosted DNS costs: wall time and API requests for 1, 20 and 200 names over up to 20 zones, on PowerDNS's HTTP API.

    make benchmarks, or alone: python -m tests.benchmarks.bench_lexicon

Nothing here is asserted. A provider's API takes one record at a time, and dns-lexicon reads before it writes: a record costs four
requests to publish and remove here, where an update of `rfc2136` carries a whole zone.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from acmectl.solvers import registry
from acmectl.solvers.lexicon_options import LexiconOptions
from tests.benchmarks.bench_solvers import SIZES, ZONES, responses
from tests.servers.powerdns import PowerDNS, running_powerdns
from tests.servers.powerdns_api import by_lexicon
from tests.servers.powerdns_gate import Gate, running_gate


def measure(server: PowerDNS, gate: Gate, names: int, workers: int) -> str:
    """Publish, see and remove with a new solver, as one run does."""
    options = by_lexicon(server, options={"pdns_server": gate.url}, workers=workers)
    del options["type"]
    solver = registry.build("lexicon", LexiconOptions.model_validate(options))
    batch, seconds = responses(names), []
    gate.asked.clear()
    for call in (solver.publish, solver.seen, solver.remove):
        begin = time.perf_counter()
        if failures := call(batch):
            raise SystemExit(f"it failed: {next(iter(failures.values()))}")
        seconds.append(time.perf_counter() - begin)
    steps = " ".join(f"{one:7.2f}" for one in (*seconds, sum(seconds)))
    return f"{names:5} {workers:7} {steps} {gate.asked.count('PATCH'):8} {len(gate.asked):8}"


def bench_lexicon() -> None:
    """Print the table."""
    titles = ("publish", "seen", "remove", "total s")
    print(f"{'names':>5} {'workers':>7} {' '.join(f'{t:>7}' for t in titles)} {'changes':>8} {'requests':>8}")
    with (
        tempfile.TemporaryDirectory() as place,
        running_powerdns(Path(place), zones=ZONES) as server,
        running_gate(server) as gate,
    ):
        measure(server, gate, 1, 1)  # imports
        for names in SIZES:
            for workers in (1, 4) if names > 1 else (1,):
                print(measure(server, gate, names, workers), flush=True)


if __name__ == "__main__":
    bench_lexicon()
