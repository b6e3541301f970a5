"""A master's run: decide which names are due, prove them, and remember what was seen.

Idempotent at any frequency: a run with nothing due makes no request at all.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING

from acmectl.errors import AcmectlError, RateLimited
from acmectl.master.books import NEW_ORDERS, Books, remembered
from acmectl.master.ordering import Batch, Unordered, open_orders
from acmectl.master.proving import Deactivated, Proven, Prover
from acmectl.master.refreshing import NotRefreshed, Refresher, Stale
from acmectl.model.memory import RememberedAuthorization
from acmectl.model.names import Identifier
from acmectl.model.orders import Order
from acmectl.policy import backoff, batching, refresh
from acmectl.policy.lifetimes import Schedule
from acmectl.policy.refresh import Action, Decision, Knowledge, Plan, Wanted
from acmectl.solvers.base import Solver

if TYPE_CHECKING:
    from acmectl.ca.session import Session
    from acmectl.storage.memory import Memory

log = logging.getLogger(__name__)

ROUNDS = 3  # an authorization that a follower deactivates under us is ordered again at once, this often


class Outcome(StrEnum):
    """What a run did with a name."""

    KEPT = "kept"
    PROVEN = "proven"
    FOUND = "found valid"
    FAILED = "failed"
    WAITING = "waiting"


@dataclass(frozen=True, slots=True)
class NameResult:
    """A name, what became of it, since or until when, and why."""

    wanted: Wanted
    outcome: Outcome
    expires_at: datetime | None = None
    reason: str = ""
    hint: str | None = None
    retry_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class MasterReport:
    """The result of each name in the order of the configuration, and how many requests of each kind it took."""

    results: tuple[NameResult, ...]
    requests: Mapping[str, int]
    clock_offset: timedelta | None = None

    @property
    def failed(self) -> bool:
        """Whether any name could not be authorized in this run."""
        return any(r.outcome is Outcome.FAILED for r in self.results)


@dataclass(frozen=True, slots=True)
class Settings:
    """How a master works; the configuration's `master:` says what each means."""

    schedule: Schedule
    workers: int = 16
    new_orders: int = NEW_ORDERS.count


Outcomed = Proven | AcmectlError


