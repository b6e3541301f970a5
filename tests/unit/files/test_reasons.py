from __future__ import annotations

import errno

from acmectl import files


def test_the_hint_for_a_failed_call_says_what_to_do() -> None:
    assert files.hint_for(OSError(errno.ENOSPC, "x")) == (
        "the disk is full: free some space and run the same command again"
    )
    assert files.hint_for(OSError(errno.EROFS, "x")) == "the file system is mounted read-only"
    assert files.hint_for(OSError(errno.ENOENT, "x")) is None
    assert files.reason(OSError()) == "oSError"
