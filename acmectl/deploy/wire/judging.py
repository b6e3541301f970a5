"""What was served, against what should be: pure, and in words that say what clients see."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from acmectl import keys
from acmectl.deploy.wire.expected import Expected
from acmectl.deploy.wire.handshake import Served
from acmectl.deploy.wire.stream import quote
from acmectl.errors import KeyMaterialError
from acmectl.model.names import any_covers

_NOT_TAKEN = "the service did not take the new files: does its configuration name them, and did the reload reach it?"
_NO_CHAIN = "let the service use `fullchain` (or give it `chain` as well): most clients cannot find the rest themselves"
_OTHER_CHAIN = "`acmectl cert renew {} --force` gets the chain that the CA has now; `preferred_chain` chooses another"
_NOTHING_ELSE = "let the service use `fullchain` and nothing else: clients that follow this one turn away"
_NO_NAME = "list the name in the certificate, or give the endpoint of `verify` another `name`"
_CLOCK = "is the clock of this host right?"


@dataclass(frozen=True, slots=True)
class Fault:
    """A predicate to what was looked at, such as `still serves serial 5f, ...`, and what to do.

    `as_installed` says that the service has what it was given: no reload mends it.
    """

    words: str
    hint: str | None = None
    as_installed: bool = False


def fault_of(served: Sequence[Served], expected: Expected, name: str | None, now: datetime) -> Fault | None:
    """The first thing that is wrong with what a server showed, in one handshake or several; None if all is well.

    What a reload mends comes before what it does not.
    """
    faults = [(one, found) for one in served if (found := _fault(one, expected, name, now))]
    if not faults:
        return None
    one, found = min(faults, key=lambda pair: pair[1].as_installed)
    others_differ = any(other.chain != one.chain for other in served)
    return replace(found, words=f"{found.words}, over {one.version}") if others_differ else found


def notes_of(served: Sequence[Served], refused: Mapping[str, str], expected: Expected) -> tuple[str, ...]:
    """What is no fault, and worth a word."""
    known = set(expected.chain)
    broken_off = (
        f"over {one.version} it broke off after it had shown its certificate ({one.refusal}): it may want one of its clients"
        for one in served
        if one.refusal
    )
    odd = {
        "serves more certificates than were installed"
        if set(_fingerprints(one)) - known
        else "serves its chain in another order, or twice"
        for one in served
        if _fingerprints(one) != expected.chain
    }
    return (*(f"no {version}: it {words}" for version, words in refused.items()), *broken_off, *sorted(odd))


def _fault(served: Served, expected: Expected, name: str | None, now: datetime) -> Fault | None:
    shown = _fingerprints(served)
    if shown[0] != expected.fingerprint:
        return Fault(another(served, name, now), _NOT_TAKEN)
    if missing := set(expected.chain) - set(shown):
        alone = len(missing) == len(expected.chain) - 1
        return Fault(f"serves the certificate without {'its' if alone else 'some of its'} intermediates", _NO_CHAIN)
    if found := _fault_of_dates(served, expected, now):
        return found
    if name is not None and not any_covers(expected.names, name):
        words = f"serves the certificate, which is not for `{name}`, the name that it is asked for"
        return Fault(words, _NO_NAME, as_installed=True)
    return None


def _fault_of_dates(served: Served, expected: Expected, now: datetime) -> Fault | None:
    """Of the leaf and of what is served beside it, but for roots: clients go by their own."""
    if expected.not_after <= now:
        return Fault(f"serves a certificate that ended on {_moment(expected.not_after)}", as_installed=True)
    if expected.not_before > now:
        return Fault(
            f"serves a certificate that begins on {_moment(expected.not_before)} only", _CLOCK, as_installed=True
        )
    for der, fingerprint in zip(served.chain[1:], _fingerprints(served)[1:], strict=True):
        above = _read(der)
        if above is None or above.subject == above.issuer or above.not_before <= now < above.not_after:
            continue
        dates = (
            f"ended on {_moment(above.not_after)}"
            if above.not_after <= now
            else f"begins on {_moment(above.not_before)} only"
        )
        words = f"serves the intermediate {quote(above.subject.encode())}, which {dates}"
        if fingerprint in expected.chain:
            hint = _OTHER_CHAIN.format(expected.label)
            return Fault(f"{words}, as it was installed", hint, as_installed=True)
        return Fault(f"{words}, and was not installed", _NOTHING_ELSE)
    return None


def another(served: Served, name: str | None, now: datetime) -> str:
    """What is served instead: `still serves serial 5f, which ends on 2026-12-01 10:00 UTC`."""
    leaf = _read(served.chain[0])
    if leaf is None:
        return "serves a certificate that cannot be read"
    ends = f"which {'ends' if leaf.not_after > now else 'ended'} on {_moment(leaf.not_after)}"
    if name is None or any_covers(leaf.names, name):
        return f"still serves serial {leaf.serial}, {ends}"
    names = ", ".join(quote(one.value.encode()) for one in sorted(leaf.names)[:3]) or "no name"
    return f"serves serial {leaf.serial} for {names} when asked for `{name}`, {ends}"


def _read(der: bytes) -> keys.LeafFacts | None:
    try:
        return keys.read_chain(ssl.DER_cert_to_PEM_cert(der).encode("ascii"))
    except KeyMaterialError:
        return None


def _fingerprints(served: Served) -> tuple[str, ...]:
    return tuple(hashlib.sha256(one).hexdigest() for one in served.chain)


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
