"""Where the records of a name really lie: at the end of its CNAMEs, in the zone around that, on the servers of that zone.

A record that is added at a CNAME is dropped by the server, which answers NOERROR all the same (RFC 2136 section 3.4.2.2), so the chain is
followed first. It is followed one CNAME at a time, for an error that tells which of them is broken. The negative
answer to the last question carries the SOA of the zone (RFC 2308), so most names take one question.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

import dns.rdatatype
from dns.message import Message
from dns.name import Name

from acmectl.dns.endpoints import Endpoint
from acmectl.dns.records import shown
from acmectl.dns.resolver import Resolver
from acmectl.errors import DNSError

_LONGEST = 255  # octets of a name, with the length of each label (RFC 1035 section 2.3.4)
_MAX_CNAMES = 8  # unbound, which Let's Encrypt uses, stops at 11; a chain that long is a mistake


@dataclass(frozen=True, slots=True)
class Location:
    """Where the records of `asked` lie: at `owner` (`asked` itself, or the end of its CNAMEs) in `zone`.

    `beyond` is where the CNAME of a wildcard leads from `owner`, which was not followed.
    """

    asked: Name
    owner: Name
    zone: Name
    beyond: Name | None = None


@dataclass(frozen=True, slots=True)
class Nameserver:
    """A server of a zone by its name (as NS or the configuration has it), at one of its addresses."""

    name: str
    endpoint: Endpoint

    def __str__(self) -> str:
        return str(self.endpoint) if self.name == self.endpoint.host else f"{self.name} ({self.endpoint})"


def locate(asked: Name, resolver: Resolver, *, zone: Name | None = None, of_tlsa: bool = False) -> Location:
    """Follow the CNAMEs of `asked`, and find the zone of their end unless it is given.

    A CNAME that a wildcard makes (`*.example.org CNAME hoster`) is not followed: it delegates nothing, and a record at `asked` itself
    overrides it (RFC 4592 section 3.3.1). Only where `zone` is another one is it meant, and followed; or for records `of_tlsa` where the
    wildcard stands among their names (`*._tcp.mail`): whoever writes that means them. One above these (`*.mail CNAME mail`) is for
    hosts, and a record at its end would be that of each service of theirs.
    DNSError names the chain and what is wrong with it: a loop, too many, a server that fails, no zone.
    """
    chain = [asked]
    try:
        while True:
            answer = resolver.ask(chain[-1], dns.rdatatype.CNAME)
            target = _target(answer, chain[-1])
            if target is None:
                break
            if not _is_meant(chain, target, resolver, zone, of_tlsa=of_tlsa):
                break
            _extend(chain, target)
        found = zone or (None if target else _soa_owner(answer, chain[-1])) or _walk(chain[-1], resolver)
    except DNSError as error:
        if len(chain) == 1:
            raise
        raise DNSError(f"{error.message} (following the CNAMEs {_arrows(chain)})", hint=error.hint) from error
    return Location(asked, chain[-1], _checked(found, chain), target)


def stranger(around: Name) -> Name:
    """A name below `around` that nobody has, which shows what a wildcard says: with 24 letters, or as many as there is room for."""
    room = _LONGEST - sum(len(label) + 1 for label in around.labels) - 1
    return Name(((secrets.token_hex(8).encode("ascii") + b"-acmectl")[:room], *around.labels))


def authoritative_servers(zone: Name, resolver: Resolver, *, port: int = 53) -> tuple[Nameserver, ...]:
    """Every address of every server in the NS records of `zone`.

    A server whose name has no address is left out: nobody can ask it. Raises DNSError when none is left, or a lookup fails.
    """
    answer = resolver.ask(zone, dns.rdatatype.NS)
    hosts = [rdata.target for rrset in answer.answer if rrset.rdtype == dns.rdatatype.NS for rdata in rrset]
    servers = tuple(server for host in sorted(hosts) for server in _at_addresses(host, resolver, port))
    if not servers:
        names = ", ".join(f"`{shown(host)}`" for host in hosts)
        reason = f"its name servers {names} have no address" if hosts else "it has no NS records"
        raise DNSError(f"zone `{shown(zone)}` cannot be asked: {reason}", hint=_registered(zone))
    return servers


def primary_servers(zone: Name, resolver: Resolver, *, port: int = 53) -> tuple[Nameserver, ...]:
    """The addresses of the primary server that the SOA record of `zone` names (MNAME); DNSError when there are none."""
    answer = resolver.ask(zone, dns.rdatatype.SOA)
    hosts = [rdata.mname for rrset in answer.answer if rrset.rdtype == dns.rdatatype.SOA for rdata in rrset]
    if not hosts:
        raise DNSError(f"there is no zone `{shown(zone)}`: it has no SOA record", hint=_registered(zone))
    servers = _at_addresses(hosts[0], resolver, port)
    if not servers:
        raise DNSError(
            f"the primary server `{shown(hosts[0])}` of zone `{shown(zone)}` has no address",
            hint="set `server` of the solver",
        )
    return servers


def _at_addresses(host: Name, resolver: Resolver, port: int) -> tuple[Nameserver, ...]:
    return tuple(Nameserver(shown(host), Endpoint(address, port)) for address in resolver.addresses(host))


def _target(answer: Message, name: Name) -> Name | None:
    for rrset in answer.answer:
        if rrset.rdtype == dns.rdatatype.CNAME and rrset.name == name:
            target: Name = rrset[0].target
            return target
    return None


def _is_meant(chain: list[Name], target: Name, resolver: Resolver, zone: Name | None, *, of_tlsa: bool) -> bool:
    """Whether the CNAME at the end of the chain says where the records are, and is not just one for hosts."""
    if of_tlsa:
        return not _is_for_hosts(chain[-1], target, resolver)
    return len(chain) > 1 or _is_delegated(chain[0], target, resolver, zone)


def _is_for_hosts(name: Name, target: Name, resolver: Resolver) -> bool:
    """Whether a wildcard above the names with `_` makes the CNAME: a host beside them that nobody made has the same one.

    The name itself is not asked for: the resolver may remember its CNAME from before it had records.
    """
    around = name.parent()
    while around.labels[0].startswith(b"_"):
        around = around.parent()
    beside = stranger(around)
    return _target(resolver.ask(beside, dns.rdatatype.CNAME), beside) == target


def _is_delegated(asked: Name, target: Name, resolver: Resolver, zone: Name | None) -> bool:
    """Whether a CNAME stands at `asked` itself: a name beside it that nobody made has another one, or none."""
    if zone is not None and not asked.is_subdomain(zone):
        return True
    beside = stranger(asked.parent())
    return _target(resolver.ask(beside, dns.rdatatype.CNAME), beside) != target


def _extend(chain: list[Name], target: Name) -> None:
    chain.append(target)
    if target in chain[:-1]:
        raise DNSError("the CNAMEs go round in a circle", hint="correct the CNAME records")
    if len(chain) > _MAX_CNAMES + 1:
        raise DNSError(f"there are more than {_MAX_CNAMES} CNAMEs", hint="let the first point at the last")


def _soa_owner(answer: Message, name: Name) -> Name | None:
    for rrset in (*answer.answer, *answer.authority):
        if rrset.rdtype == dns.rdatatype.SOA and name.is_subdomain(rrset.name):
            return rrset.name
    return None


def _walk(name: Name, resolver: Resolver) -> Name:
    """The zone around `name` for resolvers that keep the SOA of a negative answer to themselves."""
    while len(name) > 1:
        answer = resolver.ask(name, dns.rdatatype.SOA)
        found = _soa_owner(answer, name)
        if found is not None and _target(answer, name) is None:  # else it is the zone that a wildcard's CNAME leads to
            return found
        name = name.parent()
    return name


def _checked(zone: Name, chain: list[Name]) -> Name:
    owner = chain[-1]
    if len(zone) == 1:
        raise DNSError(
            f"there is no zone for `{_arrows(chain)}`: nothing between it and the root", hint=_registered(owner)
        )
    if not owner.is_subdomain(zone):
        raise DNSError(
            f"`{_arrows(chain)}` is not in zone `{shown(zone)}`", hint="correct `zone` of the solver, or leave it out"
        )
    return zone


def _arrows(chain: list[Name]) -> str:
    return " -> ".join(shown(name) for name in chain)


def _registered(name: Name) -> str:
    return f"is the domain registered and delegated? `dig +trace {shown(name)} SOA`"
