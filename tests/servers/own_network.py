"""Python code in a network of its own that has loopback only: low ports are free for it, no packet can leave, and it may mount."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_CHECKOUT = Path(__file__).parents[2]


def run_in_own_network(code: str, *arguments: str) -> list[str]:
    """The lines that `code` prints; fails with what it complained of. Needs user namespaces, and no root."""
    shell = 'ip link set lo up && exec "$0" -W error -c "$@"'
    done = subprocess.run(
        [
            "unshare",
            "--user",
            "--map-root-user",
            "--net",
            "--mount",
            "sh",
            "-c",
            shell,
            sys.executable,
            code,
            *arguments,
        ],
        capture_output=True,
        check=False,
        cwd=_CHECKOUT,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()
