"""Other people's programs: an argument list, no shell, a time limit, and their own words when they fail.

A program is done when it exits, not when its output is closed: a reload command can start a daemon that keeps the pipes open, and that
daemon must neither be waited for nor ended.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import selectors
import shlex
import signal
import stat
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import IO, cast

from acmectl.errors import AcmectlError, Interrupted, ProgramFailed

_KEPT = 2000  # characters of output that a message quotes
_MAX_OUTPUT = 16 * 1024 * 1024  # bytes of each stream that are kept, the last ones
_GRACE_SECONDS = 5  # between SIGTERM and SIGKILL
_LOOK_SECONDS = 0.05  # how often to look whether it exited while its pipes are open
_DRAIN_SECONDS = 1  # for what is still in the pipes when it exited
_LOOKED_AT = (
    65536  # characters of output in which private keys are looked for; the keys that services use are far shorter
)
_END_OF_KEY = r"-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----"
_KEY = re.compile(rf"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----.*?(?:{_END_OF_KEY}|\Z)", re.DOTALL)
_REST_OF_KEY = re.compile(  # its beginning was cut off: up to 200 lines of base64 before its end
    rf"(?<![A-Za-z0-9+/=])(?![ \t\r])(?:[A-Za-z0-9+/=]*+[ \t\r]*+\n){{0,200}}[A-Za-z0-9+/=]*+{_END_OF_KEY}"
)
_NO_KEY = "(a private key, left out here)"
_HEX = r"(?<![0-9a-f]{2}:)(?:[0-9a-f]{2}:){8,}+"  # a line of a dump but the last; fingerprints do not end with a colon
_NEXT = r"[ \t]*(?:\n|\\n)[ \t]*"
_DUMP = re.compile(rf"{_HEX}(?:{_NEXT}{_HEX})*(?:{_NEXT}(?:[0-9a-f]{{2}}:)*[0-9a-f]{{1,2}})?(?={_NEXT}|\s*\Z)")
_NO_DUMP = "(hex digits, left out here)"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def run(
    argv: Sequence[str],
    *,
    timeout: timedelta,
    environment: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    error: type[AcmectlError] = ProgramFailed,
    stop: Callable[[], bool] = lambda: False,
    heard: bytearray | None = None,
    limit: str | None = None,
) -> bytes:
    """Run `argv` in its own process group and return its standard output.

    The program gets PATH (with the usual folders after ours), HOME, LANG and `environment`, nothing else of ours. Raises `error` when it cannot be started, exits
    with another status than 0, or runs longer than `timeout` (the whole group is then ended); the message quotes
    the end of what it printed, without private keys. `stop` is asked now and then: when it says so, the program is ended, and Interrupted raised.
    `heard` has its standard output afterwards, also where an error is raised. `limit` is the option that says how long it may take.
    """
    shown = shlex.join(argv)
    process = _start(argv, environment or {}, error)
    output, complaints = bytearray() if heard is None else heard, bytearray()
    try:
        _converse(process, stdin, output, complaints, _Patience(time.monotonic() + timeout.total_seconds(), stop))
    except TimeoutError as cause:
        _end(process)
        said = _quote(complaints or output)
        within = f"{timeout.total_seconds():g} s{f' (`{limit}`)' if limit else ''}"
        raise error(f"`{shown}` did not finish within {within} and was stopped{said}") from cause
    except BaseException:
        _end(process)
        raise
    finally:
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe:
                pipe.close()
    if process.returncode:
        raise error(f"`{shown}` {_ending(process.returncode)}{_quote(complaints or output)}")
    return bytes(output)


@dataclass(frozen=True, slots=True)
class _Patience:
    """Until when to wait (monotonic), and who may cut it short."""

    deadline: float
    stop: Callable[[], bool]

    def left(self, at_most: float) -> float:
        """Seconds, `at_most` so many. Raises TimeoutError, and Interrupted."""
        if self.stop():
            raise Interrupted("interrupted")
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return min(left, at_most)


def lack(program: str) -> str | None:
    """Why `run` could not start a program, None if it could, or if that cannot be seen by who asks."""
    places = [program] if "/" in program else [f"{folder}/{program}" for folder in _search_path().split(":")]
    found = False
    for place in places:
        try:
            mode = Path(place).stat().st_mode
        except PermissionError:
            return None
        except (OSError, ValueError):
            continue
        if stat.S_ISREG(mode):
            found = True
            if mode & 0o111:
                return None
    return f"`{program}` is not executable" if found else f"there is no program `{program}` on this host"


def _search_path() -> str:
    """Where programs are looked for: as we were told, and where Debian has those of services, which a PATH of cron's lacks."""
    told = [folder for folder in os.environ.get("PATH", "").split(":") if folder]
    return ":".join(dict.fromkeys((*told, *_PATH.split(":"))))


