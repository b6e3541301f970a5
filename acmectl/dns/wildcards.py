"""Names of TLSA records that have no records of their own: a wildcard answers for them, until the first record is added.

Whatever is added at such a name hides the wildcard (RFC 4592 section 2.2.1), and with it records that clients need: that of a CA, or of the
key that a service has right now.
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
    """Those of the names to which nothing may be added, with the reason: a wildcard answers, or whether one does cannot be seen.

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
    return found


def _beside(owner: Name) -> Name:
    """A name beside it that nobody has, as long as there is room for: at least as long as its own first label."""
    around = owner.labels[1:]
    room = _LONGEST - sum(len(label) + 1 for label in around) - 1
    return Name(((secrets.token_hex(8).encode("ascii") + b"-acmectl")[:room], *around))


def _refusal(owner: Name) -> DNSError:
    name = shown(owner)
    return DNSError(
        f"a wildcard answers for `{name}`, and a record of its own there would hide those of the wildcard from clients",
        hint=f"publish by hand, in one change, at `{name}` itself: the wildcard's records (`dig {name} TLSA`), and all of `acmectl cert tlsa`",
    )
