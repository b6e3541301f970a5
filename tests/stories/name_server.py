"""Zones on a real BIND for stories: a solver that changes them, and a server that can be away for a day."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.bind import Bind, Key, Zone, free_port, running_bind

ZONES = (Zone("acme.test"), Zone("other.test"))


class NameServer:
    """A BIND at one address and port, that runs or not; what was published before it went away is gone after it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._key = Key("acmectl")
        self.port = free_port()
        self.resolver = ("127.0.0.1", self.port)

    @contextmanager
    def running(self) -> Iterator[Bind]:
        """It answers until the end of the block, and then nobody listens at its port."""
        with running_bind(self._directory, zones=ZONES, keys=[self._key], port=self.port) as bind:
            yield bind

    def solver(self) -> str:
        """The YAML of an rfc2136 solver, with a key file of its own."""
        file = self._key.write(self._directory / f"{secrets.token_hex(4)}.key")
        here = f'"127.0.0.1:{self.port}"'
        return (
            f"{{type: rfc2136, server: 127.0.0.1, port: {self.port}, tsig_key_file: {file}, resolvers: [{here}], "
            f"timeout: 2s, propagation: {{servers: [{here}], timeout: 2s, interval: 1s}}}}"
        )
