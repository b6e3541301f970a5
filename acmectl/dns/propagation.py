"""Waiting until every authoritative server answers a record, because the CA asks whichever it likes.

Rounds of questions: every server is asked in parallel with the others, several of its names by one worker, each question with a
time limit of its own; a server that is silent is not asked for the rest of its names before the next round. What was seen once
is not asked again.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import dns.flags
import dns.rcode
import dns.rdatatype
from dns.message import Message

from acmectl.dns.exchange import NoRoute, ask
from acmectl.dns.records import Record, shown
from acmectl.dns.resolver import question
from acmectl.dns.zones import Nameserver
from acmectl.errors import DNSError
from acmectl.options import format_duration
from acmectl.workers import each, pause

_WORKERS = 32
_QUESTION_SECONDS = 3.0
_NAMES_PER_TASK = 25
_HINT = "see `dig @SERVER NAME TXT`; set the servers to wait for with `propagation: {servers: [...]}` of the solver"

_Reasons = dict[tuple[Record, Nameserver], DNSError]


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait in all, and the pause between two rounds."""

    timeout: timedelta
    interval: timedelta


@dataclass(frozen=True, slots=True)
class _Task:
    server: Nameserver
    records: tuple[Record, ...]


def wait_until_seen(
    expected: Mapping[Record, Sequence[Nameserver]],
    *,
    patience: Patience,
    authoritative: bool = True,
    enough: int | None = None,
) -> dict[Record, DNSError]:
    """Ask until all servers of each record answer it, or the time is over; returns the reason for each that is not seen.

    `authoritative` demands that a server answers for the zone itself (AA), which is what makes a lame one visible; a
    configured server may also be a resolver. A record that `enough` servers answer (each at all its addresses) is seen, although
    others lag; None is all of them. Everybody is asked once at least, and once more when the time is over. A server without an address that this host has a
    route to is one that is not seen; one of several addresses without a route is left out.
    """
    end = time.monotonic() + patience.timeout.total_seconds()
    pending = [(record, server) for record, servers in expected.items() for server in servers]
    while True:
        reasons = _without_unreachable(_round(pending, authoritative), expected)
        reasons = _without_enough(reasons, expected, enough)
        pending = list(reasons)
        rest = end - time.monotonic()
        if not pending or rest <= 0:
            return _explain(reasons, patience, enough)
        pause(min(patience.interval.total_seconds(), rest))


def _round(pending: Sequence[tuple[Record, Nameserver]], authoritative: bool) -> _Reasons:  # noqa: FBT001  # handed on
    done, _ = each(_tasks(pending), lambda task: _ask_all(task, authoritative=authoritative), workers=_WORKERS)
    return {key: error for reasons in done.values() for key, error in reasons.items()}


def _tasks(pending: Sequence[tuple[Record, Nameserver]]) -> list[_Task]:
    of_server: dict[Nameserver, list[Record]] = defaultdict(list)
    for record, server in pending:
        of_server[server].append(record)
    return [
        _Task(server, tuple(records[start : start + _NAMES_PER_TASK]))
        for server, records in of_server.items()
        for start in range(0, len(records), _NAMES_PER_TASK)
    ]


def _ask_all(task: _Task, *, authoritative: bool) -> _Reasons:
    """Why each record of the task is not there yet; one silence ends it."""
    reasons: _Reasons = {}
    for index, record in enumerate(task.records):
        try:
            sent = question(record.owner, record.rdata.rdtype, recurse=not authoritative)
            answer = ask(sent, task.server.endpoint, seconds=_QUESTION_SECONDS)
        except DNSError as error:
            return reasons | {(rest, task.server): error for rest in task.records[index:]}
        if lack := _lack(answer, record, authoritative=authoritative):
            reasons[record, task.server] = DNSError(lack)
    return reasons


def _lack(answer: Message, record: Record, *, authoritative: bool) -> str | None:
    """What is wrong with an answer, None if the record is in it."""
    rcode = answer.rcode()
    if rcode not in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}:
        return f"answers {dns.rcode.to_text(rcode)}"
    if authoritative and not answer.flags & dns.flags.AA:
        return "is lame: it does not answer for the zone"
    others = 0
    for rrset in answer.answer:
        if rrset.rdtype == record.rdata.rdtype:
            if record.rdata in rrset:
                return None
            others += len(rrset)
        elif rrset.rdtype == dns.rdatatype.CNAME and rrset.name == record.owner:
            return f"has a CNAME there, to `{shown(rrset[0].target)}`"
    return "does not have the record yet" + (f", but {others} other{'s'[: others > 1]}" if others else "")


def _without_unreachable(reasons: _Reasons, expected: Mapping[Record, Sequence[Nameserver]]) -> _Reasons:
    """Leave out addresses without a route (IPv6 from a host without it) of servers that have another address."""

    def has_another(record: Record, server: Nameserver) -> bool:
        others = [other for other in expected[record] if other.name == server.name and other != server]
        return any(not isinstance(reasons.get((record, other)), NoRoute) for other in others)

    return {
        (record, server): error
        for (record, server), error in reasons.items()
        if not (isinstance(error, NoRoute) and has_another(record, server))
    }


def _without_enough(reasons: _Reasons, expected: Mapping[Record, Sequence[Nameserver]], enough: int | None) -> _Reasons:
    """Leave out the records that enough servers have. Servers are told apart by name."""
    if enough is None:
        return reasons
    lacking: dict[Record, set[str]] = defaultdict(set)
    for record, server in reasons:
        lacking[record].add(server.name)
    seen = {record for record, names in lacking.items() if len({s.name for s in expected[record]} - names) >= enough}
    return {(record, server): error for (record, server), error in reasons.items() if record not in seen}


def _explain(reasons: _Reasons, patience: Patience, enough: int | None) -> dict[Record, DNSError]:
    said: dict[Record, list[str]] = defaultdict(list)
    for (record, server), error in reasons.items():
        said[record].append(f"{server}: {error.message}")
    after = format_duration(patience.timeout)
    servers = "all name servers" if enough is None else f"{enough} name server{'s'[: enough > 1]}"
    return {
        record: DNSError(
            f"{record.rdata.rdtype.name} of `{shown(record.owner)}` is not on {servers} after {after}: "
            + "; ".join(texts),
            hint=_HINT,
        )
        for record, texts in said.items()
    }
