"""dns-01 by dynamic update of the zone's primary server (RFC 2136), signed with a TSIG key (RFC 8945).

For BIND, Knot, PowerDNS and whatever else speaks the protocol. A record set may hold values of other clients, of the base name beside its
wildcard, or of another host: values come and go one by one, never the whole set.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import AfterValidator, model_validator

from acmectl.dns.endpoints import addresses_of
from acmectl.dns.options import DomainName, Host, TimeLimit, TsigKeyFile, between, usable_key
from acmectl.dns.tsig import ALGORITHMS, TsigKey, load_key_file, load_secret_file
from acmectl.errors import AcmectlError, DNSError, SolverError
from acmectl.options import Duration, InvalidOption, Options, Port, SecretFile
from acmectl.solvers.base import CONTRACT, Capabilities, Failures, Response
from acmectl.solvers.dns_check import DnsCheck, DnsCheckOptions, txt_record, zone_key
from acmectl.solvers.failures import solver_error
from acmectl.solvers.registry import SolverType
from acmectl.workers import each

if TYPE_CHECKING:
    from acmectl.dns.records import Record
    from acmectl.dns.update import Primary
    from acmectl.dns.zones import Location, Nameserver

_WORKERS = 8  # updates at a time: with 10 waiting at a server (BIND as it comes), the next one waits for a second


def _algorithm(value: str) -> str:
    if value not in ALGORITHMS:
        raise InvalidOption(
            "not an algorithm of a TSIG key that is strong enough", hint=f"one of {', '.join(ALGORITHMS)}"
        )
    return value


class TsigKeyOptions(Options):
    """A TSIG key in parts; `secret_file` has the secret in base64, alone."""

    name: DomainName
    """What the server calls the key."""

    algorithm: Annotated[str, AfterValidator(_algorithm)] = "hmac-sha256"
    """As in the server's configuration."""

    secret_file: SecretFile
    """A file with the secret in base64, alone."""

    @model_validator(mode="after")
    def _check_secret(self) -> Self:
        usable_key(self.load)
        return self

    def load(self) -> TsigKey:
        """The key, read anew; DNSError says what is wrong with its file."""
        return load_secret_file(self.secret_file, name=self.name, algorithm=self.algorithm)


class Rfc2136Options(DnsCheckOptions):
    """`server` is the primary server of the zones; without it, the one that the zone's SOA record names."""

    server: Host | None = None
    """The primary server; without it the one that the zone's SOA record names."""

    port: Port = 53
    """Its port."""

    tsig_key_file: TsigKeyFile | None = None
    """The TSIG key as `tsig-keygen` writes it."""

    tsig_key: TsigKeyOptions | None = None
    """The TSIG key in parts, in place of `tsig_key_file`."""

    ttl: Annotated[Duration, between(timedelta(seconds=1), timedelta(days=1))] = timedelta(seconds=60)
    """The time to live of the records."""

    timeout: TimeLimit = timedelta(seconds=20)
    """How long one update may take."""

    @model_validator(mode="after")
    def _check_key(self) -> Self:
        if (self.tsig_key_file is None) == (self.tsig_key is None):
            raise InvalidOption(
                "one TSIG key is needed: `tsig_key_file` or `tsig_key`",
                hint="make one with `tsig-keygen -a hmac-sha256 acmectl`, for the server's configuration and for this file",
            )
        return self

    def load_key(self) -> TsigKey:
        """The key, read anew; DNSError says what is wrong with its file."""
        if self.tsig_key_file is not None:
            return load_key_file(self.tsig_key_file)
        assert self.tsig_key is not None  # noqa: S101  # _check_key has seen to it
        return self.tsig_key.load()


_Send = Callable[[Sequence["Record"], "Primary"], Mapping["Record", DNSError]]