def _start(argv: Sequence[str], environment: Mapping[str, str], error: type[AcmectlError]) -> subprocess.Popen[bytes]:
    keep = {name: value for name in ("HOME", "LANG") if (value := os.environ.get(name))}
    try:
        return subprocess.Popen(
            list(argv),
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={"PATH": _search_path(), **keep, **environment},
            start_new_session=True,
        )
    except (OSError, ValueError) as cause:
        reason = (isinstance(cause, OSError) and cause.strerror) or str(cause)
        hint = f"is `{argv[0]}` installed and executable?"
        raise error(f"cannot run `{shlex.join(argv)}`: {reason[:1].lower()}{reason[1:]}", hint=hint) from cause


def _converse(
    process: subprocess.Popen[bytes], stdin: bytes, output: bytearray, complaints: bytearray, patience: _Patience
) -> None:
    """Feed and read the program until it exits; what it prints goes into the two arrays. Raises as `_Patience.left`."""
    assert process.stdin  # noqa: S101 - all three are pipes
    assert process.stdout  # noqa: S101
    assert process.stderr  # noqa: S101
    with selectors.DefaultSelector() as open_pipes:
        open_pipes.register(process.stdout, selectors.EVENT_READ, output)
        open_pipes.register(process.stderr, selectors.EVENT_READ, complaints)
        open_pipes.register(process.stdin, selectors.EVENT_WRITE, bytearray(stdin))
        while process.poll() is None and open_pipes.get_map():
            _serve(open_pipes, patience.left(_LOOK_SECONDS))
        drained_by = time.monotonic() + _DRAIN_SECONDS
        while process.poll() is not None and open_pipes.get_map() and time.monotonic() < drained_by:
            if not _serve(open_pipes, 0):
                break  # only somebody whom it started still holds a pipe
    _wait(process, patience)


def _serve(open_pipes: selectors.BaseSelector, seconds: float) -> bool:
    """Move what can be moved within `seconds`; whether there was anything."""
    ready = open_pipes.select(seconds)
    for key, events in ready:
        pipe = cast("IO[bytes]", key.fileobj)
        if not (_feed if events & selectors.EVENT_WRITE else _read)(pipe, key.data):
            open_pipes.unregister(pipe)
            pipe.close()
    return bool(ready)


def _wait(process: subprocess.Popen[bytes], patience: _Patience) -> None:
    while process.poll() is None:  # it closed its pipes, and goes on
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience.left(1))


def _read(pipe: IO[bytes], kept: bytearray) -> bool:
    """Read once; whether more can come."""
    chunk = os.read(pipe.fileno(), 65536)
    kept += chunk
    del kept[:-_MAX_OUTPUT]
    return bool(chunk)


def _feed(pipe: IO[bytes], rest: bytearray) -> bool:
    """Write what a ready pipe takes without blocking; whether more is to be written."""
    try:
        del rest[: os.write(pipe.fileno(), rest[: select.PIPE_BUF])]
    except BrokenPipeError:  # a program need not read what it is given
        rest.clear()
    return bool(rest)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the whole process group, also one that ignores SIGTERM or left children that hold the pipes."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_GRACE_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _ending(status: int) -> str:
    return f"was ended by signal {-status}" if status < 0 else f"failed with exit status {status}"


def _quote(output: bytes | bytearray) -> str:
    text = output.decode("utf-8", "backslashreplace")[-_LOOKED_AT:].replace("\r\n", "\n")  # of a terminal
    text = _without_keys(text).rstrip()
    text = "".join(c if c.isprintable() or c == "\n" else "?" for c in text)[-_KEPT:].lstrip()
    return f": {text}" if text else ""


def _without_keys(text: str) -> str:
    """What a program prints is told to people and kept: a private key in it, also a part of one, would be read by whoever reads logs.

    In the numbers that `openssl pkey -text` prints private ones look like others, and any cut hides their names: all go.
    """
    return _DUMP.sub(_NO_DUMP, _REST_OF_KEY.sub(_NO_KEY, _KEY.sub(_NO_KEY, text)))
