"""Other people's programs: an argument list, no shell, a time limit, and their own words when they fail."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from datetime import timedelta

from acmectl.errors import AcmectlError, ProgramFailed

_KEPT = 2000  # characters of output that a message quotes
_GRACE_SECONDS = 5  # between SIGTERM and SIGKILL


def run(
    argv: Sequence[str],
    *,
    timeout: timedelta,
    environment: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    error: type[AcmectlError] = ProgramFailed,
) -> bytes:
    """Run `argv` in its own process group and return its standard output.

    The program gets PATH, HOME, LANG and `environment`, nothing else of ours. Raises `error` when it cannot be started, exits
    with another status than 0, or runs longer than `timeout` (the whole group is then ended); the message quotes
    the end of what it printed.
    """
    shown = " ".join(argv)
    keep = {name: value for name in ("PATH", "HOME", "LANG") if (value := os.environ.get(name))}
    try:
        process = subprocess.Popen(
            list(argv),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
            | keep
            | dict(environment or {}),
            start_new_session=True,
        )
    except (OSError, ValueError) as cause:
        reason = cause.strerror if isinstance(cause, OSError) else str(cause)
        raise error(f"cannot run `{shown}`: {reason}", hint=f"is `{argv[0]}` installed and executable?") from cause
    with process:
        try:
            output, complaints = process.communicate(stdin, timeout=timeout.total_seconds())
        except subprocess.TimeoutExpired as cause:
            _end(process)
            raise error(f"`{shown}` did not finish within {timeout.total_seconds():g} s and was stopped") from cause
        except BaseException:
            _end(process)
            raise
    if process.returncode:
        raise error(f"`{shown}` {_ending(process.returncode)}{_quote(complaints or output)}")
    return output


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the whole process group, also one that ignores SIGTERM or left children that hold the pipes."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_GRACE_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe:
            with contextlib.suppress(OSError):
                pipe.close()


def _ending(status: int) -> str:
    return f"was ended by signal {-status}" if status < 0 else f"failed with exit status {status}"


def _quote(output: bytes) -> str:
    text = output.decode("utf-8", "backslashreplace").strip()
    text = "".join(c if c.isprintable() or c == "\n" else "?" for c in text)[-_KEPT:]
    return f": {text}" if text else ""
