"""Names of TLSA records that have no records of their own: a wildcard answers for them, until the first record is added.

Whatever is added at such a name hides the wildcard (RFC 4592 section 2.2.1), and with it records that clients need: that of a CA, or of the
key that a service has right now. It hides it from the names above as well, which then exist (section 2.2.2): a host whose addresses are a
wildcard's would have none any more.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence

from dns.name import Name

from acmectl.dns.record_sets import answers
from acmectl.dns.records import shown
from acmectl.dns.zones import Nameserver
from acmectl.errors import DNSError

_LONGEST = 255  # octets of a name, with the length of each label (RFC 1035 section 2.3.4)


def hidden(places: Mapping[Name, Sequence[Nameserver]], *, authoritative: bool) -> Mapping[Name, DNSError]:
    """Those of the names to which nothing may be added, with the reason: a wildcard answers for them or for their host, or whether one does cannot be seen.

    A name beside it that nobody has is asked for too: where both have the same records, they are the wildcard's.
    """
    beside = {owner: _beside(owner) for owner in places}
    asked = [*places.items(), *((beside[owner], servers) for owner, servers in places.items())]
    said = answers(asked, "TLSA", authoritative=authoritative)
    found: dict[Name, DNSError] = {}
    for owner in places:
        own, other = said[owner], said[beside[owner]]
        if isinstance(own, DNSError):
            found[owner] = own
        elif isinstance(other, DNSError):
            found[owner] = other
        elif any(other[server].data and other[server].data == one.data for server, one in own.items()):
            found[owner] = _refusal(owner)
        elif not any(one.data for one in own.values()) and _is_made_by_wildcard(
            host := _host(owner), places[owner], authoritative=authoritative
        ):
            found[owner] = _loss(host)
    return found


def _host(owner: Name) -> Name:
    """The name above that is one of a host: `mail.example.org` for `_25._tcp.mail.example.org`."""
    while owner.labels[0].startswith(b"_"):
        owner = owner.parent()
    return owner


def _is_made_by_wildcard(host: Name, servers: Sequence[Nameserver], *, authoritative: bool) -> bool:
    """Whether a host has the same addresses as names beside it and below it that nobody has: one that exists has no wildcard's."""
    if _room(host.labels) < 1:
        return False
    names = (host, _beside(host), _below(host.labels))
    for kind in ("A", "AAAA"):
        said = answers([(name, servers) for name in names], kind, authoritative=authoritative)
        own, *others = [one for name in names if not isinstance(one := said[name], DNSError)] or [{}]
        if len(others) < 2:
            continue  # beside the zone's own name another zone begins
        if any(one.data and all(other[server].data == one.data for other in others) for server, one in own.items()):
            return True
    return False


def _beside(owner: Name) -> Name:
    """A name beside it that nobody has, as long as there is room for: at least as long as its own first label."""
    return _below(owner.labels[1:])


def _below(around: tuple[bytes, ...]) -> Name:
    return Name(((secrets.token_hex(8).encode("ascii") + b"-acmectl")[: _room(around)], *around))


def _room(around: tuple[bytes, ...]) -> int:
    """How long another label before these may be."""
    return _LONGEST - sum(len(label) + 1 for label in around) - 1


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
