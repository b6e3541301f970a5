"""A master's books over a state of a test, and an authorization to write down in them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from acmectl.master.books import Books, remembered
from acmectl.model.memory import RememberedAuthorization
from acmectl.model.names import Identifier
from acmectl.policy.refresh import Wanted
from acmectl.storage.memory import Memory

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
URL = "https://ca.test/directory"
WANTED = Wanted(Identifier("a.test"), "default", None, "dns")


def books(memory: Memory, *, url: str = URL, may_wait: bool = True) -> Books:
    return Books(memory, directory_url=url, new_orders=1, may_wait=may_wait)


def valid(lifetime: timedelta | None = timedelta(days=30)) -> RememberedAuthorization:
    return remembered(
        WANTED,
        "https://ca.test/authz/1",
        expires_at=NOW + timedelta(days=30),
        validated_at=NOW if lifetime else None,
        lifetime=lifetime,
        challenge_type="dns-01",
        now=NOW,
    )
