"""NSD on a free high port of loopback, as a secondary that lags: by the zone's refresh time, or until the test tells it of a change."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import dns.flags
import dns.message
import dns.opcode
import dns.query
import dns.rdatatype

from tests.servers.name_server import NameServer, Zone, require, running, start


class Nsd(NameServer):
    """A running `nsd`."""

    def notify(self, zone: str) -> None:
        """Tell it that the zone has changed (RFC 1996); it transfers the zone soon."""
        message = dns.message.make_query(zone, dns.rdatatype.SOA, flags=dns.flags.AA)
        message.set_opcode(dns.opcode.NOTIFY)
        dns.query.udp(message, self.address, timeout=10, port=self.port)


@contextlib.contextmanager
def running_nsd(
    directory: Path, *, zones: Sequence[Zone], primary: NameServer, port: int = 0, address: str = "127.0.0.1"
) -> Iterator[Nsd]:
    """Start `nsd`, wait until it has transferred the zones from `primary`, and stop it at the end in any case."""
    require("nsd", "nsd")

    def launch(place: Path, port: int) -> Nsd:
        (place / "nsd.conf").write_text(_configuration(place, zones, f"{address}@{port}", primary), "ascii")
        return Nsd(address, port, place, {}, start(["nsd", "-d", "-c", place / "nsd.conf"], place))

    with running(directory, launch, zones=zones, port=port, address=address) as nsd:
        yield nsd


def _configuration(place: Path, zones: Sequence[Zone], listen: str, primary: NameServer) -> str:
    text = f"""server:
    server-count: 1
    ip-address: {listen}
    username: ""
    zonesdir: "{place}"
    database: ""
    pidfile: "{place}/pid"
    xfrdfile: "{place}/xfrd.state"
    xfrdir: "{place}"
    zonelistfile: "{place}/zone.list"
remote-control:
    control-enable: no
"""
    source = f"{primary.address}@{primary.port} NOKEY"
    return text + "".join(
        f"zone:\n    name: {zone.name}\n    zonefile: {zone.name}.zone\n    request-xfr: AXFR {source}\n    allow-notify: 127.0.0.0/8 NOKEY\n"
        f"    min-refresh-time: {zone.refresh}\n    max-refresh-time: {zone.refresh}\n"
        for zone in zones
    )
