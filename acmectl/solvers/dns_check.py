"""Where the TXT records of dns-01 belong, and whether every authoritative server answers them (RFC 8555 section 8.4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from acmectl.errors import AcmectlError
from acmectl.options import Options
from acmectl.solvers.base import Failures, Response
from acmectl.solvers.failures import solver_error
from acmectl.solvers.option_types import DnsEndpoints, DomainName, TimeLimit
from acmectl.workers import each

if TYPE_CHECKING:
    from acmectl.dns.records import Record
    from acmectl.dns.resolver import Resolver
    from acmectl.dns.zones import Location, Nameserver

_WORKERS = 16


class PropagationOptions(Options):
    """Which servers must answer (without `servers`: all in the zone's NS records), and how long to wait for them."""

    servers: DnsEndpoints | None = None
    """The servers that must answer; without them all authoritative ones of the zone."""

    timeout: TimeLimit = timedelta(minutes=2)
    """How long to wait for them."""

    interval: TimeLimit = timedelta(seconds=2)
    """How long to pause before a server is asked again."""


class DnsCheckOptions(Options):
    """How names are looked up, and when a record counts as seen.

    `resolvers` are asked for CNAME, SOA and NS records in place of the system's; `zone` is the zone around the records where looking it up would give another.
    """

    resolvers: DnsEndpoints | None = None
    """Whom to ask for CNAME, SOA and NS records, in place of the system's resolvers."""

    zone: DomainName | None = None
    """The zone around the records, where looking it up would give another."""

    propagation: PropagationOptions = PropagationOptions()
    """When a record counts as seen."""


class DnsCheck:
    """Finds the records of responses and waits for them; remembers what it found, as zones do not move within a run."""

    def __init__(self, options: DnsCheckOptions) -> None:
        self._options = options
        self._locations: dict[str, Location] = {}
        self._servers: dict[str, tuple[Nameserver, ...]] = {}

    def locate(self, responses: Sequence[Response]) -> tuple[Mapping[Response, Location], Failures]:
        """Where the record of each response lies, its CNAMEs followed; and why that cannot be known."""
        owners = {response.identifier.challenge_record for response in responses}
        missing = sorted(owners - self._locations.keys())
        failed: Mapping[str, AcmectlError] = {}
        if missing:
            found, failed = each(missing, self._locate, workers=_WORKERS)
            self._locations |= found
        located = {r: self._locations[o] for r in responses if (o := r.identifier.challenge_record) in self._locations}
        return located, {
            r: solver_error(failed[o]) for r in responses if (o := r.identifier.challenge_record) in failed
        }

    def seen(self, responses: Sequence[Response]) -> Failures:
        """Wait until every server answers the value of each response."""
        from acmectl.dns.propagation import Patience, wait_until_seen

        located, failures = self.locate(responses)
        records = {response: txt_record(response, location) for response, location in located.items()}
        servers, unknown = self._servers_of({location.zone.to_text() for location in located.values()})
        expected = {
            record: servers[zone]
            for response, record in records.items()
            if (zone := located[response].zone.to_text()) in servers
        }
        options = self._options.propagation
        unseen = wait_until_seen(
            expected, patience=Patience(options.timeout, options.interval), authoritative=options.servers is None
        )
        return (
            dict(failures)
            | {r: solver_error(unknown[zone]) for r in located if (zone := located[r].zone.to_text()) in unknown}
            | {response: solver_error(unseen[record]) for response, record in records.items() if record in unseen}
        )

    def resolver(self) -> Resolver:
        """The configured resolvers, or the system's; DNSError if there are none."""
        from acmectl.dns.resolver import Resolver, system_resolver

        return Resolver(self._options.resolvers) if self._options.resolvers else system_resolver()

    def _locate(self, owner: str) -> Location:
        from acmectl.dns.records import parse_name
        from acmectl.dns.zones import locate

        zone = parse_name(self._options.zone) if self._options.zone else None
        return locate(parse_name(owner), self.resolver(), zone=zone)

    def _servers_of(self, zones: set[str]) -> tuple[Mapping[str, tuple[Nameserver, ...]], Mapping[str, AcmectlError]]:
        from acmectl.dns.zones import Nameserver

        if self._options.propagation.servers:
            configured = tuple(Nameserver(server.host, server) for server in self._options.propagation.servers)
            return dict.fromkeys(zones, configured), {}
        found, failed = each(sorted(zones - self._servers.keys()), self._find_servers, workers=_WORKERS)
        self._servers |= found
        return self._servers, failed

    def _find_servers(self, zone: str) -> tuple[Nameserver, ...]:
        from acmectl.dns.records import parse_name
        from acmectl.dns.zones import authoritative_servers

        return authoritative_servers(parse_name(zone), self.resolver())


def txt_record(response: Response, location: Location) -> Record:
    """The TXT record that proves a response, at the place where it has to lie."""
    from acmectl.dns.records import Record

    return Record.txt(location.owner, response.txt_value)
