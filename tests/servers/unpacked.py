"""Programs whose packages would put out one that is installed: `.ci/mail_servers` unpacks them beside the system."""

from __future__ import annotations

import os
from pathlib import Path

_PLACE = Path("/opt/acmectl-tests/mail-servers")


def unpacked(program: str) -> str:
    """The path of a program; fails with what to run if it is missing."""
    path = _PLACE / "usr" / "sbin" / program
    assert os.access(path, os.X_OK), f"this test needs {path}: run .ci/mail_servers"
    return str(path)
