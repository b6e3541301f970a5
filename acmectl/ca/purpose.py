"""Why a request is sent: what it counts as, how a refusal is worded, and whether it may be sent twice."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Purpose:
    """`kind` is the key in `Session.requests`; `doing` completes the sentence "the CA refused ...".

    `repeatable`: sent again after a broken connection or a 5xx (finalizations and answers to challenges are not: their
    callers look what became of them first). `waits`: a 429 with a short `Retry-After` is waited for, as for
    polls; where it is False the caller wants to know, and remembers it.
    """

    kind: str
    doing: str
    repeatable: bool = True
    waits: bool = False