class Rfc2136Solver:
    """Adds and removes values, one message for each zone; the zones at the same time."""

    capabilities = Capabilities(challenge_types=("dns-01",), wildcard=True)

    def __init__(self, options: Rfc2136Options) -> None:
        self._options = options
        self._check = DnsCheck(options, primary=self._servers)
        self._refused: set[Response] = set()  # what is certainly not there
        self._left: set[Response] = set()  # what was there before this process, or may be: it could not be removed

    def publish(self, responses: Sequence[Response]) -> Failures:
        """Add the TXT value of each response."""
        from acmectl.dns import update

        ttl = self._options.ttl
        failures = self._update(responses, lambda records, primary: update.add(records, primary=primary, ttl=ttl))
        self._refused |= {response for response, error in failures.items() if not _may_be_done(error)} - self._left
        self._refused -= set(responses) - failures.keys()
        return failures

    def seen(self, responses: Sequence[Response]) -> Failures:
        """Wait until every authoritative server answers each value."""
        return self._check.seen(responses)

    def remove(self, responses: Sequence[Response]) -> Failures:
        """Remove the TXT value of each response, and no other; what the server refused to add is not there."""
        from acmectl.dns import update

        present = [response for response in responses if response not in self._refused]
        left = self._update(present, lambda records, primary: update.remove(records, primary=primary))
        self._left = (self._left - set(present)) | left.keys()
        return left

    def _update(self, responses: Sequence[Response], send: _Send) -> Failures:
        try:
            key = self._options.load_key()
        except DNSError as error:
            return dict.fromkeys(responses, solver_error(error))
        located, failures = self._check.locate(responses)
        records = {response: txt_record(response, location) for response, location in located.items()}
        of_zone: dict[str, list[Record]] = defaultdict(list)
        for response, location in located.items():
            of_zone[zone_key(location)].append(records[response])
        refused = self._send_all(of_zone, key, send)
        return dict(failures) | {
            r: _with_its_way(refused[record], located[r]) for r, record in records.items() if record in refused
        }

    def _send_all(
        self, of_zone: Mapping[str, Sequence[Record]], key: TsigKey, send: _Send
    ) -> Mapping[Record, AcmectlError]:
        done, failed = each(of_zone, lambda zone: send(of_zone[zone], self._primary(zone, key)), workers=_WORKERS)
        refused: dict[Record, AcmectlError] = {}
        for reasons in done.values():
            refused |= reasons
        for zone, error in failed.items():
            refused |= dict.fromkeys(of_zone[zone], error)
        return refused

    def _primary(self, zone: str, key: TsigKey) -> Primary:
        from acmectl.dns.records import parse_name
        from acmectl.dns.update import Primary

        endpoints = tuple(server.endpoint for server in self._servers(zone))
        return Primary(parse_name(zone), endpoints, key, self._options.timeout)

    def _servers(self, zone: str) -> tuple[Nameserver, ...]:
        """The primary server at each of its addresses."""
        from acmectl.dns.records import parse_name
        from acmectl.dns.zones import Nameserver, primary_servers

        server, port = self._options.server, self._options.port
        if server is None:
            return primary_servers(parse_name(zone), self._check.resolver(), port=port)
        return tuple(Nameserver(server, endpoint) for endpoint in addresses_of(server, port, of="the solver"))


def _with_its_way(error: AcmectlError, location: Location) -> SolverError:
    """The error, told with the CNAME that led to a zone which may not be one of this solver at all."""
    from acmectl.dns.records import shown

    if location.owner == location.asked:
        return solver_error(error)
    zone = shown(location.zone)
    hint = f"has the zone another server or key? give it a solver of its own, with `zone: {zone}`"
    said = SolverError(
        f"{error.message} (`{shown(location.asked)}` is a CNAME into `{zone}`)",
        hint=f"{error.hint}; {hint}" if error.hint else hint,
    )
    said.__cause__ = error
    return said


def _may_be_done(error: AcmectlError) -> bool:
    """Whether a record may have been added although `error` came of it: no answer proves nothing."""
    from acmectl.dns.update import Unanswered

    return isinstance(error.__cause__, Unanswered)


SOLVER_TYPE = SolverType(
    Rfc2136Options,
    Rfc2136Solver,
    contract=CONTRACT,
    summary="dns-01 by dynamic update of the zone's primary server (BIND, Knot, PowerDNS)",
    capabilities=Rfc2136Solver.capabilities,
)
