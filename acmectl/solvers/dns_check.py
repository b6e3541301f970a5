"""Where the TXT records of dns-01 belong, and whether every authoritative server answers them (RFC 8555 section 8.4)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BeforeValidator, WithJsonSchema, model_validator

from acmectl.dns.options import DnsEndpoints, DomainName, TimeLimit
from acmectl.errors import AcmectlError, DNSError
from acmectl.options import InvalidOption, Options
from acmectl.solvers.base import Failures, Response
from acmectl.solvers.failures import solver_error
from acmectl.workers import each

if TYPE_CHECKING:
    from acmectl.dns.records import Record
    from acmectl.dns.resolver import Resolver
    from acmectl.dns.zones import Location, Nameserver

_WORKERS = 16


def _requirement(value: Any) -> Any:
    if value in ("all", "primary") or (isinstance(value, int) and not isinstance(value, bool) and value > 0):
        return value
    raise ValueError("who must answer is `all`, `primary`, or how many name servers, such as `2`")


Requirement = Annotated[
    Literal["all", "primary"] | int,
    BeforeValidator(_requirement),
    WithJsonSchema(
        {
            "anyOf": [{"enum": ["all", "primary"]}, {"type": "integer", "minimum": 1}],
            "x-kind": "`all`, `primary` or a number",
        }
    ),
]
"""How many of the servers must answer."""


class PropagationOptions(Options):
    """Which servers must answer (without `servers`: those in the zone's NS records), and how long to wait for them."""

    require: Requirement = "all"
    """How many of them: all, which is what the CA may ask; a number; or the zone's primary server alone."""

    servers: DnsEndpoints | None = None
    """The servers that must answer; without them the authoritative ones of the zone."""

    resolvers: DnsEndpoints | None = None
    """Whom to ask for these servers and their addresses, where the world sees others than this host does (split horizon)."""

    timeout: TimeLimit = timedelta(minutes=2)
    """How long to wait for them."""

    interval: TimeLimit = timedelta(seconds=2)
    """How long to pause before a server is asked again."""

    @model_validator(mode="after")
    def _check_servers(self) -> Self:
        if self.servers is None:
            return self
        if self.resolvers is not None:
            raise InvalidOption("`resolvers` finds the servers that `servers` lists already", hint="leave one out")
        if self.require == "primary":
            raise InvalidOption("`require: primary` asks the primary server alone", hint="leave out `servers`")
        if isinstance(self.require, int) and self.require > len(self.servers):
            raise InvalidOption(f"`require: {self.require}` is more than there are `servers`")
        return self


class DnsCheckOptions(Options):
    """How names are looked up, and when a record counts as seen.

    `resolvers` are asked for CNAME, SOA and NS records in place of the system's; `zone` is the zone around the records where looking it up would give another.
    """

    resolvers: DnsEndpoints | None = None
    """Whom to ask for CNAME, SOA and NS records, in place of the system's resolvers."""

    zone: DomainName | None = None
    """The zone around the records: where looking it up would give another, and for CNAMEs from names of other solvers into it."""

    propagation: PropagationOptions = PropagationOptions()
    """When a record counts as seen."""


class DnsCheck:
    """Finds the records of responses and waits for them; remembers what it found, as zones do not move within a run."""

    def __init__(
        self, options: DnsCheckOptions, *, primary: Callable[[str], tuple[Nameserver, ...]] | None = None
    ) -> None:
        """`primary` gives the primary server of a zone where that is not the one of its SOA record; it raises DNSError."""
        self._options = options
        self._primary = primary or self._primary_of_soa
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
        servers, unknown = self._servers_of({zone_key(location) for location in located.values()})
        expected = {
            record: servers[zone]
            for response, record in records.items()
            if (zone := zone_key(located[response])) in servers
        }
        options = self._options.propagation
        unseen = wait_until_seen(
            expected,
            patience=Patience(options.timeout, options.interval),
            authoritative=options.servers is None,
            enough=options.require if isinstance(options.require, int) else None,
        )
        return (
            dict(failures)
            | {r: solver_error(unknown[zone]) for r in located if (zone := zone_key(located[r])) in unknown}
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

        wanted = self._options.propagation.require
        if wanted == "primary":
            return self._primary(zone)
        servers = authoritative_servers(parse_name(zone), self._outer_resolver())
        names = sorted({server.name for server in servers})
        if isinstance(wanted, int) and wanted > len(names):
            raise DNSError(
                f"zone `{zone.removesuffix('.')}` has fewer name servers than `require: {wanted}` demands: {', '.join(names)}",
                hint="correct `propagation` of the solver",
            )
        return servers

    def _primary_of_soa(self, zone: str) -> tuple[Nameserver, ...]:
        from acmectl.dns.records import parse_name
        from acmectl.dns.zones import primary_servers

        return primary_servers(parse_name(zone), self._outer_resolver())

    def _outer_resolver(self) -> Resolver:
        from acmectl.dns.resolver import Resolver

        outer = self._options.propagation.resolvers
        return Resolver(outer) if outer else self.resolver()


def zone_key(location: Location) -> str:
    """What tells the zone of a location from others: in lower case, as CNAMEs may spell one zone in several ways."""
    return location.zone.canonicalize().to_text()


def txt_record(response: Response, location: Location) -> Record:
    """The TXT record that proves a response, at the place where it has to lie."""
    from acmectl.dns.records import Record

    return Record.txt(location.owner, response.txt_value)
