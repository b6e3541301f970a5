"""What a host remembers between runs; all of it may be lost without losing a key or a certificate."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from acmectl.model.names import Identifier
from acmectl.model.orders import AuthorizationStatus


@dataclass(frozen=True, slots=True)
class RememberedAuthorization:
    """An authorization that this host saw at the CA. One row per URL.

    `expires_at` was said by the CA, or is a lower bound (the moment before validation, plus the lifetime seen at a
    sibling of the same order); it is never later than the truth. `lifetime` is `expires` minus `validated` where
    both were seen: the reuse period L of CA policy.
    """

    account: str
    profile: str | None
    identifier: Identifier
    url: str
    status: AuthorizationStatus
    expires_at: datetime | None
    validated_at: datetime | None
    lifetime: timedelta | None
    challenge_type: str | None
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class RememberedOrder:
    """The order that a follower holds for one certificate. Remembered before anything else is done with it.

    `first_pending_at` is when this URL was first seen pending, None while it never was; `waiting_since` is when the
    certificate began to wait, and outlives the URLs that replace each other. `draft` is the generation whose key
    the order was (or is about to be) finalized with. While it waits, `missing` are the names that were not authorized for
    the account at `account_url` when the CA was last asked, and `next_look_at` is when it is worth asking again.
    """

    label: str
    url: str
    account: str
    profile: str | None
    names: frozenset[Identifier]
    first_seen_at: datetime
    first_pending_at: datetime | None = None
    waiting_since: datetime | None = None
    draft: int | None = None
    missing: frozenset[Identifier] = frozenset()
    account_url: str = ""
    next_look_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Release:
    """That this host gave up a stuck pending order of a certificate, by deactivating the authorization of `identifier`.

    The CA counts it as a failed validation of that name for `account`. Releases that an older acmectl remembered say neither.
    """

    label: str
    order_url: str
    authorization_url: str
    at: datetime
    account: str = ""
    identifier: Identifier | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """Consecutive failures of one subject.

    `steps` is how many of them were of the kind after which each pause is longer than the one before.

    `kind` is `name` (key: account, profile and identifier, as
    `failure_key` joins them), `certificate` (key: label), `account` (key: account name), or `outage` (key: the account name whose
    orders the CA did not answer).

    `retry_at` is the earliest moment of the next attempt, None when a person must act first. `asked_until` is until when the
    CA asked to leave it alone (Retry-After), which for an account holds for a person's wish as well; None where it said nothing.
    """

    kind: str
    key: str
    count: int
    first_at: datetime
    last_at: datetime
    retry_at: datetime | None
    reason: str
    asked_until: datetime | None = None
    steps: int = 0


class DeployStep(StrEnum):
    """What is done to bring a certificate to a service, in this order."""

    INSTALL = "install"
    CHECK = "check"
    RELOAD = "reload"
    RUN = "run"
    KEEP = "keep"
    """the files are still as they were put in place after the reload"""
    VERIFY = "verify"


@dataclass(frozen=True, slots=True)
class Deployment:
    """How far one target of one certificate is.

    Wanted is `generation` with `fingerprint` (a generation's number can come again). It is deployed where there is no `error`, and
    `copies` is what the target's stamp says now: the stamp is taken when the files were put in place. `changes` counts how often in a row it was
    deployed again because somebody had changed them; until `retry_at` it is then not.

    `target` is the target's type and place in the configuration, `digest` a hash of its options: a changed target is deployed anew;
    `verify_digest` is a hash of how it is looked at: where only that changed, it is looked at.
    `places` are the files that it wrote, which stay when it is configured no more. The moments are those of
    the last success of each step; a step that the target does not have has none. `deployed_at` is when all was done the last time.
    With an `error`, `failed_step` is where it happened and `attempts` how often in a row, since `failing_since`.

    A command of `onchange` is a deployment, too, known by its words: `copies` is what had been done when it last ran well.
    """

    label: str
    target: str
    digest: str
    generation: int
    fingerprint: str
    copies: str
    places: frozenset[str] = frozenset()
    installed_generation: int | None = None
    installed_fingerprint: str | None = None
    installed_at: datetime | None = None
    reloaded_at: datetime | None = None
    verified_at: datetime | None = None
    deployed_at: datetime | None = None
    attempts: int = 0
    failing_since: datetime | None = None
    retry_at: datetime | None = None
    failed_step: DeployStep | None = None
    error: str | None = None
    hint: str | None = None
    verify_digest: str = ""
    changes: int = 0


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the log that `acmectl` keeps in its state: who (a name or a label), what, and the words."""

    at: datetime
    subject: str
    kind: str
    text: str


def failure_key(account: str, profile: str | None, identifier: Identifier) -> str:
    """The key of a failure of kind `name`: one name under two accounts or profiles fails separately."""
    return f"{account}/{profile or '-'}/{identifier}"
