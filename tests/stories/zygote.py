"""A Python that has imported all of acmectl and forks a process for each run: starting one costs milliseconds, not a second.

`Zygote` starts this file as a program, which reads a JSON object a line: `cwd`, `argv`, `output` (a file), and optionally `kill`: [events, n], which ends the
process by SIGKILL just before the n-th audit event of these. The process stops itself before it begins, so that whoever wants to
can attach to it first. Answers: {"pid": ...} when it has stopped, {"status": ...} when it has ended.
"""

from __future__ import annotations

import importlib
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

PRELOADED = (
    "acmectl.app",
    "acmectl.ca.account_changes",
    "acmectl.ca.issuing",
    "acmectl.ca.messages",
    "acmectl.ca.network",
    "acmectl.ca.proving",
    "acmectl.cli.account",
    "acmectl.cli.follower",
    "acmectl.cli.master",
    "acmectl.cli.runs",
    "acmectl.deploy.tlsa.publisher",
    "acmectl.dns.record_sets",
    "acmectl.dns.tsig",
    "acmectl.dns.update",
    "acmectl.follower.issuing",
    "acmectl.keys",
    "acmectl.master",
    "acmectl.solvers.http_fetch",
    "acmectl.solvers.webroot",
    "cryptography.hazmat.primitives.asymmetric.ec",
    "cryptography.x509",
)
_ROOT = Path(__file__).parents[2]
_WRITING = os.O_CREAT | os.O_TRUNC


class Zygote:
    """Starts runs that are about to be killed."""

    def __init__(self) -> None:
        program = [sys.executable, __file__]
        self._process = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=_ROOT)

    def run(
        self,
        directory: Path,
        *argv: str,
        kill: tuple[list[str], int] | None = None,
        attach: Callable[[int], None] | None = None,
    ) -> int:
        """The exit status of `acmectl` in `directory`; `attach` is given its pid before it begins."""
        order = {"cwd": str(directory), "argv": ["--config", "config.yaml", *argv], "output": str(directory / "output")}
        self._say(order | {"kill": kill})
        pid = self._answer("pid")
        if attach:
            attach(pid)
        os.kill(pid, signal.SIGCONT)
        return self._answer("status")

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _say(self, order: dict[str, object]) -> None:
        assert self._process.stdin
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()

    def _answer(self, key: str) -> int:
        assert self._process.stdout
        return int(json.loads(self._process.stdout.readline())[key])


def main() -> None:
    for module in PRELOADED:
        importlib.import_module(module)
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _become(order)
        os.waitpid(pid, os.WUNTRACED)
        _say({"pid": pid})
        _say({"status": os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])})


def _say(answer: dict[str, int]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def _become(order: dict[str, Any]) -> NoReturn:
    from acmectl import cli

    os.chdir(order["cwd"])
    output = os.open(order["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.argv = ["acmectl", *order["argv"]]
    os.kill(os.getpid(), signal.SIGSTOP)
    if order.get("kill"):
        _die_at(*order["kill"])
    status: Any = 70
    try:
        cli.main()
    except SystemExit as end:
        status = end.code
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _die_at(events: list[str], number: int) -> None:
    counter, counting = itertools.count(1), threading.Lock()

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event not in events or (event == "open" and not (isinstance(arguments[2], int) and arguments[2] & _WRITING)):
            return
        with counting:
            if next(counter) == number:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)


if __name__ == "__main__":
    main()
