"""What one name server says: TXT values, followed through CNAMEs, and addresses.

The server may be authoritative for several zones rather than a resolver: it answers a CNAME into a zone that another one serves
without its target, and so the target is asked for again.
"""

from __future__ import annotations

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.rrset

_SECONDS = 5.0
_MAX_ALIASES = 8


class LookupFailed(Exception):
    """No answer to a question, in Boulder's words."""


def text_values(name: str, server: tuple[str, int], *, seconds: float = _SECONDS) -> list[str]:
    """The TXT values at `name`, or at what it is an alias of; each value's strings are joined (RFC 8555 section 8.4).

    Raises LookupFailed; `seconds` is the time limit of each question.
    """
    found = _resolve(name, dns.rdatatype.TXT, server, seconds)
    return sorted(b"".join(record.strings).decode("ascii", "backslashreplace") for record in found or ())


def addresses(name: str, server: tuple[str, int], *, seconds: float = _SECONDS) -> list[str]:
    """The IPv6 and then the IPv4 addresses of `name`. Raises LookupFailed."""
    return [
        str(record.address)
        for kind in (dns.rdatatype.AAAA, dns.rdatatype.A)
        for record in _resolve(name, kind, server, seconds) or ()
    ]


def _resolve(
    name: str, kind: dns.rdatatype.RdataType, server: tuple[str, int], seconds: float
) -> dns.rrset.RRset | None:
    owner = dns.name.from_text(name)
    for _ in range(_MAX_ALIASES):
        chain = _ask(owner, kind, server, seconds).resolve_chaining()
        if chain.answer is not None or chain.canonical_name == owner:
            return chain.answer
        owner = chain.canonical_name
    raise LookupFailed(f"too many aliases looking up {dns.rdatatype.to_text(kind)} for {name}")


def _ask(
    owner: dns.name.Name, kind: dns.rdatatype.RdataType, server: tuple[str, int], seconds: float
) -> dns.message.QueryMessage:
    what = f"{dns.rdatatype.to_text(kind)} for {owner.to_text(omit_final_dot=True)}"
    query = dns.message.make_query(owner, kind, use_edns=0, payload=1232)
    try:
        answer, _ = dns.query.udp_with_fallback(query, server[0], timeout=seconds, port=server[1])
    except dns.exception.Timeout as cause:
        raise LookupFailed(f"query timed out looking up {what}") from cause
    except (dns.exception.DNSException, OSError) as cause:
        raise LookupFailed(f"networking error looking up {what}: {cause}") from cause
    code = answer.rcode()
    if code not in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}:
        raise LookupFailed(f"{dns.rcode.to_text(code)} looking up {what}")
    if code == dns.rcode.NXDOMAIN and not answer.answer:
        raise LookupFailed(f"NXDOMAIN looking up {what} - check that a DNS record exists for this domain")
    if not isinstance(answer, dns.message.QueryMessage):
        raise LookupFailed(f"the answer is no answer, looking up {what}")
    return answer
