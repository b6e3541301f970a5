"""Names of TLSA records that have no records of their own: a wildcard answers for them, until the first record is added.

Whatever is added at such a name hides the wildcard (RFC 4592 section 2.2.1), and with it records that clients need: that of a CA, or of the
key that a service has right now. It hides it from the names above as well, which then exist (section 2.2.2): a host whose addresses are a
wildcard's would have none any more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dns.name import Name

from acmectl.dns.record_sets import Answered, answers
from acmectl.dns.records import shown
from acmectl.dns.zones import Location, Nameserver, stranger
from acmectl.errors import DNSError

Seen = Mapping[Nameserver, Answered]
"""What each server of a zone says of one name."""


@dataclass(frozen=True, slots=True)
class Obstacles:
    """What wildcards have against records that are to be added.

    `refused` are the places to which nothing may be added, with the reason. `hosts` are, by other places, the hosts above them that must
    have records of their own: the primary server knows. `lost` are the reasons against those of which signatures say that they have none.
    """

    refused: Mapping[Name, DNSError]
    hosts: Mapping[Name, Name]
    lost: Mapping[Name, DNSError]


def obstacles(seen: Mapping[Location, Seen], *, authoritative: bool) -> Obstacles:
    """Those of the places, with what was just seen there. Where that cannot be known, nothing may be added either."""
    places = {location.owner: own for location, own in seen.items()}
    hidden = _hidden(places, authoritative=authoritative)
    empty = [found for found, own in seen.items() if not any(one.data for one in own.values())]
    above = {found.owner: host for found in empty if (host := _host(found))}
    asked = {host: tuple(places[owner]) for owner, host in above.items()}
    there, unknown = _addresses(asked, authoritative=authoritative)
    refused = {owner: unknown[host] for owner, host in above.items() if host in unknown} | hidden
    hosts = {owner: host for owner, host in above.items() if there[host]}
    lost = {owner: _loss(host) for owner, host in hosts.items() if any(one.of_wildcard for one in there[host])}
    return Obstacles(refused, hosts, lost)


def _hidden(places: Mapping[Name, Seen], *, authoritative: bool) -> dict[Name, DNSError]:
    """Places whose records a wildcard has: a name beside it that nobody has has the same, or the CNAME of one leads to them."""
    beside = {owner: stranger(owner.parent()) for owner in places}
    asked = [(beside[owner], tuple(own)) for owner, own in places.items()]
    said = answers(asked, "TLSA", authoritative=authoritative)
    found: dict[Name, DNSError] = {}
    for owner, own in places.items():
        other = said[beside[owner]]
        if any(one.alias and one.data for one in own.values()):
            found[owner] = _refusal(owner)
        elif isinstance(other, DNSError):
            found[owner] = other
        elif any(one.data and one.data == other[server].data for server, one in own.items()):
            found[owner] = _refusal(owner)
    return found


def _host(location: Location) -> Name | None:
    """The host in the zone that people connect to: `mail.example.org` for `_25._tcp.mail.example.org`.

    None for names of another form, to which CNAMEs lead, and for the name of the zone, which always has records of its own.
    """
    labels = location.owner.labels
    if not all(label.startswith(b"_") for label in labels[:2]):
        return None
    host = Name(labels[2:])
    return host if host != location.zone and host.is_subdomain(location.zone) else None


def _addresses(
    hosts: Mapping[Name, Sequence[Nameserver]], *, authoritative: bool
) -> tuple[Mapping[Name, Sequence[Answered]], Mapping[Name, DNSError]]:
    """The addresses or CNAMEs of each host, be they its own or a wildcard's; and why that cannot be known of some without."""
    found: dict[Name, list[Answered]] = {host: [] for host in hosts}
    failed: dict[Name, DNSError] = {}
    for kind in ("A", "AAAA"):
        for host, said in answers(list(hosts.items()), kind, authoritative=authoritative).items():
            if isinstance(said, DNSError):
                failed[host] = said
            else:
                found[host] += [one for one in said.values() if one.data or one.alias]
    return found, {host: error for host, error in failed.items() if not found[host]}


def _loss(host: Name) -> DNSError:
    name = shown(host)
    return DNSError(
        f"`{name}` has its addresses from a wildcard, and would lose them with a record below it",
        hint=f"give `{name}` address records of its own first",
    )


def _refusal(owner: Name) -> DNSError:
    name = shown(owner)
    return DNSError(
        f"a wildcard answers for `{name}`, and a record of its own there would hide those of the wildcard from clients",
        hint=f"publish by hand, in one change, at `{name}` itself: the wildcard's records (`dig {name} TLSA`), and all of `acmectl cert tlsa`",
    )
