"""unbound on loopback, port 53: a resolver that checks signatures and remembers answers exactly as long as their TTL allows.

That memory is what a validating client lives with: after a change of a record it still sees the old one, until the TTL has passed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rdatatype
import dns.rrset

from tests.servers.name_server import NameServer, Zone, require, running, start

_UDP_SIZE = 1232  # DNS Flag Day 2020


class Unbound(NameServer):
    """A running `unbound`."""

    def is_serving(self, zone: str) -> bool:
        """Whether it has found and checked the zone."""
        with contextlib.suppress(OSError, dns.exception.DNSException):
            return self.look(zone, "SOA", seconds=0.2) is not None
        return False

    def look(self, name: str, kind: str, *, seconds: float = 10) -> dns.rrset.RRset | None:
        """The records as a client gets them now, with the seconds for which they are still remembered as TTL; only signed ones."""
        query = dns.message.make_query(name, kind, want_dnssec=True, payload=_UDP_SIZE)
        answer, _ = dns.query.udp_with_fallback(query, self.address, timeout=seconds, port=self.port)
        if not answer.flags & dns.flags.AD:
            return None
        (question,) = query.question
        return answer.get_rrset(answer.answer, question.name, question.rdclass, question.rdtype)


@contextlib.contextmanager
def running_unbound(
    directory: Path, *, zone: Zone, anchor: str, servers: Sequence[NameServer], address: str = "127.0.0.3"
) -> Iterator[Unbound]:
    """Start `unbound`, wait until it answers for `zone`, and stop it at the end in any case.

    `anchor` is a DNSKEY or DS record of the zone, which is asked for at `servers` alone. Needs a network of its own, for port 53.
    """
    require("unbound", "unbound")

    def launch(place: Path, port: int) -> Unbound:
        (place / "anchor").write_text(f"{anchor}\n", "ascii")
        (place / "unbound.conf").write_text(_configuration(place, zone, servers, address, port), "ascii")
        process = start(["unbound", "-d", "-c", place / "unbound.conf"], place)
        return Unbound(address, port, place, {}, process)

    with running(directory, launch, zones=[zone], port=53, address=address) as unbound:
        yield unbound


def _configuration(place: Path, zone: Zone, servers: Sequence[NameServer], address: str, port: int) -> str:
    asked = "".join(f"    stub-addr: {server.address}@{server.port}\n" for server in servers)
    return f"""server:
    directory: "{place}"
    chroot: ""
    username: ""
    pidfile: "{place}/pid"
    use-syslog: no
    num-threads: 1
    interface: {address}@{port}
    access-control: 127.0.0.0/8 allow
    do-not-query-localhost: no
    local-zone: "test." nodefault
    module-config: "validator iterator"
    trust-anchor-signaling: no
    trust-anchor-file: "{place}/anchor"
remote-control:
    control-enable: no
stub-zone:
    name: "{zone.name}"
{asked}"""
