"""All looks at one endpoint: each of its addresses, in TLS 1.3 and in TLS 1.2.

A version that the server refuses is no fault as long as the other shows what it should; many refuse 1.2 by now. It is said, for
clients may be left that know nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from acmectl.deploy.wire import judging
from acmectl.deploy.wire.addresses import addresses
from acmectl.deploy.wire.expected import Expected
from acmectl.deploy.wire.forced import see_forced
from acmectl.deploy.wire.handshake import VERSIONS, HandshakeRefused, Served
from acmectl.deploy.wire.judging import Fault
from acmectl.deploy.wire.options import Endpoint
from acmectl.deploy.wire.stream import WireError
from acmectl.deploy.wire.visit import Visit, see

_ELSEWHERE = (
    "is the service running, and is this where it listens? `verify: [{address: ..., port: ..., protocol: ...}]` "
    "says where to look, `verify: []` looks at nothing"
)
_OTHER_KIND = "give the service the certificates of both kinds, or leave one out of the certificate's `key`"


@dataclass(frozen=True, slots=True)
class Sighting:
    """What was seen at one address of an endpoint: over which versions it serves what it should, or what is wrong."""

    endpoint: Endpoint
    address: str | None
    versions: tuple[str, ...] = ()
    fault: Fault | None = None
    notes: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """What was looked at: `port 25 on mail.example.org, 192.0.2.1 (smtp)`."""
        endpoint = self.endpoint
        if self.address is None or self.address == endpoint.address:
            return str(endpoint)
        return str(endpoint).replace(endpoint.address, f"{endpoint.address}, {self.address}", 1)


class Resolve(Protocol):
    """As `addresses.addresses`."""

    def __call__(self, host: str, /, *, timeout: timedelta) -> tuple[str, ...]: ...  # noqa: D102


def look(
    endpoint: Endpoint, expected: Expected, *, timeout: timedelta, now: datetime, resolve: Resolve = addresses
) -> tuple[Sighting, ...]:
    """One look at each address; `timeout` is for each connection. Never fails: what cannot be seen is a fault."""
    try:
        found = resolve(endpoint.address, timeout=timeout)
    except WireError as error:
        return (Sighting(endpoint, None, fault=Fault(error.message)),)
    return tuple(_look_at(address, endpoint, expected, timeout, now) for address in found)


def _look_at(address: str, endpoint: Endpoint, expected: Expected, timeout: timedelta, now: datetime) -> Sighting:
    name = endpoint.name or expected.name
    visit = Visit(address, endpoint.port, endpoint.protocol, name, "", expected.family, timeout)
    try:
        served, refused = _in_every_version(visit)
    except WireError as error:
        return Sighting(endpoint, address, fault=Fault(error.message, _ELSEWHERE))
    if not served:
        return Sighting(endpoint, address, fault=_nothing(visit, refused, now))
    fault = judging.fault_of(served, expected, name, now)
    versions = tuple(one.version for one in served)
    notes = judging.notes_of(served, refused, expected) if fault is None else ()
    return Sighting(endpoint, address, versions, fault, notes)


def _in_every_version(visit: Visit) -> tuple[tuple[Served, ...], dict[str, str]]:
    """What was served, and the words of refusals by version. Raises WireError."""
    served, refused = [], {}
    for version in VERSIONS:
        try:
            served.append(_see(replace(visit, version=version)))
        except HandshakeRefused as error:
            refused[version] = error.message
    return tuple(served), refused


def _see(visit: Visit) -> Served:
    return see(visit) if visit.family is None else see_forced(visit)


def _nothing(visit: Visit, refused: dict[str, str], now: datetime) -> Fault:
    """No handshake came about; where one kind of key was asked for, say what the other has."""
    reasons = set(refused.values())
    words = (
        reasons.pop() if len(reasons) == 1 else "; ".join(f"{text} ({version})" for version, text in refused.items())
    )
    if visit.family is None:
        return Fault(words, _ELSEWHERE)
    try:
        others, _ = _in_every_version(replace(visit, family=None))
    except WireError:
        others = ()
    instead = f"; with another key it {judging.another(others[0], visit.name, now)}" if others else ""
    return Fault(f"serves no certificate with a key of the kind {visit.family}: it {words}{instead}", _OTHER_KIND)
