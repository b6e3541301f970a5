"""The contract between the master and the ways of proving control.

A solver is given *batches* of challenge responses, so that one zone's changes can travel in one message. For each
batch the master calls, in this order:

1. `publish`: MUST make every response visible where the CA will look, or report why not. It MUST be idempotent: a response
   that is published already is no failure. It MUST NOT remove or replace what somebody else published there.
2. `seen`: MUST wait, at most for a time of its own (an option), until each response can be seen where the CA will look
   (every authoritative server of the zone answers the value; the URL answers the body), and report those that cannot. A
   challenge is never answered before it was seen.
3. `remove`: MUST remove what `publish` published, by value; it is called in any case, also after failures, a
   published-but-unseen response, or an interruption, and for responses that were never published (no failure).

"Could not" is a value: each call returns a reason for every response that failed, and nothing for the others. A
solver SHOULD raise only for a defect of its own. Calls come from one thread at a time for one solver.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from acmectl.errors import SolverError
from acmectl.model.names import Identifier


@dataclass(frozen=True, slots=True)
class Response:
    """What must be published for one challenge (RFC 8555 section 8.1). No secret: the CA and the world read it."""

    identifier: Identifier
    type: str
    token: str
    key_authorization: str

    @property
    def txt_value(self) -> str:
        """The value of the TXT record at `identifier.challenge_record` for dns-01 (RFC 8555 section 8.4)."""
        digest = hashlib.sha256(self.key_authorization.encode("ascii")).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")

    @property
    def url_path(self) -> str:
        """The path of the URL for http-01 (RFC 8555 section 8.3); its body is `key_authorization`."""
        return f"/.well-known/acme-challenge/{self.token}"


Failures = Mapping[Response, SolverError]


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a solver can do: challenge types in order of preference, and whether it proves wildcards (dns-01 only)."""

    challenge_types: tuple[str, ...]
    wildcard: bool


class Solver(Protocol):
    """One configured way of proving control."""

    @property
    def capabilities(self) -> Capabilities:
        """What this solver can do; constant."""
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
