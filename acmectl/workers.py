"""A bounded pool of threads in which one item's failure is that item's result, and an interruption ends the whole.

Ctrl-C and SIGTERM reach only the main thread. So whatever waits in a worker waits by `pause`, which ends at once when the main
thread gave the pool up: cleaning up begins after seconds, not when the longest wait is over.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeVar

from acmectl.errors import AcmectlError, Interrupted

Item = TypeVar("Item")
Result = TypeVar("Result")

_abandoned = threading.Event()


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
    done: dict[Item, Result] = {}
    failed: dict[Item, AcmectlError] = {}
    pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="acmectl")
    try:
        futures = {pool.submit(work, item): item for item in items}
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
