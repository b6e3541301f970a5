"""What holds for every test: the signals of a terminal mean what they mean there.

A shell that starts the tests in the background, or `nohup`, has SIGINT or SIGHUP ignored, and every process that a test starts
would inherit that: a test that presses Ctrl-C would wait for ever.
"""

from __future__ import annotations

import signal

for _number, _meaning in (
    (signal.SIGINT, signal.default_int_handler),
    (signal.SIGHUP, signal.SIG_DFL),
    (signal.SIGTERM, signal.SIG_DFL),
):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _meaning)
