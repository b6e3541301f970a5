"""An interruption is raised once, soon, and nowhere where it would be lost or leave a lock taken. Signals come from within, at that very step."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

BEGIN = """
import logging, signal, subprocess, sys, threading
from acmectl import workers
from acmectl.cli import interruption
number = getattr(signal, sys.argv[1])
interruption.listen()
"""

IN_LOGGING = """
class Interrupting:
    def __init__(self):
        self.lock = threading.Lock()
    def acquire(self):
        self.lock.acquire()
        signal.raise_signal(number)
    def release(self):
        self.lock.release()
class Saying(logging.Handler):
    def emit(self, record):
        print(record.getMessage())
handler = Saying()
handler.lock = Interrupting()
logging.getLogger().addHandler(handler)
try:
    logging.getLogger().warning("written")
    workers.pause(20)
    print("waited to the end")
except KeyboardInterrupt as ending:
    print(ending.number == number, handler.lock.lock.locked())
    handler.lock = None
"""

IN_A_FINALIZER = """
class Interrupting:
    def __del__(self):
        signal.raise_signal(number)
try:
    Interrupting()
    workers.pause(20)
    print("waited to the end")
except KeyboardInterrupt as ending:
    print(ending.number == number)
"""

IN_WHAT_WAITS = """
main, ended = threading.get_ident(), threading.Event()
def interrupt():
    for _ in range(200):  # it waits without looking, so that the first can come too early
        signal.pthread_kill(main, number)
        if ended.wait(0.1):
            return
    print("waited to the end")
    event.set()
event = threading.Event()
try:
    threading.Thread(target=interrupt).start()
    event.wait()
except KeyboardInterrupt as ending:
    ended.set()
    print(ending.number == number)
"""

AT_THE_END = """
class Interrupting(logging.Handler):
    def flush(self):
        signal.raise_signal(number)
handler = Interrupting()
"""

TWICE = """
try:
    signal.raise_signal(number)
except KeyboardInterrupt:
    try:
        signal.raise_signal(number)
        print("cleaned up")
    except KeyboardInterrupt:
        print("left at once")
"""

AFTER_ANOTHER = """
try:
    signal.raise_signal(number)
except KeyboardInterrupt:
    try:
        signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt as ending:
        print("left at once", ending.number == number)
"""

IN_THE_HANDLER = """
def interrupt_again(frame, event, _):
    if frame.f_code.co_name == "_interrupt":
        sys.settrace(None)
        signal.raise_signal(other)
other = getattr(signal, sys.argv[2])
sys.settrace(interrupt_again)
try:
    signal.raise_signal(number)
    workers.pause(20)
    print("waited to the end")
except KeyboardInterrupt as ending:
    print(ending.number == number)
"""

AFTER_THE_END = """
import atexit, signal, sys
first, second = (getattr(signal, name) for name in sys.argv[1:])
atexit.register(signal.raise_signal, second)
from acmectl.cli import interruption
interruption.listen()
try:
    signal.raise_signal(first)
except KeyboardInterrupt as ending:
    sys.exit(128 + ending.number)
"""
PAIRS = [("SIGINT", "SIGTERM"), ("SIGTERM", "SIGINT"), ("SIGTERM", "SIGHUP")]

PROGRAM = """
try:
    signal.raise_signal(number)
except KeyboardInterrupt:
    ask = f"import signal; print(signal.getsignal({int(number)}) == signal.SIG_IGN)"
    print(subprocess.check_output([sys.executable, "-c", ask], text=True))
"""

IGNORED = """
signal.signal(number, signal.SIG_IGN)
interruption.listen()
signal.raise_signal(number)
print("went on")
"""

OTHER = """
class Broken:
    def __del__(self):
        raise ValueError("of another kind")
Broken()
"""


def run(program: str, *names: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", BEGIN + program, *names]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_logging_comes_to_its_end_first_and_gives_its_lock_back(name: str) -> None:
    done = run(IN_LOGGING, name)
    assert (done.stdout, done.stderr) == ("written\nTrue False\n", "")


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_what_is_lost_while_an_object_is_freed_is_raised_again(name: str) -> None:
    done = run(IN_A_FINALIZER, name)
    assert (done.stdout, done.stderr) == ("True\n", "")


def test_what_only_waits_is_not_waited_for() -> None:
    assert run(IN_WHAT_WAITS, "SIGTERM").stdout == "True\n"


@pytest.mark.parametrize(
    ("name", "said"), [("SIGINT", "left at once"), ("SIGTERM", "cleaned up"), ("SIGHUP", "cleaned up")]
)
def test_only_a_second_ctrl_c_ends_cleaning_up(name: str, said: str) -> None:
    assert run(TWICE, name).stdout == f"{said}\n"


def test_a_ctrl_c_after_another_signal_ends_cleaning_up_with_the_status_of_the_first() -> None:
    assert run(AFTER_ANOTHER, "SIGTERM").stdout == "left at once True\n"


@pytest.mark.parametrize("names", PAIRS)
def test_of_signals_that_come_at_once_the_first_counts(names: tuple[str, str]) -> None:
    done = run(IN_THE_HANDLER, *names)
    assert (done.stdout, done.stderr) == ("True\n", "")


@pytest.mark.parametrize("names", PAIRS)
def test_a_signal_at_the_very_end_of_a_run_that_was_interrupted_changes_no_exit_status(names: tuple[str, str]) -> None:
    command = [sys.executable, "-c", AFTER_THE_END, *names]
    assert subprocess.run(command, check=False, timeout=60).returncode == 128 + getattr(signal, names[0])


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_run_that_is_at_its_end_is_ended_by_that_very_signal(name: str) -> None:
    command = [sys.executable, "-c", BEGIN + AT_THE_END, name]
    assert subprocess.run(command, check=False, timeout=60).returncode == -getattr(signal, name)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_programs_that_cleaning_up_starts_can_be_ended(name: str) -> None:
    assert run(PROGRAM, name).stdout.strip() == "False"


@pytest.mark.parametrize("name", ["SIGINT", "SIGHUP"])
def test_what_is_ignored_stays_so(name: str) -> None:
    assert run(IGNORED, name).stdout == "went on\n"


def test_what_else_goes_wrong_while_an_object_is_freed_is_reported_as_ever() -> None:
    assert "ValueError: of another kind" in run(OTHER, "SIGTERM").stderr
