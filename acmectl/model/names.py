"""Identifiers: the names that certificates are for, in the one form in which acmectl compares, stores and sends them.

That form is the A-label form in lower case without a trailing dot (RFC 8555 section 7.1.4 wants A-labels in orders,
and CAs compare the bytes). A wildcard is an identifier of its own beside its base name; both prove themselves in the
same TXT record set. An IP address is an identifier too (RFC 8738), in the form of RFC 5952; its value tells it from a name.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from acmectl.errors import InvalidName

_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)\Z")
_ADDRESS = re.compile(r"[0-9.]+\Z|.*:")
# Registries that register below a second level; only to tell one customer's zone from another's, so the best known will do.
_SECOND_LEVELS = frozenset({"ac", "co", "com", "edu", "gov", "ne", "net", "or", "org"})
_MAX_NAME = 253  # RFC 1035 section 2.3.4: 255 octets on the wire


@dataclass(frozen=True, slots=True, order=True)
class Identifier:
    """A DNS name (RFC 8555 section 7.1.3), `example.com` or `*.example.com`, or an IP address; make it with `parse`."""

    value: str

    @classmethod
    def parse(cls, text: str) -> Identifier:
        """The identifier that a person means by `text`; international names become A-labels (IDNA 2008, UTS 46).

        Raises InvalidName with the reason and, where there is one, the fix.
        """
        name = text.strip().removesuffix(".")
        wildcard = name.startswith("*.")
        base = _ascii(name[2:] if wildcard else name, text).lower()
        if _ADDRESS.match(base):
            return cls(_address(base, text, wildcard=wildcard))
        _check(base, text)
        return cls(f"*.{base}" if wildcard else base)

    @property
    def is_wildcard(self) -> bool:
        """Whether this is `*.` and a base name."""
        return self.value.startswith("*.")

    @property
    def is_address(self) -> bool:
        """Whether this is an IP address (RFC 8738) and not a name."""
        return bool(_ADDRESS.match(self.value))

    @property
    def type(self) -> str:
        """The type in orders and authorizations: `dns`, or `ip` (RFC 8738 section 3)."""
        return "ip" if self.is_address else "dns"

    @property
    def url_host(self) -> str:
        """What stands for it in a URL: an IPv6 address in brackets (RFC 3986 section 3.2.2)."""
        return f"[{self.value}]" if ":" in self.value else self.base

    @property
    def server_name(self) -> str:
        """The SNI of tls-alpn-01: for an address its name in the reverse tree (RFC 8738 section 6)."""
        if not self.is_address:
            return self.base
        import ipaddress

        return ipaddress.ip_address(self.value).reverse_pointer

    @property
    def zone(self) -> str:
        """What most likely changes together, known without a query: the registered domain; all addresses are one."""
        if self.is_address:
            return ""
        labels = self.base.split(".")
        is_deep = len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in _SECOND_LEVELS
        return ".".join(labels[-3:] if is_deep else labels[-2:])

    @property
    def base(self) -> str:
        """The name that authorizations of this identifier carry: without `*.` (RFC 8555 section 7.1.4)."""
        return self.value.removeprefix("*.")

    @property
    def challenge_record(self) -> str:
        """The owner name of the TXT records for dns-01 (RFC 8555 section 8.4), shared by wildcard and base name."""
        return f"_acme-challenge.{self.base}"

    def covers(self, other: Identifier) -> bool:
        """Whether a wildcard stands for `other`: exactly one label more (CAs refuse both in one order)."""
        if not self.is_wildcard or other.is_wildcard or other.is_address:
            return False
        return other.value.partition(".")[2] == self.base

    def __str__(self) -> str:
        return self.value


def any_covers(names: Collection[Identifier], name: str) -> bool:
    """Whether a certificate for `names` is for that host name or address too, by the name itself or a wildcard."""
    wanted = Identifier(name)
    return wanted in names or any(one.covers(wanted) for one in names)


def _ascii(name: str, text: str) -> str:
    if name.isascii():
        return name
    import idna  # only where a name needs it: 10 ms of start-up

    try:
        return idna.encode(name, uts46=True).decode("ascii")
    except idna.IDNAError as error:
        raise InvalidName(f"`{text}` is no international domain name: {error}") from error


def _address(name: str, text: str, *, wildcard: bool) -> str:
    """The canonical form (RFC 5952), as CAs compare it; not what has a zone index, and not IPv4 in disguise."""
    import ipaddress  # only where an address needs it

    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        hint = "write it alone: no `https://`, no port, no brackets, no network" if ":" in name else None
        raise InvalidName(f"`{text}` is neither a host name nor an IP address", hint=hint) from None
    if wildcard:
        raise InvalidName(f"`{text}` is a wildcard of an address: there are none", hint="list each address")
    if address.version == 6:
        if address.scope_id:
            raise InvalidName(f"`{text}` has a zone index: it means something on this host only")
        if address.ipv4_mapped:
            raise InvalidName(f"`{text}` is an IPv4 address in disguise", hint=f"write `{address.ipv4_mapped}`")
    return str(address)


def _check(base: str, text: str) -> None:
    if not base:
        raise InvalidName("an empty text is no host name")
    if "*" in base:
        raise InvalidName(f"`{text}` has a `*` in the wrong place", hint="only `*.` at the start, for one whole label")
    if len(base) > _MAX_NAME:
        raise InvalidName(f"`{text}` is longer than {_MAX_NAME} characters")
    if "." not in base:
        raise InvalidName(f"`{text}` has only one label", hint="write the full name, such as `mail.example.com`")
    for label in base.split("."):
        if not _LABEL.match(label):
            raise InvalidName(f"`{text}` is no host name: the label `{label}` {_reason(label)}")


def _reason(label: str) -> str:
    if not label:
        return "is empty"
    if len(label) > 63:
        return "is longer than 63 characters"
    if label.startswith("-") or label.endswith("-"):
        return "starts or ends with a hyphen"
    return "has characters other than letters, digits and hyphens"
