"""TLSA records in the DNS: seen at every authoritative server, added and removed by dynamic update, one record at a time.

Nothing but exact records is ever removed: a set may hold those of other hosts behind the same name, and of a CA (RFC 7671 section 5.2).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from acmectl.deploy.tlsa.options import TlsaOptions, UpdateOptions
from acmectl.dns.endpoints import addresses_of
from acmectl.errors import AcmectlError, DeployError, DNSError
from acmectl.model.tlsa import RecordSet, Service, TlsaRecord
from acmectl.workers import each

if TYPE_CHECKING:
    from acmectl.dns.record_sets import Answered
    from acmectl.dns.records import Record
    from acmectl.dns.resolver import Resolver
    from acmectl.dns.update import Primary
    from acmectl.dns.wildcards import Obstacles
    from acmectl.dns.zones import Location, Nameserver

_WORKERS = 8


@dataclass(frozen=True, slots=True)
class Unsigned:
    """Why validating clients cannot believe the records at an owner name."""

    owner: str
    reason: str


class Publisher:
    """The TLSA records of one `tlsa:`. Remembers where names lie, as zones do not move within a run."""

    def __init__(self, options: TlsaOptions) -> None:
        """`options` say which services there are, and by what means they are looked at and changed."""
        self._options = options
        self._locations: dict[str, Location] = {}
        self._servers: dict[str, tuple[Nameserver, ...]] = {}

    @property
    def services(self) -> tuple[Service, ...]:
        """The services that have the certificate."""
        return self._options.records

    @property
    def owners(self) -> tuple[str, ...]:
        """The owner names of their records."""
        return tuple(service.owner for service in self._options.records)

    @property
    def ttl(self) -> timedelta:
        """The time to live that records get."""
        return self._options.ttl

    @property
    def may_update(self) -> bool:
        """Whether this host has the right to change the records."""
        return self._options.update is not None

    def has_means_of(self, other: Publisher) -> bool:
        """Whether both look and publish by the same means, so that one update can hold the records of both."""
        own, others = (p._options.model_copy(update={"records": (), "ttl": timedelta()}) for p in (self, other))
        return own == others

    def places(self) -> Mapping[str, str]:
        """Where the records of each owner name lie: at the end of its CNAMEs. Without the names of which that cannot be known."""
        located, _ = self._locate(self.owners)
        return {owner: _end(found) for owner, found in located.items()}

    def look(self, owners: Collection[str]) -> tuple[Mapping[str, RecordSet], Mapping[str, AcmectlError]]:
        """The TLSA records at each owner name at all servers of its zone, and why that cannot be known."""
        seen, failed = self._look(owners)
        return {owner: _together(answered) for owner, answered in seen.items()}, failed

    def add(self, records: Iterable[TlsaRecord]) -> Mapping[TlsaRecord, AcmectlError]:
        """Add each record beside what is there; the reason for each that was not added. What is there already is no failure.

        Nothing is added where a wildcard answers, which would be hidden; nor where it would be hidden from the host above.
        """
        from acmectl.dns import update

        listed = tuple(dict.fromkeys(records))
        if not self.may_update:
            return dict.fromkeys(listed, _no_right())
        reasons, found = self._obstacles({record.owner for record in listed})
        refused = {record: reasons[record.owner] for record in listed if record.owner in reasons}
        free = [record for record in listed if record not in refused]

        def send(some: Sequence[Record], primary: Primary) -> Mapping[Record, DNSError]:
            return update.add(some, primary=primary, ttl=self.ttl, hosts=found.hosts)

        return refused | dict(self._update(free, send))

    def obstacles(self, owners: Collection[str]) -> Mapping[str, AcmectlError]:
        """What speaks against adding records at some of the owner names just so, also by hand: what wildcards say there would be hidden."""
        refused, found = self._obstacles(owners)
        places = {owner: location.owner for owner in owners if (location := self._locations.get(owner))}
        return {o: found.lost[place] for o, place in places.items() if place in found.lost} | dict(refused)

    def same_places(self, records: Iterable[TlsaRecord], wanted: Iterable[TlsaRecord]) -> frozenset[TlsaRecord]:
        """Those of the records that are one with a wanted record of another owner name, because CNAMEs lead both to one place.

        So is one of which that cannot be known.
        """
        alike = {record: [w for w in wanted if w.association == record.association] for record in records}
        located, _ = self._locate({r.owner for record, others in alike.items() if others for r in (record, *others)})

        def are_one(one: TlsaRecord, other: TlsaRecord) -> bool:
            ends = {_end(found) if (found := located.get(r.owner)) else None for r in (one, other)}
            return one == other or None in ends or len(ends) == 1

        return frozenset(record for record, others in alike.items() if any(are_one(record, w) for w in others))

    def remove(self, records: Iterable[TlsaRecord]) -> Mapping[TlsaRecord, AcmectlError]:
        """Remove exactly these records; the reason for each that is left. What is gone already is no failure."""
        from acmectl.dns import update

        return self._update(records, lambda listed, primary: update.remove(listed, primary=primary))

    def unsigned(self, owners: Collection[str]) -> tuple[tuple[Unsigned, ...], Mapping[str, AcmectlError]]:
        """Those of the owner names whose records no validating client can believe, and why it cannot be known of others.

        Without DNSSEC TLSA records are ignored (RFC 7672 section 2.2): the zone must be signed at every server, and its parent vouch for it.
        """
        from acmectl.dns.record_sets import is_validated

        found: list[Unsigned] = []
        seen, failed = self._look(owners)
        errors = dict(failed)
        for owner, answered in seen.items():
            try:
                if bare := sorted(str(server) for server, one in answered.items() if not one.is_signed):
                    found.append(Unsigned(owner, f"no signatures (RRSIG) come from {', '.join(bare)}"))
                elif not is_validated(owner, "TLSA", self._resolver()) and (reason := self._unvouched(owner)):
                    found.append(Unsigned(owner, reason))
            except DNSError as error:
                errors[owner] = error
        return tuple(found), errors

    def _unvouched(self, owner: str) -> str | None:
        """A resolver that does not validate says nothing; a zone without DS is signed in vain."""
        from acmectl.dns.record_sets import has_delegation_signer
        from acmectl.dns.records import shown

        zone = self._locations[owner].zone
        if has_delegation_signer(zone, self._resolver()):
            return None
        return f"the parent of zone `{shown(zone)}` has no DS record for it"

    def _look(
        self, owners: Collection[str]
    ) -> tuple[Mapping[str, Mapping[Nameserver, Answered]], Mapping[str, AcmectlError]]:
        from acmectl.dns.record_sets import answers

        located, failed = self._locate(owners)
        servers, unknown = self._servers_of({_key(location) for location in located.values()})
        errors = dict(failed) | {o: unknown[_key(found)] for o, found in located.items() if _key(found) in unknown}
        asked = {o: (found.owner, servers[_key(found)]) for o, found in located.items() if o not in errors}
        said = answers(list(dict(asked.values()).items()), "TLSA", authoritative=self._options.servers is None)
        seen = {}
        for owner, (name, _) in asked.items():
            one = said[name]
            if isinstance(one, DNSError):
                errors[owner] = one
                continue
            location = located[owner]
            if aliases := [str(server) for server, a in one.items() if a.alias not in {None, location.beyond}]:
                errors[owner] = _unknown_alias(owner, aliases)
                continue
            try:
                seen[owner] = {server: self._beyond(location, answered) for server, answered in one.items()}
            except DNSError as error:
                errors[owner] = error
        return seen, errors

    def _beyond(self, location: Location, answered: Answered) -> Answered:
        """With what clients see that follow the CNAME of a wildcard, while the place has no record of its own."""
        from acmectl.dns.record_sets import behind_aliases

        if answered.alias is None:
            return answered
        return behind_aliases(answered, location.owner, "TLSA", self._resolver())

    def _obstacles(self, owners: Collection[str]) -> tuple[Mapping[str, AcmectlError], Obstacles]:
        """Why nothing may be added at some of the owner names, and what is in the way of others."""
        from acmectl.dns import wildcards

        seen, failed = self._look(owners)
        found = wildcards.obstacles(
            {self._locations[owner]: one for owner, one in seen.items()}, authoritative=self._options.servers is None
        )
        refused = {o: found.refused[place] for o in seen if (place := self._locations[o].owner) in found.refused}
        return dict(failed) | refused, found

    def _update(self, records: Iterable[TlsaRecord], send: _Send) -> Mapping[TlsaRecord, AcmectlError]:
        listed = tuple(dict.fromkeys(records))
        options = self._options.update
        if options is None:
            return dict.fromkeys(listed, _no_right())
        located, failed = self._locate({record.owner for record in listed})
        of_zone: dict[str, dict[Record, list[TlsaRecord]]] = defaultdict(lambda: defaultdict(list))
        for record in listed:
            if (location := located.get(record.owner)) is not None:
                of_zone[_key(location)][_record(record, location)].append(record)
        done, broken = each(
            of_zone, lambda zone: send(tuple(of_zone[zone]), self._primary(zone, options)), workers=_WORKERS
        )
        refused: dict[TlsaRecord, AcmectlError] = {r: failed[r.owner] for r in listed if r.owner in failed}
        for zone, known in of_zone.items():
            reasons = dict.fromkeys(known, broken[zone]) if zone in broken else done[zone]
            refused |= {one: _told(error) for record, error in reasons.items() for one in known[record]}
        return refused

    def _locate(self, owners: Collection[str]) -> tuple[Mapping[str, Location], Mapping[str, AcmectlError]]:
        missing = sorted(set(owners) - self._locations.keys())
        found, failed = each(missing, self._location, workers=_WORKERS)
        self._locations |= found
        errors = {owner: _told(error) for owner, error in failed.items()}
        return {owner: self._locations[owner] for owner in owners if owner in self._locations}, errors

    def _location(self, owner: str) -> Location:
        from acmectl.dns.records import parse_name
        from acmectl.dns.zones import locate

        update = self._options.update
        zone = parse_name(update.zone) if update and update.zone else None
        return locate(parse_name(owner), self._resolver(), zone=zone, of_tlsa=True)

    def _servers_of(self, zones: set[str]) -> tuple[Mapping[str, tuple[Nameserver, ...]], Mapping[str, AcmectlError]]:
        from acmectl.dns.zones import Nameserver

        if self._options.servers:
            configured = tuple(Nameserver(server.host, server) for server in self._options.servers)
            return dict.fromkeys(zones, configured), {}
        found, failed = each(sorted(zones - self._servers.keys()), self._find_servers, workers=_WORKERS)
        self._servers |= found
        return self._servers, {zone: _told(error) for zone, error in failed.items()}

    def _find_servers(self, zone: str) -> tuple[Nameserver, ...]:
        from acmectl.dns.records import parse_name
        from acmectl.dns.zones import authoritative_servers

        return authoritative_servers(parse_name(zone), self._resolver())

    def _primary(self, zone: str, options: UpdateOptions) -> Primary:
        from acmectl.dns.records import parse_name
        from acmectl.dns.tsig import load_key_file
        from acmectl.dns.update import Primary
        from acmectl.dns.zones import primary_servers

        name, key = parse_name(zone), load_key_file(options.tsig_key_file)
        if options.server is None:
            servers = primary_servers(name, self._resolver(), port=options.port)
            return Primary(name, tuple(server.endpoint for server in servers), key, options.timeout)
        return Primary(name, addresses_of(options.server, options.port, of="`update`"), key, options.timeout)

    def _resolver(self) -> Resolver:
        from acmectl.dns.resolver import Resolver, system_resolver

        return Resolver(self._options.resolvers) if self._options.resolvers else system_resolver()


if TYPE_CHECKING:
    from collections.abc import Callable

    _Send = Callable[[Sequence[Record], Primary], Mapping[Record, DNSError]]


def _told(error: AcmectlError) -> AcmectlError:
    """The error as it is, with a hint for this part of the configuration: `server` and `zone` belong to `update` here."""
    told = DeployError(
        error.message, hint=error.hint and error.hint.replace("of the solver", "of `tlsa` or its `update`")
    )
    told.__cause__ = error
    return told


def _no_right() -> DeployError:
    return DeployError("this host has no right to change TLSA records", hint="give `tlsa` an `update`")


def _unknown_alias(owner: str, servers: Iterable[str]) -> DeployError:
    """Clients follow that CNAME, and find records that were not looked at."""
    return DeployError(
        f"cannot see TLSA of `{owner}`: it has a CNAME at {', '.join(servers)}, which the resolver does not know",
        hint="is it new? a later run looks again; or set `resolvers` of `tlsa` to some that know it",
    )


def _together(answered: Mapping[Nameserver, Answered]) -> RecordSet:
    sets = [one.data for one in answered.values()]
    return RecordSet(
        everywhere=frozenset.intersection(*sets) if sets else frozenset(),
        anywhere=frozenset().union(*sets),
        ttl=max((one.ttl for one in answered.values()), default=timedelta()),
    )


def _key(location: Location) -> str:
    """What tells the zone of a location from others: in lower case, as CNAMEs may spell one zone in several ways."""
    return location.zone.canonicalize().to_text()


def _end(location: Location) -> str:
    """Where records lie, in the form of an owner name."""
    return location.owner.canonicalize().to_text(omit_final_dot=True)


def _record(record: TlsaRecord, location: Location) -> Record:
    from acmectl.dns.records import Record

    return Record.parse(location.owner, "TLSA", record.association)
