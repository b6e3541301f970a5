"""What a master writes down: authorizations, orders, failures, and how many orders it has sent."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from acmectl.errors import AcmectlError, CARefused, CAUnreachable, RateLimited, SolverError
from acmectl.master.litter import Litter
from acmectl.master.lore import Lore
from acmectl.model.memory import Event, Failure, RememberedAuthorization, failure_key
from acmectl.model.names import Identifier
from acmectl.model.orders import AuthorizationStatus, Order
from acmectl.policy import backoff, batching
from acmectl.policy.ca_rules import LETS_ENCRYPT_LIMITS
from acmectl.policy.refresh import Wanted
from acmectl.policy.replacing import Zone

if TYPE_CHECKING:
    from acmectl.storage.memory import Memory

_KEPT_AFTER_ITS_END = timedelta(days=1)
_SOLVER_AVOIDED = timedelta(days=30)  # as long as authorizations live: one failure more each time is nothing lost
_FAILED_VALIDATIONS = "failed-validations"
_DAILY = backoff.PAUSES[-1]
_TOLERANCE = timedelta(minutes=1)  # between two answers of a CA about what time it is
_GONE = "let-go/"
NEW_ORDERS = LETS_ENCRYPT_LIMITS.new_orders


class Books:
    """A master's side of the state database."""

    def __init__(
        self,
        memory: Memory,
        *,
        directory_url: str,
        new_orders: int,
        may_wait: bool = True,
        marks: Mapping[str, str] | None = None,
    ) -> None:
        """For one run. What is learned is of the CA at `directory_url`; an account may send `new_orders` in three hours.

        `marks` are those of `Litter`.
        `may_wait`: what the CA has paused waits until a person asks for it by name; else it is tried daily.
        """
        self._memory = memory
        self.lore = Lore(memory, directory_url)
        self.litter = Litter(memory, marks or {})
        self._limit = new_orders
        self._may_wait = may_wait
        self._before: dict[tuple[str, str], Failure | None] = {}  # what had failed before this run
        self._blocked: set[str] = set()  # in this run

    # -- orders

    def order(self, account: str, profile: str | None, order: Order, *, now: datetime) -> None:
        """An order that the CA handed out, new or known."""
        self._memory.remember_order(
            order.url,
            account=account,
            profile=profile,
            names=order.identifiers,
            role="master",
            status=order.status,
            expires_at=order.expires_at,
            authorization_urls=order.authorization_urls,
            at=now,
        )

    def sent_order(self, account: str, now: datetime) -> None:
        """One newOrder more, before it is sent: refused and reused ones count as well."""
        sent = [*self._sent(account, now), now.timestamp()]
        self._memory.set_fact(f"new-orders/{account}", json.dumps(sent))

    def orders_left(self, account: str, now: datetime) -> int:
        """How many newOrders the account may still send now."""
        return self._limit - len(self._sent(account, now))

    def _sent(self, account: str, now: datetime) -> list[float]:
        since = (now - NEW_ORDERS.per).timestamp()
        until = (now + _TOLERANCE).timestamp()  # what is later was written by a clock that was ahead
        return [at for at in json.loads(self._memory.fact(f"new-orders/{account}") or "[]") if since < at <= until]

    def authorizations(self, account: str, profile: str | None) -> list[RememberedAuthorization]:
        """Those of an account that are remembered as valid under a profile."""
        known = self._memory.authorizations(account)
        return [a for a in known if a.profile == profile and a.status is AuthorizationStatus.VALID]

    # -- zones

    def failed_zones(self, account: str, profile: str | None) -> frozenset[Zone]:
        """Those of which a name that was given up could not be validated, and none was proven since."""
        known = json.loads(self._memory.fact(self._zones_key(account, profile)) or "[]")
        return frozenset((solver, domain) for solver, domain in known)

    def judge_zones(
        self, account: str, profile: str | None, *, failed: Collection[Zone], proven: Collection[Zone]
    ) -> None:
        """Names of these zones failed after they were given up, or were proven."""
        known = self.failed_zones(account, profile)
        if (zones := (known | {*failed}) - {*proven}) != known:
            self._memory.set_fact(self._zones_key(account, profile), json.dumps(sorted(zones)))

    def _zones_key(self, account: str, profile: str | None) -> str:
        return f"failed-zones/{account}/{profile or ''}"

    # -- names

    def valid(self, authorizations: Iterable[RememberedAuthorization]) -> None:
        """Authorizations that are valid, and the failures that are over with that."""
        authorizations = list(authorizations)
        if not authorizations:
            return
        self._memory.remember_authorizations(authorizations)
        self._forget_dead(authorizations)
        keys = [failure_key(a.account, a.profile, a.identifier) for a in authorizations]
        self._clear("name", keys)
        self._clear("account", {a.account for a in authorizations} - self._blocked)
        self._clear("outage", {a.account for a in authorizations})

    def _clear(self, kind: str, keys: Iterable[str]) -> None:
        keys = tuple(keys)
        self._memory.clear_failures(kind, keys)
        self._before |= {(kind, key): None for key in keys}

    def with_lifetime(self, authorization: RememberedAuthorization) -> RememberedAuthorization:
        """With the L that was learned when it was proven, where the CA does not show when that was."""
        known = self._memory.authorization(authorization.url) if authorization.lifetime is None else None
        if known is None:
            return authorization
        return replace(authorization, validated_at=known.validated_at, lifetime=known.lifetime)

    def _forget_dead(self, successors: Iterable[RememberedAuthorization]) -> None:
        """What ended a day ago or more, and has a successor: a refresh every few hours would else fill the state."""
        since = {failure_key(a.account, a.profile, a.identifier): a.seen_at - _KEPT_AFTER_ITS_END for a in successors}
        dead = [
            a.url
            for a in self._memory.authorizations()
            if a.expires_at
            and (limit := since.get(failure_key(a.account, a.profile, a.identifier)))
            and a.expires_at < limit
        ]
        if dead:
            self._memory.forget_authorizations(dead)

    def seen(self, authorizations: Iterable[RememberedAuthorization]) -> None:
        """Authorizations as the CA shows them; what failed before stays remembered."""
        self._memory.remember_authorizations(authorizations)

    def giving_up(self, authorizations: Iterable[RememberedAuthorization], now: datetime) -> None:
        """Authorizations that are about to be deactivated: lost, for a run that comes after one that was killed here."""
        authorizations = list(authorizations)
        lost = AuthorizationStatus.DEACTIVATED
        self._memory.remember_authorizations(replace(a, status=lost) for a in authorizations)
        self.say(
            (
                (a.identifier, "deactivate", f"{a.url}, valid until {a.expires_at}, to be replaced")
                for a in authorizations
            ),
            now,
        )

    def let_go(self, authorizations: Iterable[RememberedAuthorization], now: datetime) -> None:
        """Authorizations of names that are not wanted any more: forgotten, but `forget` finds them as long as the CA holds them valid."""
        by_account: dict[str, list[RememberedAuthorization]] = {}
        for gone in authorizations:
            by_account.setdefault(gone.account, []).append(gone)
        for account, of_account in by_account.items():
            valid = [a for a in of_account if a.status is AuthorizationStatus.VALID and a.expires_at]
            self._note_gone(account, [*self._gone(account, now), *valid])
            self._memory.forget_authorizations(a.url for a in of_account)

    def gone(self, now: datetime) -> tuple[RememberedAuthorization, ...]:
        """What was let go, and is still valid as far as is known."""
        accounts = [key.removeprefix(_GONE) for key in self._memory.facts(_GONE)]
        return tuple(a for account in accounts for a in self._gone(account, now))

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

    def forget(self, authorizations: Iterable[RememberedAuthorization], now: datetime) -> None:
        """Authorizations that are given up for good, with the failures of their names."""
        authorizations = list(authorizations)
        urls = {a.url for a in authorizations}
        for account in {a.account for a in authorizations}:
            self._note_gone(account, [a for a in self._gone(account, now) if a.url not in urls])
        self._memory.forget_authorizations(urls)
        self._memory.clear_failures("name", [failure_key(a.account, a.profile, a.identifier) for a in authorizations])
        self.say(((a.identifier, "forgotten", f"{a.url} was deactivated") for a in authorizations), now)

    def failed(self, errors: Mapping[Wanted, AcmectlError], now: datetime) -> dict[Wanted, Failure]:
        """One failure more for each name; several in one run are one."""
        if not errors:
            return {}
        known = self._memory.failures("name")
        failures = {}
        for wanted, error in errors.items():
            key = wanted.failure_key
            previous = self._before.setdefault(("name", key), known.get(key))
            failures[wanted] = self._failure(previous, key, error, now)
        self._memory.save_failures(failures.values())
        return failures

    def _failure(self, previous: Failure | None, key: str, error: AcmectlError, now: datetime) -> Failure:
        cause = getattr(error, "cause", None)
        said = cause or error  # what the CA said, where a name was left as it is
        retry_after = said.retry_after if isinstance(said, CARefused) else None
        is_open = isinstance(said, RateLimited) and retry_after is None
        is_paused = is_open and not (isinstance(said, CARefused) and batching.is_about_set(said.problem))
        return backoff.failed(
            previous,
            kind="name",
            key=key,
            reason=error.message,
            now=now,
            retry_after=_DAILY if is_open else retry_after,
            paused=is_paused and self._may_wait,
            local=is_local(error),
            standing=cause is not None,
        )

    def block(self, account: str, error: CARefused, now: datetime) -> Failure:
        """The CA refuses the whole account, until its Retry-After where it says one; several times in one run are one failure."""
        known = self._memory.failures("account").get(account)
        self._blocked.add(account)
        failure = backoff.blocked(
            self._before.setdefault(("account", account), known),
            account=account,
            reason=error.message,
            now=now,
            retry_after=error.retry_after,
            limited=isinstance(error, RateLimited),
        )
        self._memory.save_failure(failure)
        return failure

    def validated(self, results: Mapping[tuple[Wanted, str], AcmectlError | None], now: datetime) -> None:
        """By which solvers a validation failed, and why, or did not (None), of names that can be proven by several."""
        known = self._failed_validations(now)
        for (wanted, solver), error in results.items():
            of_name = known.setdefault(wanted.failure_key, {})
            of_name.pop(solver, None)
            if error is not None:
                of_name[solver] = (now.timestamp(), error.message)
        self._memory.set_fact(_FAILED_VALIDATIONS, json.dumps({key: failed for key, failed in known.items() if failed}))

    def failed_validations(self, wanted: Wanted, now: datetime) -> Mapping[str, str]:
        """Why which solvers of a name could not prove it to the CA lately, the longest ago first."""
        failed = self._failed_validations(now).get(wanted.failure_key, {})
        return {solver: reason for solver, (_, reason) in sorted(failed.items(), key=lambda item: item[1][0])}

    def _failed_validations(self, now: datetime) -> dict[str, dict[str, tuple[float, str]]]:
        known: dict[str, dict[str, tuple[float, str]]] = json.loads(self._memory.fact(_FAILED_VALIDATIONS) or "{}")
        since = (now - _SOLVER_AVOIDED).timestamp()
        return {key: {s: (at, why) for s, (at, why) in failed.items() if at > since} for key, failed in known.items()}

    def unblock(self, account: str) -> None:
        """What the CA asked for in this run has been waited out in it: what is proven from now on shows that it is over."""
        self._blocked.discard(account)

    def away(self, account: str, error: CAUnreachable, now: datetime) -> None:
        """The CA took no orders of an account, for it did not answer: runs that come each minute need not ask each time."""
        failure = backoff.outage(
            self._memory.failures("outage").get(account),
            kind="outage",
            key=account,
            reason=error.message,
            now=now,
            retry_after=error.retry_after,
        )
        self._memory.save_failure(failure)

    def lost(self, authorizations: Iterable[RememberedAuthorization], now: datetime) -> None:
        """Authorizations that the CA has lost: what failed while they were good, and nobody asked to wait for, is no reason to wait any more."""
        failures = self._memory.failures("name")
        keys = [failure_key(a.account, a.profile, a.identifier) for a in authorizations]
        self._clear("name", [key for key in keys if key in failures and not _is_asked_for(failures[key], now)])

    def say(self, events: Iterable[tuple[Identifier, str, str]], now: datetime) -> None:
        """Into the log: name, what, and the words."""
        lines = [Event(now, name.value, kind, text) for name, kind, text in events]
        if lines:
            self._memory.add_events(lines)


def remembered(
    wanted: Wanted,
    url: str,
    *,
    expires_at: datetime | None,
    validated_at: datetime | None,
    lifetime: timedelta | None,
    challenge_type: str | None,
    now: datetime,
) -> RememberedAuthorization:
    """A valid authorization as it is remembered."""
    return RememberedAuthorization(
        account=wanted.account,
        profile=wanted.profile,
        identifier=wanted.identifier,
        url=url,
        status=AuthorizationStatus.VALID,
        expires_at=expires_at,
        validated_at=validated_at,
        lifetime=lifetime,
        challenge_type=challenge_type,
        seen_at=now,
    )


def _is_asked_for(failure: Failure, now: datetime) -> bool:
    """Whether the CA, or a person who has yet to act, is what a failure waits for."""
    return failure.retry_at is None or (failure.asked_until is not None and failure.asked_until > now)


def is_local(error: AcmectlError) -> bool:
    """Whether the CA had no part in it: nothing has to be spared by waiting."""
    return isinstance(error, SolverError) or getattr(error, "local", False) is True
