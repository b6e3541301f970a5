"""Authorizations of names that are not wanted any more: a master keeps none of them up, but the CA holds them valid for weeks.

Until then a person can have them deactivated, also where the configuration has long forgotten the name.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from acmectl.model.memory import RememberedAuthorization
from acmectl.model.names import Identifier
from acmectl.model.orders import AuthorizationStatus

if TYPE_CHECKING:
    from acmectl.storage.memory import Memory

_GONE = "let-go/"


class Departed:
    """What was let go, by account."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def let_go(self, authorizations: Iterable[RememberedAuthorization], now: datetime) -> None:
        """Authorizations of names that are not wanted any more: forgotten, but `known` names them as long as the CA holds them valid."""
        by_account: dict[str, list[RememberedAuthorization]] = {}
        for gone in authorizations:
            by_account.setdefault(gone.account, []).append(gone)
        for account, of_account in by_account.items():
            valid = [a for a in of_account if a.status is AuthorizationStatus.VALID and a.expires_at]
            self._note_gone(account, [*self._gone(account, now), *valid])
            self._memory.forget_authorizations(a.url for a in of_account)

    def known(self, now: datetime) -> tuple[RememberedAuthorization, ...]:
        """What was let go, and is still valid as far as is known."""
        accounts = [key.removeprefix(_GONE) for key in self._memory.facts(_GONE)]
        return tuple(a for account in accounts for a in self._gone(account, now))

    def strike(self, authorizations: Collection[RememberedAuthorization], now: datetime) -> None:
        """Off the list with what the CA holds valid no more."""
        urls = {a.url for a in authorizations}
        for account in {a.account for a in authorizations}:
            self._note_gone(account, [a for a in self._gone(account, now) if a.url not in urls])

    def _gone(self, account: str, now: datetime) -> list[RememberedAuthorization]:
        back = {a.url for a in self._memory.authorizations(account)}
        rows = json.loads(self._memory.fact(f"{_GONE}{account}") or "[]")
        return [
            RememberedAuthorization(
                account=account,
                profile=profile,
                identifier=Identifier(name),
                url=url,
                status=AuthorizationStatus.VALID,
                expires_at=datetime.fromtimestamp(end, UTC),
                validated_at=None,
                lifetime=None,
                challenge_type=None,
                seen_at=now,
            )
            for profile, name, url, end in rows
            if end > now.timestamp() and url not in back
        ]

    def _note_gone(self, account: str, authorizations: Iterable[RememberedAuthorization]) -> None:
        rows = [
            (a.profile, a.identifier.value, a.url, a.expires_at.timestamp()) for a in authorizations if a.expires_at
        ]
        self._memory.set_fact(f"{_GONE}{account}", json.dumps(rows) if rows else None)
