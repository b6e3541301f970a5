"""All looks at one endpoint: each of its addresses, side by side, in TLS 1.3 and in TLS 1.2.

A version that the server refuses is no fault as long as the other shows what it should; many refuse 1.2 by now. It is said, for
clients may be left that know nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from acmectl import workers
from acmectl.deploy.wire import judging
from acmectl.deploy.wire.addresses import addresses
from acmectl.deploy.wire.expected import Expected
from acmectl.deploy.wire.forced import see_forced
from acmectl.deploy.wire.handshake import VERSIONS, HandshakeRefused, Served
from acmectl.deploy.wire.judging import Fault
from acmectl.deploy.wire.options import Endpoint
from acmectl.deploy.wire.stream import WireError, quote
from acmectl.deploy.wire.visit import Visit, see
from acmectl.errors import AcmectlError

_ELSEWHERE = (
    "is the service running, and is this where it listens? `verify: [{address: ..., port: ..., protocol: ...}]` "
    "says where to look, `verify: []` looks at nothing"
)
_DEFECT = "this is a defect of acmectl: please report it, with what the service says"
_OTHER_KIND = "give the service the certificates of both kinds, or leave one out of the certificate's `key`"


@dataclass(frozen=True, slots=True)
class Sighting:
    """What was seen at one address of an endpoint: over which versions it serves what it should, or what is wrong.

    `name` is what it was asked for: by the endpoint's own name, or else that of the certificate.
    """

    endpoint: Endpoint
    address: str | None
    name: str | None
    versions: tuple[str, ...] = ()
    fault: Fault | None = None
    notes: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """What was looked at: `port 25 on mail.example.org, 192.0.2.1 (smtp)`, with a name of the endpoint's own."""
        return self.endpoint.place(self._where, self.endpoint.name)

    @property
    def place_and_name(self) -> str:
        """As `place`, with the name that was asked for in any case."""
        return self.endpoint.place(self._where, self.name)

    @property
    def _where(self) -> str:
        host = self.endpoint.address
        return host if self.address in {None, host} else f"{host}, {self.address}"


class Resolve(Protocol):
    """As `addresses.addresses`."""

    def __call__(self, host: str, /, *, timeout: timedelta) -> tuple[str, ...]: ...  # noqa: D102


def look(
    endpoint: Endpoint, expected: Expected, *, timeout: timedelta, now: datetime, resolve: Resolve = addresses
) -> tuple[Sighting, ...]:
    """One look at each address; `timeout` is for each connection. What cannot be seen is a fault. Raises Interrupted only."""
    unseen = Sighting(endpoint, None, endpoint.name or expected.name)
    try:
        places = [replace(unseen, address=address) for address in resolve(endpoint.address, timeout=timeout)]
    except WireError as error:
        return (replace(unseen, fault=Fault(error.message)),)
    seen, ended = workers.each(places, lambda place: _guarded(place, expected, timeout, now), workers=len(places))
    for interruption in ended.values():
        raise interruption
    return tuple(seen[place] for place in places)


def _guarded(unseen: Sighting, expected: Expected, timeout: timedelta, now: datetime) -> Sighting:
    """As `_look_at`. What a stranger says and nobody foresaw must not end a run before it has saved what it did."""
    try:
        return _look_at(unseen, expected, timeout, now)
    except AcmectlError:
        raise
    except Exception as error:  # noqa: BLE001  # see above
        said = quote(f"{type(error).__name__}: {error}".encode(errors="backslashreplace"))
        return replace(unseen, fault=Fault(f"cannot be looked at: {said}", _DEFECT))


def _look_at(unseen: Sighting, expected: Expected, timeout: timedelta, now: datetime) -> Sighting:
    endpoint, name = unseen.endpoint, unseen.name
    assert unseen.address  # noqa: S101  # resolved
    visit = Visit(unseen.address, endpoint.port, endpoint.protocol, name, "", expected.family, timeout)
    try:
        served, refused = _in_every_version(visit)
    except WireError as error:
        return replace(unseen, fault=Fault(error.message, error.hint or _ELSEWHERE))
    if not served:
        return replace(unseen, fault=_nothing(visit, refused, now))
    fault = judging.fault_of(served, expected, name, now)
    notes = judging.notes_of(served, refused, expected) if fault is None else ()
    return replace(unseen, versions=tuple(one.version for one in served), fault=fault, notes=notes)


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
