"""The contract between the master and the ways of proving control: everything that a solver promises, in one place.

A solver is given *batches* of challenge responses, so that one zone's changes can travel in one message. For each
batch the master calls, in this order:

1. `publish`: MUST make every response visible where the CA will look, or report why not. It MUST be idempotent: a response
   that is published already is no failure. It MUST NOT remove or replace what somebody else published there. It SHOULD send the
   changes of one place (a zone, a server) together, and MUST NOT let one response's failure stop the others.
2. `seen`: MUST wait, at most for a time of its own (an option), until each response can be seen where the CA will look
   (every authoritative server of the zone answers the value; the URL answers the body), and report those that cannot. A
   challenge is never answered before it was seen. It SHOULD look at all responses at the same time.
3. `remove`: MUST remove what `publish` published, by value; it is called in any case, also after failures, a
   published-but-unseen response, or an interruption, and for responses that were never published (no failure). It MUST work in
   another process than the one that published: the master remembers every response before it is published, and the
   next run removes what a killed one left. What else that takes (the id of a record) goes into `Receipts`.

"Could not" is a value: each call returns a reason for every response that failed, and nothing for the others. A
solver SHOULD raise only for a defect of its own; what it raises fails the whole batch, and nothing beyond it. Calls come from one thread at
a time for one solver. Time MUST be bounded in each call; a wait SHOULD be `acmectl.workers.pause`, which ends when the run ends.

A solver type is found by an entry point (`acmectl.solvers.registry`), and `acmectl.solvers.testing` has the contract as tests.
`CONTRACT` grows when a solver that was written for an older one would not work any more.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

from acmectl.errors import SolverError
from acmectl.model.names import Identifier

CONTRACT = 1

DNS_01, HTTP_01, TLS_ALPN_01 = "dns-01", "http-01", "tls-alpn-01"
CHALLENGE_TYPES = (DNS_01, HTTP_01, TLS_ALPN_01)
"""What a solver can be for. dns-persist-01 is none of them: CAs do not reuse what it proved."""


@dataclass(frozen=True, slots=True)
class Response:
    """What must be published for one challenge (RFC 8555 section 8.1). No secret: the CA and the world read it."""

    identifier: Identifier
    type: str
    token: str
    key_authorization: str

    @property
    def digest(self) -> bytes:
        """SHA-256 of the key authorization: the acmeIdentifier of tls-alpn-01 (RFC 8737 section 3)."""
        return hashlib.sha256(self.key_authorization.encode("ascii")).digest()

    @property
    def txt_value(self) -> str:
        """The value of the TXT record at `identifier.challenge_record` for dns-01 (RFC 8555 section 8.4)."""
        return base64.urlsafe_b64encode(self.digest).rstrip(b"=").decode("ascii")

    @property
    def url_path(self) -> str:
        """The path of the URL for http-01 (RFC 8555 section 8.3); its body is `key_authorization`."""
        return f"/.well-known/acme-challenge/{self.token}"


Failures = Mapping[Response, SolverError]


class Probe(StrEnum):
    """How the master finds out, before it gives up what it has, whether a solver could prove a name right now.

    PUBLISH: a response that no CA asked for is published, seen and removed. NONE: nothing may be published without a
    challenge (it costs money, or a person does it); then the master takes it on trust, and `master try` says so.
    """

    PUBLISH = "publish"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a solver can do.

    `challenge_types` in order of preference; `wildcard` whether it proves wildcards (by dns-01 only), `ip` whether it proves IP addresses
    (RFC 8738, never by dns-01); `probe` is how it is tried before a refresh.
    """

    challenge_types: tuple[str, ...]
    wildcard: bool
    ip: bool = False
    probe: Probe = Probe.PUBLISH

    def types_for(self, identifier: Identifier) -> tuple[str, ...]:
        """The challenge types by which this identifier can be proven; none if it cannot.

        Wildcards take dns-01 (RFC 8555 section 7.1.3 leaves it open, the CA/Browser Forum does not), addresses anything else.
        """
        if identifier.is_wildcard:
            return tuple(t for t in self.challenge_types if self.wildcard and t == DNS_01)
        if identifier.is_address:
            return tuple(t for t in self.challenge_types if self.ip and t != DNS_01)
        return self.challenge_types


class Solver(Protocol):
    """One configured way of proving control."""

    @property
    def capabilities(self) -> Capabilities:
        """What this solver can do; constant, and known without any IO."""
        ...

    def publish(self, responses: Sequence[Response]) -> Failures:
        """Make every response visible; returns the reason for each that could not be."""
        ...

    def seen(self, responses: Sequence[Response]) -> Failures:
        """Wait until each response can be seen; returns the reason for each that was not in time."""
        ...

    def remove(self, responses: Sequence[Response]) -> Failures:
        """Take every response away again; returns the reason for each that is left."""
        ...


class Receipts(Protocol):
    """What came of publishing and is needed to remove, such as the id of a record; it outlives the process. No place for secrets."""

    def get(self, response: Response) -> str | None:
        """What was kept for a response, in this run or in one that was killed."""
        ...

    def put(self, response: Response, text: str) -> None:
        """Keep `text` until the response was removed."""
        ...


@runtime_checkable
class KeepsReceipts(Protocol):
    """A solver MAY have this as well."""

    def keep_receipts_in(self, receipts: Receipts) -> None:
        """Called once, before anything is published or removed."""
        ...
