"""Every way in which acmectl can fail, as one tree, and what each says to a person.

    AcmectlError                 message, hint, exit status
    ├── UsageError               (2) the command line asks for something that cannot be done
    ├── ConfigurationError       (2) the configuration, with every problem of every file
    ├── Interrupted              a wait that ended because the run ends (Ctrl-C, SIGTERM)
    ├── LockHeld                 (3) another run works on the same state directory
    ├── InvalidName              a text that is no host name
    ├── KeyMaterialError         a private key, CSR or certificate that cannot be used
    ├── TakeoverError            another client's files cannot be taken over
    ├── StorageError             the state directory cannot be read or written
    │   ├── AccountMissing       no account of that name is stored here
    │   └── AccountElsewhere     the one that is stored belongs to another CA than the configuration's
    ├── ProgramFailed            another program could not be run, failed, or ran out of time
    ├── DNSError                 a zone, a server or an update
    ├── SolverError              a challenge could not be published, seen or removed
    ├── DeployError              a certificate could not be handed to its service
    └── CAError                  everything that happens between us and a certificate authority
        ├── CAUnreachable        no connection, TLS failure, time limit, or 5xx after all retries
        ├── CAProtocolError      an answer that is not what RFC 8555 promises
        └── CARefused            a problem document (RFC 7807)
            ├── RateLimited      429
            ├── OrderNotReady    finalize came too early, or another host was faster
            ├── AccountDeactivated  the account was deactivated, for good
            └── AccountUnknown   the CA knows no account for this key
                └── AccountKeyReplaced  ... any more: it was rolled over, or the account is gone

`message` starts in lower case and ends without a full stop; `hint` is what to do, if possible a command to
paste. An error is raised where the cause is known, `from` the original; the engines catch it for one item, so that
one failing name leaves the others alone, and the command line catches it once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Place:
    """Where something was written: a file and a line, counted from 1 (None: the file as a whole)."""

    file: Path
    line: int | None = None

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else str(self.file)


class AcmectlError(Exception):
    """The root: a message for the person who runs acmectl, and a hint what to do."""

    exit_status = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(AcmectlError):
    """The command line asks for something that cannot be done."""

    exit_status = 2


@dataclass(frozen=True, slots=True)
class ConfigurationProblem:
    """One thing that is wrong with the configuration.

    `path` is the key's path, such as `master.authorize[0].solver`; empty for a file that cannot be read at all.
    """

    place: Place
    path: str
    message: str
    hint: str | None = None

    def __str__(self) -> str:
        path = f"`{self.path}`: " if self.path else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{self.place}: {path}{self.message}{hint}"


class ConfigurationError(AcmectlError):
    """All problems of all files of a configuration, in the order of files and lines."""

    exit_status = 2

    def __init__(self, problems: tuple[ConfigurationProblem, ...]) -> None:
        count = len(problems)
        super().__init__(f"{count} problem{'s' * (count != 1)} in the configuration")
        self.problems = problems


class Interrupted(AcmectlError):
    """A wait in a thread that ended early because the whole run is ending."""


class LockHeld(AcmectlError):
    """Another run works on the same state directory."""

    exit_status = 3


class InvalidName(AcmectlError):
    """A text that cannot be an identifier of a certificate."""


class KeyMaterialError(AcmectlError):
    """A private key, CSR or certificate that cannot be used."""


class TakeoverError(AcmectlError):
    """Another client's account or configuration that cannot be taken over."""


class StorageError(AcmectlError):
    """The state directory, or a file in it, cannot be read or written."""


class AccountMissing(StorageError):
    """No account of that name is stored on this host."""


class AccountElsewhere(StorageError):
    """The account of that name belongs to another CA than the one in the configuration."""


class ProgramFailed(AcmectlError):
    """Another program could not be started, failed, or ran out of time."""


class DNSError(AcmectlError):
    """A zone that cannot be found, a server that refuses, an update that was not made."""


class SolverError(AcmectlError):
    """A challenge that could not be published, seen or removed."""


class DeployError(AcmectlError):
    """A certificate that could not be handed to the service that needs it."""


class CAError(AcmectlError):
    """Everything that happens between us and a certificate authority."""


class CAUnreachable(CAError):
    """No answer: no connection, a TLS failure, a time limit, or a server error after all retries."""

    def __init__(self, message: str, *, hint: str | None = None, retry_after: timedelta | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class CAProtocolError(CAError):
    """An answer that is not what RFC 8555 promises: HTML, truncated JSON, missing fields."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem document (RFC 7807, RFC 8555 section 6.7).

    `type` is without the prefix `urn:ietf:params:acme:error:`, such as `rejectedIdentifier`; `status` is the HTTP
    status, 0 where the problem did not come as an answer of its own (the error of a challenge); `identifier` is the
    identifier's value where a subproblem names one.
    """

    type: str
    detail: str
    status: int = 0
    identifier: str | None = None
    subproblems: tuple[Problem, ...] = ()

    def __str__(self) -> str:
        own = f"{self.detail} ({self.type})" if self.detail else self.type
        return "; ".join([own, *(f"{p.identifier}: {p}" if p.identifier else str(p) for p in self.subproblems)])


class CARefused(CAError):
    """The CA answered with a problem document."""

    def __init__(
        self, problem: Problem, *, doing: str, hint: str | None = None, retry_after: timedelta | None = None
    ) -> None:
        super().__init__(f"the CA refused {doing}: {problem}", hint=hint)
        self.problem = problem
        self.retry_after = retry_after


class RateLimited(CARefused):
    """429. Without `retry_after` an identifier is paused, and a person must act (Let's Encrypt)."""


class OrderNotReady(CARefused):
    """Finalize came while the order was not `ready`: too early, or another host finalized it first."""


class AccountDeactivated(CARefused):
    """The account was deactivated, for good (RFC 8555 section 7.3.6)."""


class AccountUnknown(CARefused):
    """The CA knows no account for this key (`accountDoesNotExist`)."""


class AccountKeyReplaced(AccountUnknown):
    """The account has another key now, or is gone: this host's key signs nothing any more."""
