"""Which names an order may ask for, with Boulder's reasons (its `policy` package) for those that it may not."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence

from acmectl.errors import Problem
from acmectl.model.names import Identifier
from acmectl.sandbox.problems import refuse, rejected

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\Z")
_CHARACTERS = re.compile(r"[a-z0-9.*-]+\Z")
_NOT_PUBLIC = frozenset({"internal", "invalid", "lan", "local", "localdomain", "localhost", "onion"})  # never delegated


def accepted(wanted: Sequence[str], forbidden: Mapping[str, str]) -> frozenset[Identifier]:
    """The identifiers of a newOrder; `forbidden` maps names that this CA rejects to its reasons.

    Case, order and repetition do not matter. Raises Refused as Boulder does: one bad name in the detail, several as subproblems.
    """
    if not wanted:
        raise refuse("malformed", "NewOrder request did not specify any identifiers")
    names = dict.fromkeys(name.lower() for name in wanted)
    faults = [Problem("malformed", fault, 400, identifier=name) for name in names if (fault := _fault(name))]
    if not faults:
        faults = [
            Problem("rejectedIdentifier", forbidden[name], 400, identifier=name) for name in names if name in forbidden
        ]
    if faults:
        raise rejected(faults)
    return frozenset(Identifier(name) for name in names)


def refuse_overlap(names: Iterable[Identifier]) -> None:
    """Raise `malformed` where a wildcard stands beside a name that it covers (CA-wide: Boulder and Pebble)."""
    known = set(names)
    for name in sorted(known):
        wildcard = Identifier(f"*.{name.value.partition('.')[2]}")
        if not name.is_wildcard and wildcard in known:
            raise refuse(
                "malformed",
                f'Domain name "{name}" is redundant with a wildcard domain in the same request. '
                "Remove one or the other from the certificate request.",
            )


def _fault(name: str) -> str | None:
    if Identifier(name).is_address:
        return _address_fault(name)
    base = name.removeprefix("*.")
    if not base:
        return "Domain name is empty"
    if not _CHARACTERS.match(name):
        return "Domain name contains an invalid character"
    if "*" in base:
        return "Invalid wildcard domain: more than one wildcard, or one that is not the whole first label"
    if len(base) > 253:
        return "Domain name is longer than 253 bytes"
    return _label_fault(base.split("."))


def _address_fault(text: str) -> str | None:
    """RFC 8738 section 3: the form of RFC 5952. Private addresses are accepted, because rehearsals have no others."""
    try:
        return None if str(ipaddress.ip_address(text)) == text else "IP address is not in its canonical form"
    except ValueError:
        return "IP address is invalid"


def _label_fault(labels: list[str]) -> str | None:
    if all(label.isdigit() for label in labels):
        return "Domain name is an IP address"
    if len(labels) < 2:
        return "Domain name needs at least one dot"
    if not all(_LABEL.match(label) for label in labels):
        return "Domain name contains a label that is empty, too long, or starts or ends with a hyphen"
    if labels[-1] in _NOT_PUBLIC:
        return "Domain name does not end with a valid public suffix (TLD)"
    return None
