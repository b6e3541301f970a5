"""How Ctrl-C, SIGTERM, and SIGHUP from a terminal that closes, interrupt a run: by an exception, as what is published is removed on the way out.

The handler of a signal runs between any two steps of Python code of the main thread. Raised in the midst of `logging` or an import, the exception leaves a lock
taken that was taken in the step before, and whoever wants it then, such as a worker that logs while it cleans up, waits for ever
(CPython issue 74174). There it is put off, a moment at a time. Raised while Python frees an object it is lost: Python reports it and goes on. Then it is
raised again. Of several signals the first decides the exit status, whatever the next do; of two that wait
at once, Python takes the one with the smaller number for the first.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import stat
import sys
import time
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

_ENDING = (signal.SIGTERM, signal.SIGHUP)
_TAKING_LOCKS = {"concurrent", "importlib", "_frozen_importlib", "logging", "queue", "subprocess", "threading"}
_MOMENT = 0.01  # seconds
_LONGEST = 1.0  # seconds; longer than that they only wait, as `logging` does for a terminal that is stopped


_begun: list[int] = []
"""The signals that have interrupted this run."""


class Interrupted(KeyboardInterrupt):
    """What a signal raises; `number` is that of the first one, also where a second Ctrl-C raises it again."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def listen() -> None:
    """Be interrupted from now on; what is ignored, as `nohup` leaves SIGHUP, stays so."""
    for number in (signal.SIGINT, *_ENDING):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)
    sys.unraisablehook = _raise_again
    atexit.register(_leave_off)


def _leave_off() -> None:
    """At the end all is done, and Python takes the handlers away soon: an alarm would kill us then, whatever the exit status was to be.

    So would a second signal: after a first one it is ignored, as no program is started any more that could inherit that.
    """
    for number in (signal.SIGINT, *_ENDING):
        if signal.getsignal(number) in {_interrupt, _go_on}:
            signal.signal(number, signal.SIG_IGN if _begun else signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, 0)


def silence(stream: int) -> None:
    """Whoever read our output has gone: keep what is still written, also by the interpreter at its end, from failing."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream)


def _interrupt(signum: int, frame: FrameType | None) -> None:
    if _is_interrupting(frame):
        return
    _begun.append(signum)
    for number in _ENDING:
        if signal.getsignal(number) is _interrupt:
            signal.signal(number, _go_on)
    for stream in (1, 2):
        if _is_hung_up(stream):
            silence(stream)
    _raise(_begun[0], frame, until=time.monotonic() + _LONGEST)


def _is_interrupting(frame: FrameType | None) -> bool:
    """Whether an earlier signal is about to raise: this one came in between two steps of its handler."""
    while frame:
        if frame.f_code is _interrupt.__code__:
            return True
        frame = frame.f_back
    return False


def _go_on(signum: int, frame: FrameType | None) -> None:
    """Once is enough: cleaning up is bounded in time. SIG_IGN would be inherited by the programs that it starts."""


def _raise(signum: int, frame: FrameType | None, *, until: float) -> None:
    if time.monotonic() >= until or not _takes_locks(frame):
        raise Interrupted(signum)
    _raise_later(signum, until=until)


def _takes_locks(frame: FrameType | None) -> bool:
    while frame:
        if str(frame.f_globals.get("__name__")).partition(".")[0] in _TAKING_LOCKS:
            return True
        frame = frame.f_back
    return False


def _raise_later(signum: int, *, until: float) -> None:
    signal.signal(signal.SIGALRM, lambda _, frame: _raise(signum, frame, until=until))
    signal.setitimer(signal.ITIMER_REAL, _MOMENT)


def _raise_again(unraisable: UnraisableHookArgs) -> None:
    if isinstance(unraisable.exc_value, Interrupted):
        _raise_later(unraisable.exc_value.number, until=time.monotonic() + _LONGEST)
    else:
        sys.__unraisablehook__(unraisable)


def _is_hung_up(stream: int) -> bool:
    """Whether this was a terminal, which closed: it is a device still, writing to it fails, and that would end cleaning up."""
    with contextlib.suppress(OSError):
        return stat.S_ISCHR(os.fstat(stream).st_mode) and not os.isatty(stream)
    return False
