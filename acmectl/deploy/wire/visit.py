"""One look at one address: connect, speak the protocol, shake hands, see the chain, take leave."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from acmectl.deploy.wire import dialogs
from acmectl.deploy.wire.handshake import Served, shake_hands
from acmectl.deploy.wire.protocols import Protocol
from acmectl.deploy.wire.stream import Stream


@dataclass(frozen=True, slots=True)
class Visit:
    """Whom to ask and how. `address` is an IP address; `version` one of `handshake.VERSIONS`; `family` as in `Expected`."""

    address: str
    port: int
    protocol: Protocol
    name: str | None
    version: str
    family: str | None
    timeout: timedelta


def see(visit: Visit) -> Served:
    """What is served there. Raises WireError, HandshakeRefused."""
    stream = Stream.connect(visit.address, visit.port, timeout=visit.timeout)
    try:
        dialogs.start_tls(stream, visit.protocol, visit.name or visit.address)
        return shake_hands(
            stream,
            name=visit.name,
            version=visit.version,
            family=visit.family,
            farewell=dialogs.farewell(visit.protocol),
        )
    finally:
        stream.close()