class Master:
    """Keeps a list of names authorized for followers; one instance serves one run."""

    def __init__(
        self,
        *,
        connect: Callable[[str], Session],
        solvers: Mapping[str, Callable[[], Solver]],
        memory: Memory,
        clock: Callable[[], datetime],
        settings: Settings,
        published_cutoff: Callable[[str | None, datetime], timedelta | None],
        max_names: Callable[[str | None, datetime], int],
    ) -> None:
        """`connect` opens a session for an account by name; the last two are what is published of a profile at a time."""
        self._connect = connect
        self._factories = solvers
        self._solvers: dict[str, Solver] = {}
        self._memory = memory
        self._books = Books(memory, new_orders=settings.new_orders)
        self._clock = clock
        self._settings = settings
        self._published_cutoff = published_cutoff
        self._max_names = max_names
        self._requests: Counter[str] = Counter()
        self._offset: timedelta | None = None

    @property
    def now(self) -> datetime:
        """The CA's time, as far as it is known: our clock, corrected by what the CA's showed when it last answered."""
        return self._clock() + self._books.clock_offset

    def plan(self, wanted: Sequence[Wanted], *, forced: frozenset[Identifier] = frozenset()) -> Plan:
        """What a run would do now, without asking the CA."""
        return refresh.plan(
            wanted,
            self._memory.authorizations(),
            self._memory.failures("name"),
            now=self.now,
            knowledge={profile: self.knowledge(profile) for profile in {w.profile for w in wanted}},
            schedule=self._settings.schedule,
            forced=forced,
        )

    def knowledge(self, profile: str | None) -> Knowledge:
        """What is known of the CA's cutoff for a profile."""
        return self._books.knowledge(profile, self._published_cutoff(profile, self.now))

    def run(
        self, wanted: Sequence[Wanted], *, forced: frozenset[Identifier] = frozenset(), forget: bool = True
    ) -> MasterReport:
        """Prove and refresh what is due; every other name stays as it is. Raises nothing for what happens to a name.

        `forget` drops what is remembered of names that are not in `wanted`: not for a run over some names only.
        """
        plan = self.plan(wanted, forced=forced)
        if forget:
            self._memory.forget_authorizations(a.url for a in plan.forget)
        self._remove_leftovers()
        results = {d.wanted.key: _undisturbed(d) for d in plan.decisions if d.wanted not in plan.due}
        for account in dict.fromkeys(w.account for w in plan.due):
            due = [w for w in plan.due if w.account == account]
            results |= {r.wanted.key: r for r in self._serve(account, due, forced=bool(forced))}
        return MasterReport(tuple(results[w.key] for w in wanted), self._requests, self._offset)

    def _serve(self, account: str, due: list[Wanted], *, forced: bool) -> list[NameResult]:
        blocked = self._memory.failures("account").get(account)
        if blocked is not None and not forced and not backoff.may_try(blocked, self.now):
            return [NameResult(w, Outcome.WAITING, reason=blocked.reason, retry_at=blocked.retry_at) for w in due]
        try:
            session = self._connect(account)
        except AcmectlError as error:
            return [NameResult(w, Outcome.FAILED, reason=error.message, hint=error.hint) for w in due]
        try:
            return self._keep(session, account, due)
        except AcmectlError as error:
            return [NameResult(w, Outcome.FAILED, reason=error.message, hint=error.hint) for w in due]
        finally:
            self._requests.update(session.requests)
            self._offset = session.clock_offset
            self._books.set_clock_offset(session.clock_offset)
            session.close()

    def _keep(self, session: Session, account: str, due: list[Wanted]) -> list[NameResult]:
        """Ask for all that is due, prove what comes back pending, replace what comes back as old as it was."""
        outcomes = self._prove(session, account, due)
        stale = self._stale(outcomes)
        if not stale:
            return self._remember(outcomes)
        self._books.seen(s.authorization for s in stale)
        for profile in dict.fromkeys(s.wanted.profile for s in stale):
            refresher = Refresher(
                session,
                self._books,
                self._solver,
                prove=lambda names: self._prove(session, account, names),
                budget=lambda: self._books.orders_left(account, self.now),
                limit=self._max_names(profile, self.now),
                pool=self._settings.workers,
            )
            outcomes |= refresher.refresh([s for s in stale if s.wanted.profile == profile])
        return self._remember(outcomes, {s.wanted: s.authorization.expires_at for s in stale})

    def _stale(self, outcomes: Mapping[Wanted, Outcomed]) -> list[Stale]:
        """The names whose authorization came back valid and is the one to replace, not a fresher one."""
        stale = []
        for wanted, outcome in outcomes.items():
            if not isinstance(outcome, Proven) or outcome.fresh:
                continue
            authorization, known = _remembered(wanted, outcome, self.now), self.knowledge(wanted.profile)
            if refresh.is_stale(authorization, known, self._settings.schedule, self.now):
                ends = refresh.horizon(authorization, known, self._settings.schedule)
                urgent = ends is None or ends.cutoff_at <= self.now + self._settings.schedule.every
                stale.append(Stale(wanted, authorization, urgent))
        return stale

    def _prove(self, session: Session, account: str, due: list[Wanted]) -> dict[Wanted, Outcomed]:
        """Order and prove; an authorization that another host deactivated under us is ordered again at once."""
        outcomes: dict[Wanted, Outcomed] = {}
        for _ in range(ROUNDS):
            outcomes |= self._round(session, account, due)
            due = [w for w in due if isinstance(outcomes[w], Deactivated)]
            if not due:
                break
            log.info("%d authorizations were deactivated by another host: ordering again", len(due))
        return outcomes

    def _round(self, session: Session, account: str, due: list[Wanted]) -> dict[Wanted, Outcomed]:
        outcomes: dict[Wanted, Outcomed] = {}
        for profile in dict.fromkeys(w.profile for w in due):
            names = [w for w in due if w.profile == profile]
            batches = batching.pack(names, limit=self._max_names(profile, self.now))
            opened = open_orders(batches, partial(self._new_order, session, account, profile))
            outcomes |= opened.refused
            if opened.stopped is not None:
                stopped = Unordered(opened.stopped.message, hint=opened.stopped.hint)
                outcomes |= dict.fromkeys(opened.unordered, stopped)
                if isinstance(opened.stopped, RateLimited):
                    self._books.block(account, opened.stopped, self.now)
            prover = Prover(session, self._solver, workers=self._settings.workers, books=self._books)
            proven, errors = prover.prove(opened.orders)
            self._learn(profile, opened.orders, proven)
            outcomes |= proven
            outcomes |= errors
        return outcomes

    def _new_order(
        self, session: Session, account: str, profile: str | None, identifiers: frozenset[Identifier]
    ) -> Order:
        from acmectl.ca.orders import new_order

        if self._books.orders_left(account, self.now) <= 0:
            limit = self._settings.new_orders
            raise Unordered(
                f"{limit} orders were sent in the last three hours, as many as the CA allows",
                hint="a later run goes on",
            )
        self._books.sent_order(account, self.now)
        order = new_order(session, identifiers, profile=session.directory.profile_for(profile))
        self._books.order(account, profile, order, now=self.now)
        return order

    def _learn(
        self, profile: str | None, orders: Sequence[tuple[Order, Batch]], proven: Mapping[Wanted, Proven]
    ) -> None:
        """The span of an order all of whose authorizations were new tells how long the CA's orders live."""
        for order, names in orders:
            if order.expires_at and names and all(w in proven and proven[w].fresh for w in names):
                self._books.learn_span(profile, order.expires_at - self.now)

    def _remember(
        self, outcomes: Mapping[Wanted, Outcomed], until: Mapping[Wanted, datetime | None] | None = None
    ) -> list[NameResult]:
        """Write down what came of the names, in few transactions, and say it; `until` is for those not refreshed."""
        until = until or {}
        proven = {w: p for w, p in outcomes.items() if isinstance(p, Proven)}
        errors = {w: e for w, e in outcomes.items() if isinstance(e, AcmectlError)}
        self._books.valid(_remembered(w, p, self.now) for w, p in proven.items())
        failures = self._books.failed({w: e for w, e in errors.items() if not isinstance(e, Unordered)}, self.now)
        results = [
            NameResult(w, Outcome.PROVEN if p.fresh else Outcome.FOUND, p.expires_at) for w, p in proven.items()
        ] + [
            NameResult(
                w,
                Outcome.FAILED,
                until.get(w) if isinstance(e, NotRefreshed) else None,
                e.message,
                e.hint,
                failures[w].retry_at if w in failures else None,
            )
            for w, e in errors.items()
        ]
        self._books.say(
            ((r.wanted.identifier, r.outcome, r.reason or f"until {r.expires_at}") for r in results), self.now
        )
        return results

    def _solver(self, name: str) -> Solver:
        if name not in self._solvers:
            self._solvers[name] = self._factories[name]()
        return self._solvers[name]

    def _remove_leftovers(self) -> None:
        for name in self._factories:
            left = self._books.leftovers(name)
            if not left:
                continue
            try:
                failures = self._solver(name).remove(left)
            except AcmectlError as error:
                log.warning("an interrupted run left records behind, and solver `%s` failed: %s", name, error)
            else:
                self._books.removed(name, [r for r in left if r not in failures])


def _undisturbed(decision: Decision) -> NameResult:
    known = decision.authorization
    expires_at = known.expires_at if known else None
    if decision.action is Action.KEEP:
        return NameResult(decision.wanted, Outcome.KEPT, expires_at, decision.reason)
    return NameResult(decision.wanted, Outcome.WAITING, expires_at, decision.reason, retry_at=decision.at)


def _remembered(wanted: Wanted, proven: Proven, now: datetime) -> RememberedAuthorization:
    return remembered(
        wanted,
        proven.authorization.url,
        expires_at=proven.expires_at,
        validated_at=proven.authorization.validated_at,
        lifetime=proven.lifetime,
        challenge_type=proven.challenge_type,
        now=now,
    )
