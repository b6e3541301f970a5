"""A zone with DANE, and two clients that check it and look again and again while a test changes keys.

BIND signs the zone and takes updates; Knot is its second name server and lags behind, because nobody tells it of changes; unbound
checks signatures and remembers answers. The clients are Postfix's (`posttls-finger`, STARTTLS at port 25) and NLnet Labs'
(`ldns-dane`, TLS at port 465). Each look is a new process with a new connection, and knows no CA: without the right TLSA record,
signed, it does not get through.
"""

from __future__ import annotations

import contextlib
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.rrset
import dns.tsig
import dns.update

from tests.servers.bind import Bind, Key, running_bind
from tests.servers.knot import Knot, running_knot
from tests.servers.name_server import NameServer, Zone, require
from tests.servers.own_network import own_network
from tests.servers.unbound import Unbound, running_unbound

ZONE = "dane.test"
MAIL = f"mail.{ZONE}"
SMTP, SUBMISSIONS = 25, 465
LAG = 3  # seconds: how often the second name server asks whether there is something new
_RESOLVER = "127.0.0.3"
_SECONDS = 60.0
_LOOK_SECONDS = 60
_PAUSE = 0.1  # seconds between two looks of a client


@dataclass(frozen=True, slots=True)
class World:
    """The name servers: `bind` and `knot` are authoritative, `unbound` is what clients ask."""

    bind: Bind
    knot: Knot
    unbound: Unbound

    def published(self, port: int, *, at: NameServer | None = None) -> set[str]:
        """The TLSA records for the port at a name server (BIND), as text: `3 1 1 ...`."""
        return {str(rdata) for rrset in _ask(at or self.bind, owner(port), "TLSA") for rdata in rrset}

    def publish(self, port: int, *records: str, ttl: int) -> None:
        """By hand: let these be all TLSA records for the port, at BIND."""
        key = self.bind.keys["acmectl"]
        keyring = {dns.name.from_text(key.name): dns.tsig.Key(key.name, key.secret, key.algorithm)}
        message = dns.update.UpdateMessage(ZONE, keyring=keyring)
        message.delete(owner(port) + ".", "TLSA")
        for record in records:
            message.add(owner(port) + ".", ttl, "TLSA", record)
        answer = dns.query.tcp(message, self.bind.address, timeout=10, port=self.bind.port)
        assert answer.rcode() == dns.rcode.NOERROR, answer

    def remembered(self, port: int) -> tuple[set[str], int]:
        """The TLSA records that clients get, and for how many seconds they will get just these."""
        rrset = self.unbound.look(owner(port), "TLSA")
        return ({str(rdata) for rdata in rrset}, rrset.ttl) if rrset else (set(), 0)


def owner(port: int) -> str:
    """Where the TLSA records for a port are."""
    return f"_{port}._tcp.{MAIL}"


@contextlib.contextmanager
def dane_world(directory: Path, *, records: Sequence[str] = ()) -> Iterator[World]:
    """The name servers, and a network in which there are no others, for this thread and for what it starts.

    `records` are lines of the zone's file. The zone is signed, and both servers have it so, when the block begins.
    """
    hosts = ["ns1 IN A 127.0.0.1", "ns2 IN A 127.0.0.2", "mail IN A 127.0.0.1", "@ IN MX 10 mail"]
    zone = Zone(ZONE, [*hosts, *records], nameservers=("ns1", "ns2"), refresh=LAG, signed=True)
    with contextlib.ExitStack() as stack:
        stack.enter_context(own_network(_RESOLVER))
        bind = stack.enter_context(running_bind(directory, zones=[zone], keys=[Key("acmectl")], port=53))
        _await(lambda: _signatures(bind), "the signatures of the zone")
        second = running_knot(directory, zones=[zone], primary=bind, address="127.0.0.2", port=53)
        knot = stack.enter_context(second)
        third = running_unbound(directory, zone=zone, anchor=_anchor(bind), servers=[bind, knot], address=_RESOLVER)
        yield World(bind, knot, stack.enter_context(third))


