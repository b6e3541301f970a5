"""A Python that has imported all of acmectl and forks a process for each run: starting one costs milliseconds, not most of a second.

`Zygote` starts this file as a program, with one end of a socket. A run is one message: a JSON object (`argv`, `cwd`, `environment`, and
optionally `stop` and `kill`) and four open files: standard input, output and error, and a socket for the answers. With `stop` the
process stops itself before it begins, so that whoever wants to can attach to it first. `kill` is [events, n]: SIGKILL just before the
n-th audit event of these. Answers, a line each: {"pid": ...} when it was made, {"status": ...} when it has ended. The program ends when nobody
holds the other end of its socket.

What a fork cannot show is how a process starts: what it imports, how long that takes, what stands in its `/proc/PID/cmdline`.
"""

from __future__ import annotations

import atexit
import functools
import gc
import importlib
import itertools
import json
import os
import pkgutil
import selectors
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, NoReturn

ACMECTL = Path(sys.executable).with_name("acmectl")
_ROOT = Path(__file__).parents[2]
_LONGEST = 1 << 20  # bytes of an order
_WRITING = os.O_CREAT | os.O_TRUNC
_OF_OTHERS = (
    "acmectl.__main__",
    "acmectl.deploy.wire.child",
    "acmectl.sandbox",
    "acmectl.solvers.lexicon_worker",
    "acmectl.solvers.testing",
)
"""What only processes of other kinds import."""

Kill = tuple[list[str], int]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended, and what it said; a negative status is the signal that ended it."""

    status: int
    out: str
    err: str


class Zygote:
    """Starts processes of `acmectl`."""

    def __init__(self) -> None:
        self._orders, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                cwd=_ROOT,
                env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8"},
            )

    def run(
        self,
        directory: Path,
        *argv: str,
        kill: Kill | None = None,
        attach: Callable[[int], None] | None = None,
    ) -> int:
        """The exit status of `acmectl` in `directory`, which says all in a file `output`; `attach` is given its pid before it begins."""
        order = {"cwd": str(directory), "argv": ["--config", "config.yaml", *argv], "kill": kill, "stop": bool(attach)}
        with Path(os.devnull).open("rb") as nothing, (directory / "output").open("wb") as output:
            return self._run({**order, "environment": dict(os.environ)}, (nothing, output, output), attach)

    def ended(
        self,
        argv: Sequence[str],
        *,
        directory: Path,
        environment: Mapping[str, str],
        stdin: str = "",
        seconds: float = 60,
    ) -> Ended:
        """As `subprocess.run` with captured outputs. Raises subprocess.TimeoutExpired, and kills, after `seconds`."""
        order = {"cwd": str(directory), "argv": list(argv), "environment": dict(environment)}
        with TemporaryFile() as given, TemporaryFile() as out, TemporaryFile() as err:
            given.write(stdin.encode())
            given.seek(0)
            status = self._run(order, (given, out, err), seconds=seconds)
            return Ended(status, _text(out), _text(err))

    def end(self) -> None:
        self._orders.close()
        self._process.kill()
        self._process.wait()

    def _run(
        self,
        order: Mapping[str, object],
        files: Sequence[IO[bytes]],
        attach: Callable[[int], None] | None = None,
        seconds: float | None = None,
    ) -> int:
        ours, theirs = socket.socketpair()
        with ours, ours.makefile("rb") as answers:
            with theirs:
                given = [*(file.fileno() for file in files), theirs.fileno()]
                socket.send_fds(self._orders, [json.dumps(order).encode()], given)
            pid = int(json.loads(answers.readline())["pid"])
            if attach:
                attach(pid)
                os.kill(pid, signal.SIGCONT)
            ours.settimeout(seconds)
            try:
                return int(json.loads(answers.readline())["status"])
            except TimeoutError:
                os.kill(pid, signal.SIGKILL)
                raise subprocess.TimeoutExpired(str(order["argv"]), seconds or 0) from None


def zygote() -> Zygote:
    """The one that tests of this worker share, in the network and among the mounts that the caller is in."""
    return _zygote_in(*(Path(f"/proc/thread-self/ns/{kind}").stat().st_ino for kind in ("net", "mnt")))


@functools.cache
def _zygote_in(_net: int, _mnt: int) -> Zygote:
    """The numbers of namespaces do not come again while a process, this one, is in them."""
    made = Zygote()
    atexit.register(made.end)
    return made


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()


def main() -> None:
    _preload()
    with socket.socket(fileno=int(sys.argv[1])) as orders, selectors.DefaultSelector() as selector:
        selector.register(orders, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is not orders:
                    _tell_the_end(key, selector)
                elif not _begin(orders, selector):
                    return


def _preload() -> None:
    import acmectl

    for module in pkgutil.walk_packages(acmectl.__path__, "acmectl."):
        if not module.name.startswith(_OF_OTHERS):
            importlib.import_module(module.name)
    for name in ("acme.client", "cryptography.hazmat.primitives.asymmetric.ec", "cryptography.x509", "requests"):
        importlib.import_module(name)
    gc.freeze()


def _begin(orders: socket.socket, selector: selectors.BaseSelector) -> bool:
    """Whether there was an order."""
    text, files, _, _ = socket.recv_fds(orders, _LONGEST, 4)
    if not text:
        return False
    order, answers = json.loads(text), socket.socket(fileno=files.pop())
    pid = os.fork()
    if pid == 0:
        _let_go(orders, answers, selector)
        _become(order, files)
    for file in files:
        os.close(file)
    if order.get("stop"):
        os.waitpid(pid, os.WUNTRACED)
    _answer(answers, {"pid": pid})
    selector.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, answers))
    return True


def _tell_the_end(key: selectors.SelectorKey, selector: selectors.BaseSelector) -> None:
    pid, answers = key.data
    selector.unregister(key.fileobj)
    os.close(key.fd)
    _answer(answers, {"status": os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])})
    answers.close()


def _answer(answers: socket.socket, answer: dict[str, int]) -> None:
    with suppress(BrokenPipeError):  # whoever asked has gone
        answers.sendall(json.dumps(answer).encode() + b"\n")


def _let_go(orders: socket.socket, answers: socket.socket, selector: selectors.BaseSelector) -> None:
    """In the child: what is closed when these objects end must be nothing that `acmectl` has opened meanwhile."""
    others = [key.data[1] for key in selector.get_map().values() if key.data]
    for one in (orders, answers, *others):
        one.detach()
    selector.close()


def _become(order: dict[str, Any], files: list[int]) -> NoReturn:
    """In the child: be `acmectl`."""
    from acmectl import cli

    for number, file in enumerate(files):
        os.dup2(file, number)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["environment"])
    sys.argv = [str(ACMECTL), *order["argv"]]
    if order.get("stop"):
        os.kill(os.getpid(), signal.SIGSTOP)
    if order.get("kill"):
        _die_at(*order["kill"])
    try:
        cli.main()
    except SystemExit as end:
        if isinstance(end.code, int):
            _end(end.code)
        raise
    raise AssertionError("`cli.main` returned")


def _end(status: int) -> None:
    """As Python ends, but for freeing what all share, which would cost more than most runs; returns where nobody takes the output."""
    threading._shutdown()  # type: ignore[attr-defined]  # joins threads, as Python's own end does
    atexit._run_exitfuncs()
    with suppress(OSError):
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
