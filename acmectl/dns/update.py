"""Dynamic updates (RFC 2136) signed with TSIG (RFC 8945): records are added and removed by value, one message a zone.

A message is done as a whole or not at all, so one name that the server's policy refuses would take its neighbours with it: a refused
message is divided, and the names that are refused for themselves are found. The records of one name are never divided: TLSA records
that come one after the other would have clients turn away in between. Adding what is there and
removing what is gone are no failures (RFC 2136 sections 3.4.2.2 and 3.4.2.4), which makes both calls repeatable.

Adding beside a CNAME is dropped by the server, which answers NOERROR all the same (section 3.4.2.2). So each name to be added to bears the
prerequisite that no CNAME is there: a CNAME that our resolver does not show yet, or not to us, is then told by the primary itself.
Only the primary knows as well whether a name has records of its own, or those of a wildcard (section 2.4.4).
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import dns.exception
import dns.message
import dns.rcode
import dns.rdatatype
import dns.tsig
import dns.update
from dns.name import Name
from dns.update import UpdateMessage

from acmectl.dns.endpoints import Endpoint
from acmectl.dns.exchange import NotConnected, send_tcp
from acmectl.dns.records import Record, shown
from acmectl.dns.tsig import TsigKey
from acmectl.errors import DNSError

_MAX_RECORDS = 500  # a message; servers limit the time that one may take
_MAX_OCTETS = 64_000  # a message, of the 65535 that fit: the rest is for header, zone and signature; before compression
_DIVISIBLE = {dns.rcode.REFUSED, dns.rcode.YXRRSET, dns.rcode.NXDOMAIN}  # said of one record among many
_MAX_DIVISIONS = 40  # refused messages that are divided: enough for four bad names among a thousand


class UpdateRefused(DNSError):
    """The server understood the message, and did not do it; `divisible` if another content may be welcome."""

    def __init__(self, message: str, *, hint: str | None, divisible: bool) -> None:
        super().__init__(message, hint=hint)
        self.divisible = divisible


class Unanswered(DNSError):
    """No answer, or none that can be trusted: whether the update was made is not known."""


@dataclass(frozen=True, slots=True)
class Primary:
    """Where updates of `zone` go: the addresses of its primary server, tried in order, and the key that we share with it."""

    zone: Name
    endpoints: tuple[Endpoint, ...]
    key: TsigKey | None
    timeout: timedelta


def add(
    records: Sequence[Record], *, primary: Primary, ttl: timedelta, hosts: Mapping[Name, Name] | None = None
) -> dict[Record, DNSError]:
    """Add every record to its set, beside what is there; returns the reason for each that was not added.

    `hosts` are, by owner names, names above them that must have records of their own: else they would lose those of a wildcard.
    """
    seconds = int(ttl.total_seconds())

    def change(message: UpdateMessage, record: Record) -> None:
        message.absent(record.owner, dns.rdatatype.CNAME)
        if hosts and record.owner in hosts:
            message.present(hosts[record.owner])
        message.add(record.owner, seconds, record.rdata)

    return _update(records, primary, change, names=3 if hosts else 2)


def remove(records: Sequence[Record], *, primary: Primary) -> dict[Record, DNSError]:
    """Remove exactly these records and leave the others of their sets; returns the reason for each that is left."""
    return _update(records, primary, lambda message, record: message.delete(record.owner, record.rdata), names=2)


_Change = Callable[[UpdateMessage, Record], None]


_Set = list[Record]
"""Records of one owner name."""


def _update(records: Sequence[Record], primary: Primary, change: _Change, *, names: int) -> dict[Record, DNSError]:
    """Each change names the owner, or one above it, `names` times at most: in its prerequisites, and in itself."""
    failures: dict[Record, DNSError] = {}
    waiting = _messages(dict.fromkeys(records), names)
    divisions = 0
    while waiting:
        batch = waiting.pop(0)
        sent = list(itertools.chain.from_iterable(batch))
        try:
            _send(_message(sent, primary, change), primary)
        except DNSError as error:
            divisible = isinstance(error, UpdateRefused) and error.divisible
            if divisible and len(batch) > 1 and divisions < _MAX_DIVISIONS:
                divisions += 1
                waiting += [batch[: len(batch) // 2], batch[len(batch) // 2 :]]
            else:
                failures |= dict.fromkeys(sent, error)
    return failures


def _messages(records: Iterable[Record], names: int) -> list[list[_Set]]:
    """The record sets of each message: as many as fit. Only one that no message can hold is in several."""
    by_owner: dict[Name, _Set] = {}
    for record in records:
        by_owner.setdefault(record.owner, []).append(record)
    parts = [part for records_ in by_owner.values() for part in _packed([[record] for record in records_], names)]
    return _packed([list(itertools.chain.from_iterable(part)) for part in parts], names)


def _packed(sets: Iterable[_Set], names: int) -> list[list[_Set]]:
    """The sets, in their order, in as few portions as messages can hold."""
    portions: list[list[_Set]] = []
    count = octets = 0
    for one in sets:
        size = sum(_size(record, names) for record in one)
        count, octets = count + len(one), octets + size
        if not portions or count > _MAX_RECORDS or octets > _MAX_OCTETS:
            portions.append([])
            count, octets = len(one), size
        portions[-1].append(one)
    return portions


def _size(record: Record, names: int) -> int:
    owner = len(record.owner.to_wire() or b"") + 10
    return names * owner + len(record.rdata.to_wire() or b"")


def _message(records: Sequence[Record], primary: Primary, change: _Change) -> UpdateMessage:
    message = dns.update.UpdateMessage(primary.zone)
    for record in records:
        change(message, record)
    if primary.key:
        message.use_tsig(primary.key.for_dnspython())
    return message


def _send(message: UpdateMessage, primary: Primary) -> None:
    """Send to the first address that answers. One that was silent may have done it: doing it twice does no harm.

    Where not even a connection came about, at any address, certainly nothing was done: NotConnected, and not Unanswered.
    """
    end = time.monotonic() + primary.timeout.total_seconds()
    unanswered: list[DNSError] = []
    for index, endpoint in enumerate(primary.endpoints):
        share = (end - time.monotonic()) / (len(primary.endpoints) - index)  # a silent address leaves time for the next
        try:
            answer = send_tcp(_wire(message, primary), endpoint, seconds=max(share, 0.5))
        except DNSError as error:
            unanswered.append(error)
            continue
        _check(answer, message, primary, endpoint)
        return
    if all(isinstance(error, NotConnected) for error in unanswered):
        raise unanswered[0]  # a server has an address
    first = next(error for error in unanswered if not isinstance(error, NotConnected))
    raise Unanswered(first.message, hint=first.hint) from first


def _wire(message: UpdateMessage, primary: Primary) -> bytes:
    try:
        return message.to_wire()
    except (dns.exception.DNSException, ValueError) as cause:  # ValueError: a length that no field can hold
        zone = shown(primary.zone)
        raise DNSError(f"the update of zone `{zone}` cannot be written: is a record too long for a message?") from cause


def _check(answer: bytes, sent: UpdateMessage, primary: Primary, server: Endpoint) -> None:
    zone, key = primary.zone, primary.key
    refused = f"name server `{server}` refuses the update of zone `{shown(zone)}`"
    named = f"the TSIG key `{key.name}`" if key else "no key"
    try:
        reply = dns.message.from_wire(answer, keyring=sent.keyring or False, request_mac=sent.mac)
    except dns.tsig.PeerError as cause:
        reason, hint = _peer_reason(cause, key)
        raise UpdateRefused(f"{refused}: {reason}", hint=hint, divisible=False) from cause
    except (dns.tsig.BadTime, dns.tsig.BadSignature, dns.tsig.BadKey, dns.tsig.BadAlgorithm) as cause:
        raise Unanswered(f"the answer of name server `{server}` is not signed with {named} as it should be") from cause
    except (dns.exception.DNSException, ValueError, EOFError) as cause:
        raise _unsigned(answer, refused, zone, named) from cause
    if key and not reply.had_tsig:  # dnspython 2.9 refuses it above; success must never rest on that
        raise _unsigned(answer, refused, zone, named)
    if not sent.is_response(reply):
        raise Unanswered(f"name server `{server}` sent an answer that is not for our update")
    if reply.rcode() != dns.rcode.NOERROR:
        raise _explain(reply.rcode(), refused, zone, named, sent)


def _peer_reason(cause: dns.tsig.PeerError, key: TsigKey | None) -> tuple[str, str]:
    name, algorithm = (key.name, key.algorithm) if key else ("", "")
    match cause:
        case dns.tsig.PeerBadKey():
            return (
                f"it has no TSIG key `{name}` with algorithm `{algorithm}` (BADKEY)",
                _COMPARE,
            )
        case dns.tsig.PeerBadSignature():
            return (
                f"its TSIG key `{name}` has another secret (BADSIG)",
                "copy the `key` statement from the server's configuration again",
            )
        case dns.tsig.PeerBadTime():
            return "the clocks differ by more than 5 minutes (BADTIME)", "set the clock: `timedatectl set-ntp true`"
        case _:
            return f"TSIG error {type(cause).__name__}", "see the log of the name server"


_COMPARE = (
    "compare name and algorithm with the `key` statement in the server's configuration; "
    "Knot says so too where no `acl` of the zone lets the key update it"
)


def _unsigned(answer: bytes, refused: str, zone: Name, named: str) -> Unanswered:
    """An answer that is damaged or bears no signature: nothing in it is proven, and its rcode is still the best clue.

    Knot says NOTAUTH like this for a zone that it does not have, PowerDNS REFUSED for any wrong key, BIND REFUSED for updates at a secondary.
    """
    rcode = dns.rcode.Rcode(answer[3] & 0x0F) if len(answer) > 3 else None
    hints = {
        dns.rcode.NOTAUTH: f"does it serve zone `{shown(zone)}` as primary? set `server` or `zone` of the solver",
        dns.rcode.REFUSED: f"does it know {named} with its algorithm and secret, allow updates with it, and have our time?",
        dns.rcode.NOTIMP: "it knows no dynamic updates, or is not the primary server: set `server` of the solver",
    }
    whole = f"does it know {named}, does it allow updates, and is it the primary server of the zone?"
    said = "nothing" if rcode is None else dns.rcode.to_text(rcode)
    return Unanswered(f"{refused}: it answers {said}, not signed", hint=hints.get(rcode, whole) if rcode else whole)


def _policy(sent: UpdateMessage) -> str:
    """What a key needs to be granted in BIND for one of the records of the message."""
    kind = sent.update[0].rdtype.name if sent.update else "TXT"
    return "_acme-challenge.NAME TXT" if kind == "TXT" else f"NAME {kind}"


def _hosts(sent: UpdateMessage) -> str:
    """The names that the message demands to have records of their own."""
    demanded = (one.name for one in sent.prerequisite if one.rdtype == dns.rdatatype.ANY)
    return ", ".join(f"`{shown(name)}`" for name in dict.fromkeys(demanded))


def _explain(rcode: dns.rcode.Rcode, refused: str, zone: Name, named: str, sent: UpdateMessage) -> UpdateRefused:
    text, hosts = dns.rcode.to_text(rcode), _hosts(sent)
    reasons = {
        dns.rcode.REFUSED: (
            f"{named} may not change these records (REFUSED)",
            f"allow it on the server: `update-policy {{ grant KEY name {_policy(sent)}; }};`",
        ),
        dns.rcode.NOTAUTH: (
            f"it does not serve zone `{shown(zone)}` as primary (NOTAUTH)",
            "set `server` of the solver to the primary server, or `zone` to the zone that it serves",
        ),
        dns.rcode.YXRRSET: (
            "a CNAME stands in the place of the record, and a record beside it would be dropped (YXRRSET)",
            "is it new? wait until `resolvers` know it, or set them to servers that do",
        ),
        dns.rcode.NOTZONE: ("a name lies outside the zone (NOTZONE)", "correct `zone` of the solver"),
        dns.rcode.SERVFAIL: (
            "it failed (SERVFAIL)",
            "see its log; often it may not write the zone's journal in its directory",
        ),
        dns.rcode.NOTIMP: ("it knows no dynamic updates (NOTIMP)", "use another solver for this zone"),
    }
    if hosts:
        reasons[dns.rcode.NXDOMAIN] = (
            f"{hosts} has its addresses from a wildcard, and would lose them with a record below it (NXDOMAIN)",
            f"give {hosts} address records of its own first",
        )
    reason, hint = reasons.get(rcode, (f"it answers {text}", "see the log of the name server"))
    return UpdateRefused(f"{refused}: {reason}", hint=hint, divisible=rcode in _DIVISIBLE)
