"""What XMPP servers of tests have in common."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.servers.daemon import Daemon


@dataclass(frozen=True)
class XmppServer:
    """A running one. `client`, `server` and `direct` are its ports for c2s, s2s and c2s with TLS from the first byte."""

    daemon: Daemon
    directory: Path
    client: int
    server: int
    direct: int
