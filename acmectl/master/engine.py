"""A master's run: decide which names are due, prove them, and remember what was seen.

Idempotent at any frequency: a run with nothing due makes no request at all.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from acmectl.errors import AcmectlError, CARefused, RateLimited
from acmectl.master.ordering import Opened, Unordered, open_orders
from acmectl.master.proving import Deactivated, Proven, Prover
from acmectl.model.memory import Event, Failure, RememberedAuthorization
from acmectl.model.names import Identifier
from acmectl.model.orders import AuthorizationStatus, Order
from acmectl.policy import backoff, batching, refresh
from acmectl.policy.refresh import Action, Decision, Plan, Wanted
from acmectl.solvers.base import Response, Solver

if TYPE_CHECKING:
    from acmectl.ca.session import Session
    from acmectl.storage.memory import Memory

log = logging.getLogger(__name__)

# An authorization that a follower deactivates under us is ordered again at once, and then after these seconds, because Boulder
# answers newOrder from replicas that lag behind a deactivation.
ROUND_PAUSES = (0.0, 2.0, 4.0, 8.0)


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


class Master:
    """Keeps a list of names authorized for followers; one instance serves one run."""

    def __init__(
        self,
        *,
        connect: Callable[[str], Session],
        solvers: Mapping[str, Callable[[], Solver]],
        memory: Memory,
        clock: Callable[[], datetime],
        cutoff: Callable[[str | None, datetime], timedelta | None],
        workers: int = 16,
        max_names: Callable[[str | None, datetime], int] = lambda _profile, _now: batching.MAX_NAMES,
    ) -> None:
        """`connect` opens a session for an account by name; `cutoff` and `max_names` are what is known of a profile."""
        self._connect = connect
        self._solvers = solvers
        self._memory = memory
        self._clock = clock
        self._cutoff = cutoff
        self._workers = workers
        self._max_names = max_names
        self._requests: dict[str, int] = {}
        self._offset: timedelta | None = None

    def plan(self, wanted: Sequence[Wanted], *, forced: frozenset[Identifier] = frozenset()) -> Plan:
        """What a run would do now, without asking the CA."""
        now = self._clock()
        cutoffs = {p: c for p in {w.profile for w in wanted} if (c := self._cutoff(p, now)) is not None}
        return refresh.plan(
            wanted, self._memory.authorizations(), self._memory.failures("name"), now=now, cutoff=cutoffs, forced=forced
        )

    def run(
        self, wanted: Sequence[Wanted], *, forced: frozenset[Identifier] = frozenset(), forget: bool = True
    ) -> MasterReport:
        """Prove what is due; every other name stays as it is. Raises nothing for what happens to a single name.

        `forget` drops what is remembered of names that are not in `wanted`: not for a run over some names only.
        """
        plan = self.plan(wanted, forced=forced)
        if forget:
            self._memory.forget_authorizations(a.url for a in plan.forget)
        self._remove_leftovers()
        results = {d.wanted.key: _undisturbed(d) for d in plan.decisions if d.action is not Action.PROVE}
        for account in dict.fromkeys(w.account for w in plan.due):
            due = [w for w in plan.due if w.account == account]
            results |= self._serve(account, due, forced=bool(forced))
        return MasterReport(tuple(results[w.key] for w in wanted), self._requests, self._offset)

    def _serve(
        self, account: str, due: list[Wanted], *, forced: bool
    ) -> dict[tuple[str, str | None, Identifier], NameResult]:
        blocked = self._memory.failures("account").get(account)
        if not forced and not backoff.may_try(blocked, self._clock()):
            assert blocked is not None  # noqa: S101  # may_try allows where there is none
            return {
                w.key: NameResult(w, Outcome.WAITING, reason=blocked.reason, retry_at=blocked.retry_at) for w in due
            }
        try:
            session = self._connect(account)
        except AcmectlError as error:
            return {w.key: NameResult(w, Outcome.FAILED, reason=error.message, hint=error.hint) for w in due}
        try:
            return self._rounds(session, account, due)
        except AcmectlError as error:
            return {w.key: NameResult(w, Outcome.FAILED, reason=error.message, hint=error.hint) for w in due}
        finally:
            for kind, count in session.requests.items():
                self._requests[kind] = self._requests.get(kind, 0) + count
            self._offset = session.clock_offset
            session.close()

    def _rounds(
        self, session: Session, account: str, due: list[Wanted]
    ) -> dict[tuple[str, str | None, Identifier], NameResult]:
        results: dict[tuple[str, str | None, Identifier], NameResult] = {}
        for pause in (*ROUND_PAUSES, None):
            outcomes = self._round(session, account, due)
            due = [w for w, o in outcomes.items() if isinstance(o, Deactivated) and pause is not None]
            for wanted in due:
                del outcomes[wanted]
            results |= {r.wanted.key: r for r in self._remember(account, outcomes)}
            if pause is None or not due:
                break
            log.info("%d authorizations were deactivated by another host: ordering again", len(due))
            session.clocks.pause(pause)
        return results

    def _remember(self, account: str, outcomes: Mapping[Wanted, Proven | AcmectlError]) -> list[NameResult]:
        """Write down what a round brought, in few transactions, and say it."""
        proven = {w: p for w, p in outcomes.items() if isinstance(p, Proven)}
        errors = {w: e for w, e in outcomes.items() if isinstance(e, AcmectlError)}
        now, known = self._clock(), self._memory.failures("name")
        failures = {
            w: _failure(known.get(w.failure_key), "name", w.failure_key, e, now)
            for w, e in errors.items()
            if not isinstance(e, Unordered)
        }
        self._memory.remember_authorizations(_remembered(w, p, now) for w, p in proven.items())
        self._memory.clear_failures("name", [w.failure_key for w in proven])
        if proven:
            self._memory.clear_failure("account", account)
        self._memory.save_failures(failures.values())
        results = [
            NameResult(w, Outcome.PROVEN if p.fresh else Outcome.FOUND, p.expires_at) for w, p in proven.items()
        ] + [
            NameResult(w, Outcome.FAILED, None, e.message, e.hint, failures[w].retry_at if w in failures else None)
            for w, e in errors.items()
        ]
        self._memory.add_events(
            Event(now, r.wanted.identifier.value, r.outcome, r.reason or f"until {r.expires_at}") for r in results
        )
        return results

    def _round(self, session: Session, account: str, due: list[Wanted]) -> dict[Wanted, Proven | AcmectlError]:
        """Order and prove once; every name gets its authorization or its error."""
        now = self._clock()
        outcomes: dict[Wanted, Proven | AcmectlError] = {}
        for profile in dict.fromkeys(w.profile for w in due):
            names = [w for w in due if w.profile == profile]
            batches = batching.pack(names, limit=self._max_names(profile, now))
            opened = open_orders(batches, lambda ids, p=profile: self._new_order(session, ids, p))  # type: ignore[misc]
            outcomes |= opened.refused
            if opened.stopped is not None:
                stopped = Unordered(opened.stopped.message, hint=opened.stopped.hint)
                outcomes |= dict.fromkeys(opened.unordered, stopped)
                self._block(account, opened)
            prover = Prover(
                session,
                self._solvers,
                workers=self._workers,
                publishing=self._note_published,
                removed=self._note_removed,
            )
            proven, errors = prover.prove(opened.orders)
            outcomes |= proven
            outcomes |= errors
        return outcomes

    def _new_order(self, session: Session, identifiers: frozenset[Identifier], profile: str | None) -> Order:
        from acmectl.ca.orders import new_order

        account = session.account_url or ""
        order = new_order(session, identifiers, profile=session.directory.profile_for(profile))
        self._memory.remember_order(
            order.url,
            account=account,
            profile=profile,
            names=identifiers,
            role="master",
            status=order.status,
            expires_at=order.expires_at,
            authorization_urls=order.authorization_urls,
            at=self._clock(),
        )
        return order

    def _block(self, account: str, opened: Opened) -> None:
        """Remember a refusal of the whole account until its Retry-After."""
        if isinstance(opened.stopped, RateLimited):
            known = self._memory.failures("account").get(account)
            self._memory.save_failure(_failure(known, "account", account, opened.stopped, self._clock()))

    def _note_published(self, solver: str, responses: Iterable[Response]) -> None:
        """Note what is about to lie in the world, so that a run that was killed is cleaned up after by the next one."""
        self._save_left(solver, dict.fromkeys([*self._left(solver), *responses]))

    def _note_removed(self, solver: str, responses: Iterable[Response]) -> None:
        gone = frozenset(responses)
        self._save_left(solver, [response for response in self._left(solver) if response not in gone])

    def _left(self, solver: str) -> list[Response]:
        noted = json.loads(self._memory.fact(f"published/{solver}") or "[]")
        return [Response(**r | {"identifier": Identifier(r["identifier"])}) for r in noted]

    def _save_left(self, solver: str, responses: Iterable[Response]) -> None:
        text = json.dumps([asdict(r) | {"identifier": r.identifier.value} for r in responses])
        self._memory.set_fact(f"published/{solver}", text)

    def _remove_leftovers(self) -> None:
        for name, factory in self._solvers.items():
            left = self._left(name)
            if not left:
                continue
            try:
                failures = factory().remove(left)
            except AcmectlError as error:
                log.warning("an interrupted run left records behind, and solver `%s` failed: %s", name, error)
                continue
            for response, failure in failures.items():
                log.warning("an interrupted run left a record behind for `%s`: %s", response.identifier, failure)
            self._note_removed(name, [response for response in left if response not in failures])


def _undisturbed(decision: Decision) -> NameResult:
    known = decision.authorization
    expires_at = known.expires_at if known else None
    if decision.action is Action.KEEP:
        return NameResult(decision.wanted, Outcome.KEPT, expires_at, decision.reason)
    return NameResult(decision.wanted, Outcome.WAITING, expires_at, decision.reason, retry_at=decision.at)


def _failure(previous: Failure | None, kind: str, key: str, error: AcmectlError, now: datetime) -> Failure:
    retry_after = error.retry_after if isinstance(error, CARefused) else None
    return backoff.failed(
        previous,
        kind=kind,
        key=key,
        reason=error.message,
        now=now,
        retry_after=retry_after,
        paused=isinstance(error, RateLimited) and retry_after is None,
    )


def _remembered(wanted: Wanted, proven: Proven, now: datetime) -> RememberedAuthorization:
    return RememberedAuthorization(
        account=wanted.account,
        profile=wanted.profile,
        identifier=wanted.identifier,
        url=proven.authorization.url,
        status=AuthorizationStatus.VALID,
        expires_at=proven.expires_at,
        validated_at=proven.authorization.validated_at,
        lifetime=proven.lifetime,
        challenge_type=proven.challenge_type,
        seen_at=now,
    )
