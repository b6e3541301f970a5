"""What a run costs: whole processes with nothing due, and requests and time for a first run over many names.

    make benchmarks

Figures are printed, as ratios where two things are compared; nothing here is asserted on time.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from acmectl import app
from tests.servers.sandbox import running_sandbox
from tests.test_docs import free_port

ACMECTL = Path(sys.executable).with_name("acmectl")
RUNS = 9


def cpu_of(command: list[str], directory: Path) -> float:
    """Median CPU milliseconds of a whole process."""
    seconds = []
    for _ in range(RUNS):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, cwd=directory, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return 1000 * statistics.median(seconds)


def hosts(directory: Path, names: int, then: Callable[[Path], None]) -> None:
    """A master with `names` names and a follower with five of them, against a sandbox with real http-01."""
    port = free_port()
    with running_sandbox(directory / "ca", http_port=port, limits=None) as ca:
        authority = f'authority: {{directory: "{ca.directory_url}", ca_bundle: "{ca.ca_bundle}"}}\nprofile: classic\n'
        listed = ", ".join(f"n{number}.bench.test" for number in range(names))
        (directory / "master.yaml").write_text(
            f"{authority}state_directory: master\n"
            f'solvers: {{web: {{type: standalone, listen: "127.0.0.1:{port}", check_address: "127.0.0.1:{port}"}}}}\n'
            f"master: {{authorize: [{{names: [{listed}], solver: web}}]}}\n"
        )
        five = ", ".join(f"n{number}.bench.test" for number in range(min(5, names)))
        (directory / "follower.yaml").write_text(
            f"{authority}state_directory: follower\ncertificates: {{mail: {{names: [{five}]}}}}\n"
        )
        acmectl(directory, "master", "account", "register", "--agree-tos")
        acmectl(directory, "master", "account", "export", "bundle")
        acmectl(directory, "follower", "account", "import", "bundle")
        then(directory)


def acmectl(directory: Path, host: str, *words: str) -> str:
    """Run a command of a host; returns what it printed."""
    command: list[str | Path] = [ACMECTL, "-v", "--config", f"{host}.yaml", *words]
    return subprocess.run(command, cwd=directory, check=True, capture_output=True, text=True).stdout


def bench_requests_of_a_first_run(tmp_path: Path) -> None:
    """Requests per kind: a master's first run over 20 names, a follower's certificate over 5."""

    def then(directory: Path) -> None:
        print()
        print("master, 20 names: ", acmectl(directory, "master", "master", "run").splitlines()[-1])
        print("follower, 5 names:", acmectl(directory, "follower", "follower", "run").splitlines()[-1])

    hosts(tmp_path, 20, then)


def bench_a_run_with_nothing_due(tmp_path: Path) -> None:
    """CPU of a whole process with nothing due, beside an interpreter that does nothing."""

    def then(directory: Path) -> None:
        acmectl(directory, "master", "run")
        acmectl(directory, "follower", "run")
        bare = cpu_of([sys.executable, "-c", "pass"], directory)
        print(f"\npython -c pass: {bare:.0f} ms CPU")
        for host in ("master", "follower"):
            cost = cpu_of([str(ACMECTL), "--config", f"{host}.yaml", "run"], directory)
            print(f"{host} with nothing due: {cost:.0f} ms CPU, {cost / bare:.1f} times a bare interpreter")

    hosts(tmp_path, 20, then)


def bench_many_names(tmp_path: Path) -> None:
    """Wall time of a first master run by number of names, as ratios to one name."""
    first = None
    print()
    for names in (1, 10, 100):
        directory = tmp_path / str(names)
        directory.mkdir()
        seconds: list[float] = []

        def then(place: Path, seconds: list[float] = seconds) -> None:
            host = app.load(place / "master.yaml")
            started = time.perf_counter()
            assert not host.master().run(host.wanted).failed
            seconds.append(time.perf_counter() - started)
            host.state.close()

        hosts(directory, names, then)
        first = first or seconds[0]
        print(f"{names:4} names: {seconds[0] / first:.1f} times one name, {1000 * seconds[0] / names:.0f} ms each")
