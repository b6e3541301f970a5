"""A bounded pool of threads in which one item's failure is that item's result, and an interruption ends the whole.

Ctrl-C and SIGTERM reach only the main thread. So whatever waits in a worker waits by `pause`, which ends at once when the main
thread gave the pool up: cleaning up begins after seconds, not when the longest wait is over.
"""

from __future__ import annotations

import _thread
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeVar, cast

from acmectl.errors import AcmectlError, Interrupted

Item = TypeVar("Item")
Result = TypeVar("Result")

_abandoned = threading.Event()
_LOOK_SECONDS = 0.05  # how often an interrupted main thread looks whether all is over


def pause(seconds: float) -> None:
    """Wait; raises Interrupted as soon as the pool that this thread belongs to is given up."""
    if _abandoned.wait(seconds):
        raise Interrupted("interrupted")


def is_abandoned() -> bool:
    """Whether the pool was given up: what cannot wait by `pause` looks here now and then."""
    return _abandoned.is_set()


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
    (CPython issue 74174). Here it can only be raised while `acquire` waits, which is no Python code, nor is starting the thread.
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
        _thread.start_new_thread(do, ())
        finished.acquire()
    except BaseException:
        _abandoned.set()
        while not ended:  # the exception may have come just when the lock was had
            finished.acquire(timeout=_LOOK_SECONDS)
        _abandoned.clear()
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
        _abandoned.set()
        pool.shutdown(wait=True, cancel_futures=True)
        _abandoned.clear()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return done, failed
