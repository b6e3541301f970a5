"""What holds for every test: the signals of a terminal mean what they mean there, and files lie in memory where there is room.

A shell that starts the tests in the background, or `nohup`, has SIGINT or SIGHUP ignored, and every process that a test starts
would inherit that: a test that presses Ctrl-C would wait for ever.

What we write is synced, file by file, and runs write much: a disk would be what most of the tests wait for.
"""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

for _number, _meaning in (
    (signal.SIGINT, signal.default_int_handler),
    (signal.SIGHUP, signal.SIG_DFL),
    (signal.SIGTERM, signal.SIG_DFL),
):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _meaning)

pytest.register_assert_rewrite("acmectl.solvers.testing")  # the contract's tests, which plug-ins share

_MEMORY, _ROOM = Path("/dev/shm"), 1 << 30  # noqa: S108 - pytest makes a directory there that nobody else may enter
if os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _ROOM:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_MEMORY))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first, or one process ends with them alone."""
    items.sort(key=lambda item: "/test_killed_" not in item.nodeid)