def _signatures(server: NameServer) -> bool:
    kinds = {rrset.rdtype for rrset in _ask(server, MAIL, "A")} & {rrset.rdtype for rrset in _ask(server, ZONE, "SOA")}
    return dns.rdatatype.RRSIG in kinds


def _anchor(server: NameServer) -> str:
    (rrset,) = (found for found in _ask(server, ZONE, "DNSKEY") if found.rdtype == dns.rdatatype.DNSKEY)
    return "\n".join(f"{ZONE}. IN DNSKEY {rdata}" for rdata in rrset)


def _ask(server: NameServer, name: str, kind: str) -> list[dns.rrset.RRset]:
    query = dns.message.make_query(name, kind, flags=dns.flags.Flag(0), want_dnssec=kind != "TLSA")
    return dns.query.tcp(query, server.address, timeout=10, port=server.port).answer


def _await(condition: Callable[[], bool], what: str) -> None:
    waiting = threading.Event()
    for _ in range(int(_SECONDS / _PAUSE)):
        if condition():
            return
        waiting.wait(_PAUSE)
    raise AssertionError(f"{what} did not come within {_SECONDS:g} s")


@dataclass(frozen=True, slots=True)
class Look:
    """One try of a client: when (`phase`, a word of the test), whether it got through, and what it said."""

    client: str
    phase: str
    verified: bool
    said: str


class Clients:
    """Validating clients, each in a thread that looks until `stop`."""

    def __init__(self) -> None:
        require("posttls-finger", "postfix")
        require("ldns-dane", "ldnsutils")
        self.phase = ""
        self.looks: list[Look] = []
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        each = {"posttls-finger": _by_postfix, "ldns-dane": _by_ldns}
        self._threads = [threading.Thread(target=self._go, args=item, daemon=True) for item in each.items()]
        for thread in self._threads:
            thread.start()

    def await_looks(self, number: int, *, verified: bool | None = None) -> None:
        """Wait until every client has looked that often from now on; with `verified`, until so many ended so."""
        with self._changed:
            begin = len(self.looks)

            def is_enough() -> bool:
                new = [look for look in self.looks[begin:] if verified is None or look.verified is verified]
                return all(count >= number for count in _each(new).values())

            assert self._changed.wait_for(is_enough, _SECONDS), f"the clients stand still, or differ: {self.looks[-4:]}"

    def failures(self) -> list[Look]:
        """The looks that did not get through."""
        return [look for look in self.looks if not look.verified]

    def counts(self) -> dict[str, dict[str, int]]:
        """How many looks of each client got through, for each phase that the test has named."""
        phases = dict.fromkeys(look.phase for look in self.looks if look.phase)
        return {p: _each([look for look in self.looks if look.phase == p and look.verified]) for p in phases}

    def stop(self) -> None:
        """Let the last looks end."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _go(self, client: str, look: Callable[[], tuple[bool, str]]) -> None:
        while not self._stopping.wait(_PAUSE):
            phase = self.phase
            verified, said = look()
            with self._changed:
                self.looks.append(Look(client, phase, verified, said))
                self._changed.notify_all()


@contextlib.contextmanager
def looking_clients() -> Iterator[Clients]:
    """Clients that have got through once, stopped at the end in any case."""
    clients = Clients()
    try:
        clients.await_looks(1, verified=True)
        yield clients
    finally:
        clients.stop()


def _each(looks: Sequence[Look]) -> dict[str, int]:
    counted = Counter(look.client for look in looks)
    return {client: counted[client] for client in ("posttls-finger", "ldns-dane")}


def _by_postfix() -> tuple[bool, str]:
    said = _say("posttls-finger", "-c", "-l", "dane", f"[{MAIL}]:{SMTP}")
    return f"Verified TLS connection established to {MAIL}" in said, said


def _by_ldns() -> tuple[bool, str]:
    said = _say("ldns-dane", "-4", "-T", "verify", MAIL, str(SUBMISSIONS))
    return "dane-validated successfully" in said and "failed" not in said, said


def _say(*argv: str) -> str:
    done = subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_LOOK_SECONDS,
        check=False,
    )
    return done.stdout
