"""A pool in which one item's failure is its result, and an interruption ends every wait."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import FrameType

import pytest

from acmectl import workers
from acmectl.errors import DNSError, Interrupted


def test_what_fails_leaves_the_others_alone() -> None:
    def half(number: int) -> float:
        if number % 2:
            raise DNSError(f"{number} is odd")
        return number / 2

    done, failed = workers.each(range(6), half, workers=3)
    assert done == {0: 0.0, 2: 1.0, 4: 2.0}
    assert {number: str(error) for number, error in failed.items()} == {n: f"{n} is odd" for n in (1, 3, 5)}


def test_no_more_run_at_once_than_allowed() -> None:
    together = threading.Barrier(3)
    running, most, lock = 0, 0, threading.Lock()

    def work(_: int) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        together.wait(10)  # three are needed to get on, so three do run at once
        with lock:
            running -= 1

    workers.each(range(9), work, workers=3)
    assert most == 3


def test_a_defect_ends_all_pauses_and_is_raised() -> None:
    outcomes: list[str] = []
    waiting = threading.Event()

    def work(item: str) -> None:
        if item == "broken":
            waiting.wait(10)
            raise ZeroDivisionError
        waiting.set()
        try:
            workers.pause(100)
        except Interrupted:
            outcomes.append("ended early")
            raise

    with pytest.raises(ZeroDivisionError):
        workers.each(["patient", "broken"], work, workers=2)
    assert outcomes == ["ended early"]
    workers.pause(0.001)  # the next pool waits again


SLOW = """
import signal, sys
from acmectl import workers
def wait(item):
    print("waiting", flush=True)
    workers.pause(100)
try:
    workers.each([1], wait, workers=1)
except KeyboardInterrupt:
    print("cleaned up", flush=True)
"""


def test_ctrl_c_ends_a_long_wait_at_once() -> None:
    started = time.monotonic()
    with subprocess.Popen([sys.executable, "-c", SLOW], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=30)[0] == "cleaned up\n"
    assert time.monotonic() - started < 50


def test_the_main_thread_is_never_where_an_interruption_would_leave_a_lock_taken() -> None:
    """The handler of a signal raises between any two steps of Python code: none of those that take locks may run in the main thread."""
    entered: set[tuple[str, str]] = set()

    def note(frame: FrameType, event: str, arg: object) -> None:  # noqa: ARG001  # the signature of a trace function
        entered.add((Path(frame.f_code.co_filename).name, frame.f_code.co_name))

    before = sys.gettrace()
    sys.settrace(note)
    try:
        workers.each(range(4), lambda _: workers.pause(0.001), workers=2)
        workers.pause(0.001)
    finally:
        sys.settrace(before)
    assert {("workers.py", "each"), ("workers.py", "pause")} <= entered
    assert {name for file, name in entered if file in {"threading.py", "thread.py", "_base.py"}} <= {
        "current_thread",
        "main_thread",
    }


BESIDE = """
import signal, sys, threading
from acmectl import workers
class Stop(BaseException):
    pass
def stop(*_):
    raise Stop
signal.signal(signal.SIGTERM, stop)
main = threading.get_ident()
def entered(frame):
    while frame:
        yield frame.f_code.co_name
        frame = frame.f_back
def interrupt(where):
    while where not in entered(sys._current_frames()[main]):  # it holds no GIL now, and waits or is about to
        pass
    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
"""

POOL_INTERRUPTED_BESIDE = """
def work(item):
    interrupt("_apart")
    workers.pause(20)
    print("waited to the end")
try:
    workers.each([1], work, workers=1)
except Stop:
    print("interrupted")
"""

PAUSE_INTERRUPTED_BESIDE = """
interrupted = threading.Event()
def work():
    interrupt("pause")
    if not interrupted.wait(20):
        print("waited to the end")
thread = threading.Thread(target=work)
thread.start()
try:
    workers.pause(25)
except Stop:
    interrupted.set()
    thread.join()
    print("interrupted")
"""


@pytest.mark.parametrize("waiting", [POOL_INTERRUPTED_BESIDE, PAUSE_INTERRUPTED_BESIDE])
def test_a_signal_that_does_not_end_the_wait_of_the_main_thread_by_itself_ends_it_soon(waiting: str) -> None:
    """As one that arrives a moment before the wait begins; of that moment nobody can be sure, of another thread one can."""
    command = [sys.executable, "-c", BESIDE + waiting]
    assert subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout == "interrupted\n"


def test_a_host_without_room_for_another_thread_is_not_waited_for() -> None:
    before = threading.stack_size(1 << 47)  # more than there are addresses
    try:
        with pytest.raises(RuntimeError, match="can't start new thread"):
            workers.each([1], lambda _: None, workers=1)
    finally:
        threading.stack_size(before)
    assert workers.each([1], lambda _: 2, workers=1) == ({1: 2}, {})


def test_an_interruption_when_all_is_done_is_raised_and_nothing_is_waited_for() -> None:
    with subprocess.Popen([sys.executable, "-c", OFTEN], stdout=subprocess.PIPE, text=True) as process:
        assert process.communicate(timeout=60)[0] == "interrupted\n"


OFTEN = """
import signal
from acmectl import workers
class Stop(BaseException):
    pass
def stop(*_):
    raise Stop
signal.signal(signal.SIGALRM, stop)
count = 0
for number in range(300):
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.0001 + number % 40 / 10000)
        workers.each(range(8), lambda _: workers.pause(0.0005), workers=4)
        signal.setitimer(signal.ITIMER_REAL, 0)
    except Stop:
        count += 1
print("interrupted" if count else "never")
"""
