"""Questions to resolvers: the system's, or those that the configuration names.

Not dnspython's resolver, because an answer about a delegation must come one step at a time: its errors
tell neither which CNAME of a chain is broken nor which server said so.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.resolver
from dns.message import Message
from dns.name import Name
from dns.rdatatype import RdataType

from acmectl.dns.endpoints import Endpoint, is_address
from acmectl.dns.exchange import ask
from acmectl.dns.records import shown
from acmectl.errors import DNSError

_EDNS_PAYLOAD = 1232  # what passes unfragmented everywhere (DNS flag day 2020)
_TRY_SECONDS = 3.0
_ROUNDS = 2


@dataclass(frozen=True, slots=True)
class Resolver:
    """The servers to ask, in order, and how long one question may take in all."""

    endpoints: tuple[Endpoint, ...]
    timeout: timedelta = timedelta(seconds=15)

    def ask(self, name: Name, rdtype: RdataType) -> Message:
        """The first answer that is NOERROR or NXDOMAIN. DNSError tells what each server said instead."""
        end = time.monotonic() + self.timeout.total_seconds()
        said: dict[Endpoint, str] = {}
        for endpoint in self.endpoints * _ROUNDS:
            rest = end - time.monotonic()
            if rest <= 0:
                break
            try:
                answer = ask(question(name, rdtype, recurse=True), endpoint, seconds=min(_TRY_SECONDS, rest))
            except DNSError as error:
                said[endpoint] = error.message
                continue
            if answer.rcode() in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}:
                return answer
            said[endpoint] = f"resolver `{endpoint}` answers {dns.rcode.to_text(answer.rcode())}"
            if answer.rcode() == dns.rcode.SERVFAIL and _answers_unchecked(name, rdtype, endpoint, rest):
                said[endpoint] += ", but has an answer for who does not check DNSSEC"
                raise DNSError(_cannot(name, rdtype, said), hint=_BOGUS.format(shown(name)))
        raise DNSError(_cannot(name, rdtype, said), hint=_HINT)

    def addresses(self, name: Name) -> tuple[str, ...]:
        """The IPv4 and IPv6 addresses of a host, none if it has none; DNSError if that cannot be known."""
        found: list[str] = []
        for rdtype in (dns.rdatatype.A, dns.rdatatype.AAAA):
            answer = self.ask(name, rdtype)
            found += [rdata.to_text() for rrset in answer.answer if rrset.rdtype == rdtype for rdata in rrset]
        return tuple(found)


def _cannot(name: Name, rdtype: RdataType, said: Mapping[Endpoint, str]) -> str:
    return f"cannot look up {rdtype.name} of `{shown(name)}`: {'; '.join(said.values())}"


def _answers_unchecked(name: Name, rdtype: RdataType, endpoint: Endpoint, seconds: float) -> bool:
    """Whether a resolver that failed answers the same question with checking disabled (CD, RFC 4035 section 3.2.2)."""
    unchecked = question(name, rdtype, recurse=True)
    unchecked.flags |= dns.flags.CD
    try:
        return ask(unchecked, endpoint, seconds=min(_TRY_SECONDS, seconds)).rcode() != dns.rcode.SERVFAIL
    except DNSError:
        return False


_BOGUS = "the zone's DNSSEC signatures are broken or expired, and CAs refuse it too: `delv {}`"
_HINT = "look at it with `dig`; other resolvers can be set with `resolvers` of the solver"


def system_resolver() -> Resolver:
    """The resolvers of /etc/resolv.conf; DNSError if there are none."""
    try:
        system = dns.resolver.Resolver()
    except (dns.exception.DNSException, OSError) as cause:
        raise DNSError(f"this host has no resolver: {cause}", hint="set `resolvers` of the solver") from cause
    endpoints = [Endpoint(text, system.port) for server in system.nameservers if is_address(text := str(server))]
    if not endpoints:
        raise DNSError("this host has no resolver: /etc/resolv.conf names none", hint="set `resolvers` of the solver")
    return Resolver(tuple(endpoints))


def question(name: Name, rdtype: RdataType, *, recurse: bool) -> Message:
    """A question with EDNS; `recurse` asks for recursion (of a resolver, not of an authoritative server)."""
    flags = dns.flags.RD if recurse else dns.flags.Flag(0)
    return dns.message.make_query(name, rdtype, use_edns=0, payload=_EDNS_PAYLOAD, flags=flags)
