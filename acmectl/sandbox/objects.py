"""What the sandbox remembers: accounts, orders, authorizations and certificates, with the look-ups that a CA makes.

Everything lies in memory and dies with the sandbox. The look-ups are by key (an account's valid authorizations of an identifier, the
orders of a set of names), so that a thousand names cost a thousand steps.
"""

from __future__ import annotations

import base64
import itertools
import secrets
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from acmectl.errors import Problem
from acmectl.model.names import Identifier
from acmectl.model.orders import AuthorizationStatus, ChallengeStatus

Jwk = Mapping[str, str]


@dataclass(slots=True)
class Account:
    """An account and its key; `status` is `valid` or `deactivated`."""

    id: int
    jwk: Jwk
    thumbprint: str
    contacts: tuple[str, ...]
    status: str = "valid"


@dataclass(slots=True)
class Challenge:
    """One way to fulfil an authorization; the token is also its name in URLs."""

    type: str
    token: str
    status: ChallengeStatus = ChallengeStatus.PENDING
    validated_at: datetime | None = None
    error: Problem | None = None


@dataclass(slots=True)
class Authorization:
    """One authorization. `deactivated_from` is what a lagging replica still shows for a while."""

    id: int
    account_id: int
    identifier: Identifier
    profile: str
    expires_at: datetime
    challenges: list[Challenge]
    status: AuthorizationStatus = AuthorizationStatus.PENDING
    deactivated_at: datetime | None = None
    deactivated_from: AuthorizationStatus | None = None


@dataclass(slots=True)
class Order:
    """One order. Its status follows from these fields and from its authorizations."""

    id: int
    account_id: int
    names: frozenset[Identifier]
    profile: str
    authorization_ids: tuple[int, ...]
    expires_at: datetime
    processing: bool = False
    error: Problem | None = None
    serial: str | None = None
    replaces: str | None = None


@dataclass(slots=True)
class Certificate:
    """An issued certificate; `ari_id` is its name in RFC 9773, `chains` are PEM, the default one first."""

    serial: str
    ari_id: str
    account_id: int
    names: frozenset[Identifier]
    der: bytes
    chains: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    revoked_at: datetime | None = None
    replaced_by: int | None = None


def _random_start() -> Iterator[int]:
    """Numbers that a client which remembers an earlier sandbox on this port does not meet again."""
    return itertools.count(secrets.randbelow(10**9) + 1)


def new_token() -> str:
    """A challenge token of 256 random bits (RFC 8555 section 8 asks for 128), base64url."""
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).rstrip(b"=").decode()


@dataclass(slots=True)
class Store:
    """All objects, and the indexes; the caller holds the lock."""

    accounts: dict[int, Account] = field(default_factory=dict)
    by_thumbprint: dict[str, Account] = field(default_factory=dict)
    authorizations: dict[int, Authorization] = field(default_factory=dict)
    orders: dict[int, Order] = field(default_factory=dict)
    certificates: dict[str, Certificate] = field(default_factory=dict)
    by_ari_id: dict[str, Certificate] = field(default_factory=dict)
    issued_sets: set[frozenset[Identifier]] = field(default_factory=set)
    _validated: defaultdict[tuple[int, Identifier], list[Authorization]] = field(
        default_factory=lambda: defaultdict(list)
    )
    _by_names: defaultdict[frozenset[Identifier], list[Order]] = field(default_factory=lambda: defaultdict(list))
    _numbers: Iterator[int] = field(default_factory=_random_start)

    def number(self) -> int:
        """A number that no object of this sandbox has."""
        return next(self._numbers)

    def add_account(self, account: Account) -> None:
        """Remember an account under its number and its key."""
        self.accounts[account.id] = account
        self.by_thumbprint[account.thumbprint] = account

    def rekey(self, account: Account, jwk: Jwk, thumbprint: str) -> None:
        """Give an account another key; the old one is unknown from now on."""
        del self.by_thumbprint[account.thumbprint]
        account.jwk, account.thumbprint = jwk, thumbprint
        self.by_thumbprint[thumbprint] = account

    def add_order(self, order: Order) -> None:
        """Remember an order, also by its set of names."""
        self.orders[order.id] = order
        self._by_names[order.names].append(order)

    def add_certificate(self, certificate: Certificate) -> None:
        """Remember a certificate, also by its name in renewal information."""
        self.certificates[certificate.serial] = certificate
        self.by_ari_id[certificate.ari_id] = certificate
        self.issued_sets.add(certificate.names)

    def validated(self, authorization: Authorization) -> None:
        """Make an authorization that became valid findable by `authorized`."""
        self._validated[authorization.account_id, authorization.identifier].append(authorization)

    def authorized(self, account_id: int, identifier: Identifier, now: datetime) -> list[Authorization]:
        """What ever became valid for an account and an identifier, and has not expired; oldest first."""
        known = self._validated.get((account_id, identifier))
        if known is None:
            return []
        known[:] = [a for a in known if a.expires_at > now]
        return known

    def open_orders(self, names: frozenset[Identifier], now: datetime) -> list[Order]:
        """All accounts' orders for exactly `names` that are neither expired nor finalized; oldest first."""
        known = self._by_names.get(names)
        if known is None:
            return []
        known[:] = [o for o in known if o.expires_at > now and not o.processing and not o.serial]
        return known

    def forget_orders(self) -> None:
        """Lose every order and authorization, as CAs have done after incidents."""
        self.orders.clear()
        self.authorizations.clear()
        self._validated.clear()
        self._by_names.clear()

    def forget_accounts(self) -> None:
        """Lose every account too."""
        self.accounts.clear()
        self.by_thumbprint.clear()
