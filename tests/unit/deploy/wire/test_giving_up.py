"""A run that is given up does not sit out a look, whatever it waits for."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from acmectl import workers
from acmectl.deploy.wire.addresses import addresses
from acmectl.deploy.wire.stream import Stream, WireError
from acmectl.errors import Interrupted

FOR_EVER = timedelta(seconds=200)  # as long as a look takes that is sat out
SYN_SENT = "02"


@pytest.fixture
def filtered() -> Iterator[int]:
    """A port that says nothing to who connects, as behind a firewall: its queue is full."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, socket.socket() as waiting:
        waiting.connect(listener.getsockname())
        yield int(listener.getsockname()[1])


def given_up(work: Callable[[], object], is_waiting: Callable[[], bool]) -> bool:
    """Whether `work` ends with Interrupted, and before its time, when the pool that it runs in is given up while it waits."""
    ended: list[bool] = []
    never = threading.Event()

    def do(item: str) -> None:
        if item == "defect":
            while not is_waiting():
                never.wait(0.02)
            raise ZeroDivisionError
        try:
            work()
        except Interrupted:
            ended.append(True)
            raise

    began = time.monotonic()
    with pytest.raises(ZeroDivisionError):
        workers.each(["look", "defect"], do, workers=2)
    return ended == [True] and time.monotonic() - began < FOR_EVER.total_seconds()


def is_connecting_to(port: int) -> bool:
    """Whether somebody has asked that port of loopback for a connection, and not got it yet."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
    return any(row[2:4] == [f"0100007F:{port:04X}", SYN_SENT] for row in rows)


def test_a_port_that_says_nothing_is_left_at_once(filtered: int) -> None:
    assert given_up(lambda: Stream.connect("127.0.0.1", filtered, timeout=FOR_EVER), lambda: is_connecting_to(filtered))


def test_a_port_that_says_nothing_is_left_when_time_is_over(filtered: int) -> None:
    with pytest.raises(WireError, match=r"did not answer within 0\.1 s"):
        Stream.connect("127.0.0.1", filtered, timeout=timedelta(seconds=0.1))


def test_a_resolver_that_says_nothing_is_left_at_once() -> None:
    asked, answered = threading.Event(), threading.Event()

    def resolve(_: str) -> list[str]:
        asked.set()
        answered.wait(250)
        return []

    try:
        assert given_up(lambda: addresses("a.test", timeout=FOR_EVER, resolve=resolve), asked.is_set)
    finally:
        answered.set()
