"""TLSA records (RFC 6698, RFC 7671): the services whose keys are published, and what is known of each published key."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True, order=True)
class Service:
    """A TLS service by the name that clients connect to, its port, and `tcp`, `udp` or `sctp`."""

    host: str
    port: int
    protocol: str = "tcp"

    @property
    def owner(self) -> str:
        """Where its TLSA records lie (RFC 6698 section 3), without a dot at the end: `_25._tcp.mail.example.org`."""
        return f"_{self.port}._{self.protocol}.{self.host}"

    def __str__(self) -> str:
        return f"{self.host}:{self.port}" + ("" if self.protocol == "tcp" else f"/{self.protocol}")


@dataclass(frozen=True, slots=True, order=True)
class TlsaRecord:
    """One TLSA record: its owner name, and its data in the form of a zone file, `3 1 1 0123...`, hexadecimal in lower case."""

    owner: str
    association: str

    def line(self, ttl: timedelta) -> str:
        """The line of a zone file (RFC 1035 section 5.1)."""
        return f"{self.owner}. {int(ttl.total_seconds())} IN TLSA {self.association}"


def association(pin: str) -> str:
    """`3 1 1 HASH` for the key with this pin: DANE-EE, its SubjectPublicKeyInfo, SHA-256 (RFC 7671 section 5.1).

    A pin (RFC 7469) is the base64 of the same hash.
    """
    return f"3 1 1 {base64.b64decode(pin).hex()}"


@dataclass(frozen=True, slots=True)
class RecordSet:
    """The TLSA records at one owner name, as all servers of the zone were just seen with them.

    `everywhere` are those that every server has, `anywhere` those that one has at least; `ttl` is the longest time to live.
    """

    everywhere: frozenset[str] = frozenset()
    anywhere: frozenset[str] = frozenset()
    ttl: timedelta = timedelta()


@dataclass(frozen=True, slots=True)
class KeptSet:
    """That resolvers may keep a record set of an owner name for `lives_for`.

    `until` is when the last of them has forgotten it; None for the one that was in the zone at the last look.
    """

    owner: str
    lives_for: timedelta
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Publication:
    """What is known of the record of one key at one owner name.

    `is_ours` says that we asked (or were about to ask) a server to add it, so that we may remove it. `seen_at` is since when every
    authoritative server was seen with it; None where one was seen without it last. `lives_for` is the longest time for which a
    resolver may keep a record set without it. `retired_at` is since when its key serves nobody any more.
    """

    owner: str
    spki: str
    is_ours: bool = False
    seen_at: datetime | None = None
    lives_for: timedelta = timedelta()
    retired_at: datetime | None = None

    @property
    def record(self) -> TlsaRecord:
        """The record itself."""
        return TlsaRecord(self.owner, association(self.spki))


@dataclass(frozen=True, slots=True)
class Uptime:
    """How many seconds this host has run since it was started, and which start that was: time that nobody can set."""

    boot: str
    seconds: float


@dataclass(frozen=True, slots=True)
class PublishedKeys:
    """All that is known of the published keys of one certificate (of one kind).

    `usable` are the pins of keys that every client is known to accept, when it was last looked at `looked_at`. `left` is the pin of a
    key that a person wants replaced: once another one is in use, it says nothing any more. `is_bare` says that no client
    knew of any record then, so that all accept whatever key. `uptime` is that of this host then. `sets` are those that resolvers may have.
    """

    publications: tuple[Publication, ...] = ()
    usable: frozenset[str] = field(default=frozenset())
    looked_at: datetime | None = None
    left: str | None = None
    is_bare: bool = False
    uptime: Uptime | None = None
    sets: tuple[KeptSet, ...] = ()

    def find(self, owner: str, spki: str) -> Publication | None:
        """What is known of one key at one owner name."""
        return next((p for p in self.publications if (p.owner, p.spki) == (owner, spki)), None)
