"""Records as values: an owner name and the data, comparable and hashable."""

from __future__ import annotations

from dataclasses import dataclass

import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
from dns.name import Name
from dns.rdata import Rdata

from acmectl.errors import DNSError


@dataclass(frozen=True, slots=True)
class Record:
    """One resource record without its time to live, such as a TXT value or a TLSA association."""

    owner: Name
    rdata: Rdata

    @classmethod
    def txt(cls, owner: Name, value: str) -> Record:
        """A TXT record with one ASCII string of at most 255 characters."""
        return cls.parse(owner, "TXT", f'"{value}"')

    @classmethod
    def parse(cls, owner: Name, type: str, text: str) -> Record:  # noqa: A002  # the RFC's noun
        """A record from its presentation format (RFC 1035 section 5.1)."""
        return cls(owner, dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.from_text(type), text))

    def __str__(self) -> str:
        return f"{shown(self.owner)} {self.rdata.rdtype.name} {self.rdata.to_text()}"


def parse_name(text: str) -> Name:
    """An absolute name from text with or without a dot at the end; DNSError if it is none."""
    try:
        return dns.name.from_text(text)
    except dns.exception.DNSException as cause:
        raise DNSError(f"`{text}` is no domain name: {cause}") from cause


def shown(name: Name) -> str:
    """A name for people: without the dot at its end, except the root."""
    return name.to_text(omit_final_dot=True) if len(name) > 1 else "."
