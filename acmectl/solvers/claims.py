"""What only one solver of a host can have: a zone that others' CNAMEs lead into, and an address to listen on.

Two with the same would both pass every check of their own. Of two for a zone the first would silently publish for all; of two on one
port one would find it taken by "another program", and on a socket of systemd each would get the other's requests.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import ClassVar, Protocol, runtime_checkable

from acmectl.dns.endpoints import Endpoint
from acmectl.options import Options
from acmectl.solvers.delegation import zone_of
from acmectl.solvers.inherited import Inherited, Listen

_ALL, _ALL_IPV4 = "::", "0.0.0.0"  # noqa: S104  # compared, not listened on


@dataclass(frozen=True, slots=True)
class Clash:
    """Solver `second` claims, by its option `key`, what another one has; `message` and `hint` as for an error."""

    second: str
    key: str
    message: str
    hint: str


@runtime_checkable
class Listens(Protocol):
    """Options of a solver that listens; `usual_port` is that of every address, where `listen` names none."""

    usual_port: ClassVar[int]
    listen: Listen


def clashes(options: Mapping[str, Options]) -> Iterator[Clash]:
    """The claims that exclude each other among the solvers with these options, in their order."""
    for (first, one), (second, other) in combinations(options.items(), 2):
        if (zone := zone_of(other)) and zone == zone_of(one):
            message = f"solver `{first}` is for the zone `{zone}` too"
            hint = "let the names of both use one of them: CNAMEs into a zone lead to one solver"
            yield Clash(second, "zone", message, hint)
        if isinstance(one, Listens) and isinstance(other, Listens) and (place := _shared(one, other)):
            message = f"solver `{first}` listens on `{place}` too"
            hint = "let the names of both use one of them, or give each a port (or a `FileDescriptorName=`) of its own"
            yield Clash(second, "listen", message, hint)


def _shared(one: Listens, other: Listens) -> Inherited | Endpoint | None:
    """Where both would listen, as `other` says it."""
    if isinstance(one.listen, Inherited) or isinstance(other.listen, Inherited):
        return _shared_socket(one.listen, other.listen)
    taken = one.listen or (Endpoint(_ALL, one.usual_port),)
    wanted = other.listen or (Endpoint(_ALL, other.usual_port),)
    return next((place for place in wanted if any(_overlap(place, has) for has in taken)), None)


def _shared_socket(one: Listen, other: Listen) -> Inherited | None:
    """Without a name it is all sockets."""
    if isinstance(one, Inherited) and isinstance(other, Inherited) and ("" in {one.name, other.name} or one == other):
        return other
    return None


def _overlap(one: Endpoint, other: Endpoint) -> bool:
    """Whether the second of these could not be listened on; all addresses of IPv6 are those of IPv4 too, with us."""
    hosts = {one.host, other.host}
    is_ipv4 = not one.is_ipv6 and not other.is_ipv6
    return one.port == other.port and (len(hosts) == 1 or _ALL in hosts or (_ALL_IPV4 in hosts and is_ipv4))
