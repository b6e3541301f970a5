"""What each server of a zone answers for a name right now: whole record sets, with their time to live, as resolvers would take them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import dns.flags
import dns.rcode
import dns.rdatatype
from dns.message import Message
from dns.name import Name
from dns.rdata import Rdata
from dns.rrset import RRset

from acmectl.dns.exchange import NoRoute, ask
from acmectl.dns.records import parse_name, shown
from acmectl.dns.resolver import Resolver, question
from acmectl.dns.zones import Nameserver
from acmectl.errors import AcmectlError, DNSError
from acmectl.workers import each

_CNAME = dns.rdatatype.CNAME
_WORKERS = 16
_QUESTION_SECONDS = 3.0
_TRIES = 2


@dataclass(frozen=True, slots=True)
class Answered:
    """The data of a record set in presentation format, its time to live, and whether signatures came with it; no data if there is none.

    `alias` is where a CNAME leads that stands there instead. `of_wildcard` says that by its signature a wildcard made the answer.
    """

    data: frozenset[str]
    ttl: timedelta
    is_signed: bool
    alias: Name | None = None
    of_wildcard: bool = False


def answers(
    owners: Sequence[tuple[Name, Sequence[Nameserver]]], rdtype: str, *, authoritative: bool = True
) -> dict[Name, dict[Nameserver, Answered] | DNSError]:
    """What every server answers for each name; DNSError for a name that one of its servers does not answer.

    `authoritative` demands that a server answers for the zone itself (AA). Of a server with several addresses, those that this host
    has no route to are left out.
    """
    tasks = [(owner, server) for owner, servers in owners for server in servers]
    kind = dns.rdatatype.from_text(rdtype)
    done, failed = each(
        tasks, lambda task: _answered(task[0], kind, task[1], authoritative=authoritative), workers=_WORKERS
    )
    found: dict[Name, dict[Nameserver, Answered] | DNSError] = {}
    for owner, servers in owners:
        errors = {server: failed[owner, server] for server in servers if (owner, server) in failed}
        lacking = {s: e for s, e in errors.items() if not (isinstance(e, NoRoute) and _has_another(s, servers, errors))}
        if lacking:
            said = "; ".join(f"{server}: {error.message}" for server, error in lacking.items())
            found[owner] = DNSError(f"cannot see {rdtype} of `{shown(owner)}` at all name servers: {said}", hint=_HINT)
        else:
            found[owner] = {server: done[owner, server] for server in servers if (owner, server) in done}
    return found


def behind_aliases(answered: Answered, owner: Name, rdtype: str, resolver: Resolver) -> Answered:
    """The same with what the resolver finds where the CNAMEs of `owner` lead. Raises DNSError."""
    kind = dns.rdatatype.from_text(rdtype)
    found = [rrset for rrset in resolver.ask(owner, kind).answer if rrset.rdtype == kind]
    return replace(answered, data=_data(found), ttl=_ttl(found))


def is_validated(name: str, rdtype: str, resolver: Resolver) -> bool:
    """Whether the resolver says that it checked the signatures of its answer (AD, RFC 6840 section 5.7). Raises DNSError."""
    sent = question(parse_name(name), dns.rdatatype.from_text(rdtype), recurse=True)
    sent.flags |= dns.flags.AD
    for endpoint in resolver.endpoints:
        try:
            answer = ask(sent, endpoint, seconds=_QUESTION_SECONDS)
        except DNSError:
            continue
        if answer.rcode() in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}:
            return bool(answer.flags & dns.flags.AD)
    raise DNSError(f"no resolver answers for `{name}`")


def has_delegation_signer(zone: Name, resolver: Resolver) -> bool:
    """Whether the parent of the zone vouches for its keys (DS, RFC 4034 section 5). Raises DNSError."""
    answer = resolver.ask(zone, dns.rdatatype.DS)
    return any(rrset.rdtype == dns.rdatatype.DS and rrset.name == zone for rrset in answer.answer)


def _has_another(server: Nameserver, servers: Sequence[Nameserver], errors: dict[Nameserver, AcmectlError]) -> bool:
    others = [other for other in servers if other.name == server.name and other != server]
    return any(not isinstance(errors.get(other), NoRoute) for other in others)


def _answered(owner: Name, kind: dns.rdatatype.RdataType, server: Nameserver, *, authoritative: bool) -> Answered:
    sent = question(owner, kind, recurse=not authoritative)
    sent.want_dnssec(True)
    for left in reversed(range(_TRIES)):  # UDP loses a message now and then
        try:
            return _read(
                ask(sent, server.endpoint, seconds=_QUESTION_SECONDS), owner, kind, authoritative=authoritative
            )
        except NoRoute:
            raise
        except DNSError:
            if not left:
                raise
    raise AssertionError  # the loop returns or raises


def _read(answer: Message, owner: Name, kind: dns.rdatatype.RdataType, *, authoritative: bool) -> Answered:
    rcode = answer.rcode()
    if rcode not in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}:
        raise DNSError(f"answers {dns.rcode.to_text(rcode)}")
    if authoritative and not answer.flags & dns.flags.AA:
        raise DNSError("is lame: it does not answer for the zone")
    found = [rrset for rrset in answer.answer if rrset.rdtype == kind and rrset.name == owner]
    cnames = [rrset[0].target for rrset in answer.answer if rrset.rdtype == _CNAME and rrset.name == owner]
    signed = any(rrset.rdtype == dns.rdatatype.RRSIG for rrset in (*answer.answer, *answer.authority))
    return Answered(_data(found), _ttl(found), signed, next(iter(cnames), None), _is_of_wildcard(answer, owner))


def _is_of_wildcard(answer: Message, owner: Name) -> bool:
    """A signature counts the labels of the wildcard, which are fewer than those of the name (RFC 4035 section 5.3.4)."""
    signatures = (rrset for rrset in answer.answer if rrset.rdtype == dns.rdatatype.RRSIG and rrset.name == owner)
    return any(rdata.labels < len(owner) - 1 for rrset in signatures for rdata in rrset)  # but for that of the root


def _data(found: Iterable[RRset]) -> frozenset[str]:
    return frozenset(_text(rdata) for rrset in found for rdata in rrset)


def _ttl(found: Iterable[RRset]) -> timedelta:
    return timedelta(seconds=max((rrset.ttl for rrset in found), default=0))


def _text(rdata: Rdata) -> str:
    """TLSA data in one form: dnspython breaks long hexadecimal into words."""
    words = rdata.to_text().split()
    return " ".join([*words[:3], "".join(words[3:]).lower()]) if rdata.rdtype == dns.rdatatype.TLSA else " ".join(words)


_HINT = "see `dig @SERVER NAME TLSA`; set the servers to look at with `servers` of `tlsa`"
