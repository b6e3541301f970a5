"""A bounded pool of threads in which one item's failure is that item's result, and an interruption ends the whole.

Ctrl-C and SIGTERM reach only the main thread. So whatever waits in a worker waits by `pause`, which ends when the main
thread gave the pool up: cleaning up begins after seconds, not when the longest wait is over.

No wait is longer than `_LOOK_SECONDS` at a time, in the main thread neither. Python runs the handler of a signal between two steps of the main
thread's code; a signal ends what that thread waits for only where it arrives during the wait, and in that thread. One that arrives a moment
before, when Python has looked for signals and the kernel does not wait yet, or in another thread, is noted, and the wait goes on to its end.
On a busy machine that moment is long. Nor is there a lock in `pause`: the exception could leave it taken.
"""

from __future__ import annotations

import _thread
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeVar, cast

from acmectl.errors import AcmectlError, Interrupted

Item = TypeVar("Item")
Result = TypeVar("Result")

_given_up: list[object] = []  # pools that are ending; no lock guards it, since one step is enough to add or remove
_LOOK_SECONDS = 0.1  # the longest wait without a look at what has happened


def pause(seconds: float) -> None:
    """Wait; raises Interrupted when the pool that this thread belongs to is given up, a moment later at most."""
    until = time.monotonic() + seconds
    while not is_abandoned() and (left := until - time.monotonic()) > 0:
        time.sleep(min(left, _LOOK_SECONDS))
    if is_abandoned():
        raise Interrupted("interrupted")


def is_abandoned() -> bool:
    """Whether the pool was given up: what cannot wait by `pause` looks here now and then."""
    return bool(_given_up)


def each(
    items: Iterable[Item], work: Callable[[Item], Result], *, workers: int
) -> tuple[dict[Item, Result], dict[Item, AcmectlError]]:
    """Call `work` for every item, `workers` at a time; returns what succeeded and what failed.

    Only errors of ours are results. Anything else, also Ctrl-C and SIGTERM in the main thread, cancels what has not begun,
    ends all pauses, waits for what is under way (every request and query is bounded in time), and is raised.
    """
    listed = list(items)
    if not listed:
        return {}, {}
    if threading.current_thread() is not threading.main_thread():
        return _pooled(listed, work, workers)
    return _apart(lambda: _pooled(listed, work, workers))


def _apart(work: Callable[[], Result]) -> Result:
    """What `work` returns or raises in a thread of its own, so that an interruption finds the main thread without any lock.

    The exception of a signal's handler can be raised between any two steps of Python code of the main thread, also where it has just taken a
    lock of `threading` or `concurrent.futures`, which then stays taken, and whoever waits for it waits for ever
    (CPython issue 74174). Here it can only be raised beside `acquire`, which is no Python code, nor is starting the thread.
    """
    finished = _thread.allocate_lock()
    ended: list[tuple[Result | None, BaseException | None]] = []

    def do() -> None:
        try:
            ended.append((work(), None))
        except BaseException as error:  # noqa: BLE001  # raised in the main thread
            ended.append((None, error))
        finally:
            finished.release()

    finished.acquire()
    try:
        try:
            _thread.start_new_thread(do, ())
        except RuntimeError as cause:  # this host lets us have no more threads
            ended.append((None, cause))
        while not ended:
            finished.acquire(timeout=_LOOK_SECONDS)
    except BaseException:
        _given_up.append(finished)
        while not ended:  # the exception may have come just when the lock was had
            finished.acquire(timeout=_LOOK_SECONDS)
        _given_up.remove(finished)
        raise
    result, error = ended.pop()
    if error is not None:
        raise error
    return cast(Result, result)


def _pooled(
    items: Sequence[Item], work: Callable[[Item], Result], workers: int
) -> tuple[dict[Item, Result], dict[Item, AcmectlError]]:
    def begin(item: Item) -> Result:
        if is_abandoned():
            raise Interrupted("interrupted")
        return work(item)

    done: dict[Item, Result] = {}
    failed: dict[Item, AcmectlError] = {}
    pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="acmectl")
    try:
        futures = {pool.submit(begin, item): item for item in items}
        for future in as_completed(futures):
            try:
                done[futures[future]] = future.result()
            except AcmectlError as error:
                failed[futures[future]] = error
    except BaseException:
        _given_up.append(pool)
        pool.shutdown(wait=True, cancel_futures=True)
        _given_up.remove(pool)
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return done, failed
