"""A master's run: decide which names are due, prove them, and remember what was seen.

Idempotent at any frequency: a run with nothing due makes no request at all.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from acmectl.errors import AcmectlError
from acmectl.master import looking
from acmectl.master.books import Books
from acmectl.master.caveats import Caveats
from acmectl.master.choosing import Choosing
from acmectl.master.leftovers import Leftovers
from acmectl.master.preflight import Preflight, Step, silent
from acmectl.master.receipts import RememberedReceipts
from acmectl.master.report import Forgotten, Found, Looked, MasterReport, NameResult, Outcome, Settings
from acmectl.master.reuse import Reuse
from acmectl.master.sessions import Sessions
from acmectl.master.trying import Trial, attempt
from acmectl.model.names import Identifier
from acmectl.model.orders import AuthorizationStatus
from acmectl.policy import backoff, health, refresh
from acmectl.policy.refresh import Action, Decision, Knowledge, Plan, Wanted
from acmectl.solvers.base import KeepsReceipts, Solver

if TYPE_CHECKING:
    from acmectl.ca.session import Session
    from acmectl.master.serving import AccountRun
    from acmectl.model.memory import RememberedAuthorization
    from acmectl.storage.clock import CAClock
    from acmectl.storage.memory import Memory

log = logging.getLogger(__name__)


class Master:
    """Keeps a list of names authorized for followers; one instance serves one run."""

    def __init__(
        self,
        *,
        connect: Callable[[str], Session],
        solvers: Mapping[str, Callable[[], Solver]],
        memory: Memory,
        clock: CAClock,
        settings: Settings,
        directory_url: str,
        published_cutoff: Callable[[str | None, datetime], timedelta | None],
        max_names: Callable[[str | None, datetime], int],
        marks: Mapping[str, str] | None = None,
    ) -> None:
        """`connect` opens a session for an account by name with the CA at `directory_url`; the last two are what is published of a profile at a time."""
        self._sessions = Sessions(connect, clock)
        self._factories = solvers
        self._solvers: dict[str, Solver] = {}
        self._memory = memory
        self._books = Books(
            memory, directory_url=directory_url, new_orders=settings.new_orders, may_wait=settings.may_wait, marks=marks
        )
        self._leftovers = Leftovers(self._solver, solvers, books=self._books, memory=memory, now=lambda: self.now)
        self._reuse = Reuse(memory, directory_url=directory_url)
        self._caveats = Caveats(memory, self._reuse, self.knowledge)
        self._clock = clock
        self._settings = settings
        self._published_cutoff = published_cutoff
        self._max_names = max_names

    @property
    def now(self) -> datetime:
        """The CA's time, as far as it is known."""
        return self._clock()

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
            blocked={**self._memory.failures("outage"), **self._memory.failures("account")},
        )

    def knowledge(self, profile: str | None) -> Knowledge:
        """What is known of the CA's cutoff for a profile."""
        return self._books.lore.knowledge(profile, self._published_cutoff(profile, self.now))

    def learned_limit(self, profile: str | None) -> int:
        """How many names the CA has shown to take in one order."""
        return self._books.lore.learned_limit(profile, self.now)

    def run(
        self,
        wanted: Sequence[Wanted],
        *,
        forced: frozenset[Identifier] = frozenset(),
        forget: bool = True,
        verify: bool = False,
    ) -> MasterReport:
        """Prove and refresh what is due; every other name stays as it is. Raises nothing for what happens to a name.

        `forget` drops what is remembered of names that are not in `wanted`: not for a run over some names only. `verify` first
        asks the CA for every authorization that is remembered as valid; what it has lost is proven in the same run.
        """
        self._clock.review()
        if self._clock.jumped_back:
            self._sessions.ask_for_the_time(dict.fromkeys(w.account for w in wanted))
        self._leftovers.remove()
        looked = self._look(wanted) if verify else ()
        plan = self.plan(wanted, forced=forced)
        if forget and plan.forget:
            self._books.departed.let_go(plan.forget, self.now)
        due = set(plan.due)
        results = {d.wanted.key: _undisturbed(d, self.now) for d in plan.decisions if d.wanted not in due}
        standing = {d.wanted: d.authorization for d in plan.decisions if d.action is Action.REFRESH and d.authorization}
        for account in dict.fromkeys(w.account for w in plan.due):
            served = self._serve(account, [w for w in plan.due if w.account == account], standing)
            results |= {r.wanted.key: r for r in served}
        if verify:
            self._probe(wanted)
        profiles = dict.fromkeys(w.profile for w in wanted)
        notes = (*self._caveats.of(profiles), *self._leftovers.abandoned())
        told, sessions = tuple(results[w.key] for w in wanted), self._sessions
        return MasterReport(told, sessions.requests, sessions.clock_offset, looked, notes)

    def try_names(
        self, wanted: Sequence[Wanted], *, every: bool = False, progress: Callable[[str, Step, int], None] = silent
    ) -> tuple[Trial, ...]:
        """Publish a probe for each name, see it, and remove it, as before a refresh; the CA is not asked.

        Each name by its solvers up to the first that works, with `every` by all. `progress` is told solver, step and how many.
        """
        self._leftovers.remove()
        choosing = Choosing(self._solver, self._books, now=lambda: self.now)
        preflight = Preflight(
            self._solver, self._books, pool=self._settings.workers, choosing=choosing, progress=progress
        )
        return attempt(wanted, choosing, preflight, every=every)

    def remembered(self, names: Iterable[Identifier]) -> frozenset[Identifier]:
        """Those of `names` of which an authorization is remembered, also of one that was removed from the configuration."""
        return frozenset(names) & {a.identifier for a in self._known()}

    def forget(self, names: frozenset[Identifier]) -> tuple[Forgotten, ...]:
        """Deactivate the authorizations of `names` at the CA, and forget them; what could not be is still remembered."""
        forgotten: list[Forgotten] = []
        known = [a for a in self._known() if a.identifier in names]
        for account in dict.fromkeys(a.account for a in known):
            of_account = [a for a in known if a.account == account]
            # A run that was killed may have remembered one as given up before it was: only time ends it for certain.
            active = [a for a in of_account if a.expires_at is None or a.expires_at > self.now]
            try:
                with self._sessions.of(account) as session:
                    given_up = looking.give_up(session, active, pool=self._settings.workers) if active else []
            except AcmectlError as error:
                given_up = [Forgotten(a, error) for a in active]
            forgotten += [*given_up, *(Forgotten(a) for a in of_account if a not in active)]
        self._books.forget((f.authorization for f in forgotten if f.error is None), self.now)
        return tuple(forgotten)

    def _known(self) -> tuple[RememberedAuthorization, ...]:
        return (*self._memory.authorizations(), *self._books.departed.known(self.now))

    # -- one account

    def _serve(
        self, account: str, due: list[Wanted], standing: Mapping[Wanted, RememberedAuthorization]
    ) -> list[NameResult]:
        failed, standing = self._memory.failures("name"), {w: standing[w] for w in due if w in standing}
        try:
            with self._sessions.of(account) as session:
                run = self._account_run(session, account)
                return run.keep(due, [w for w in due if w.failure_key in failed], standing)
        except AcmectlError as error:
            until = {w: a.expires_at for w, a in standing.items()}
            return [NameResult(w, Outcome.FAILED, until.get(w), error.message, error.hint) for w in due]

    def _account_run(self, session: Session, account: str) -> AccountRun:
        from acmectl.master.serving import AccountRun

        return AccountRun(
            session,
            account,
            books=self._books,
            reuse=self._reuse,
            solver=self._solver,
            settings=self._settings,
            knowledge=self.knowledge,
            max_names=lambda profile: self._max_names(profile, self.now),
            clock=self._clock,
        )

    # -- looking at what is remembered

    def _look(self, wanted: Sequence[Wanted]) -> tuple[Looked, ...]:
        """Ask the CA for each valid authorization of `wanted`, and remember what it says."""
        keys = {w.key for w in wanted}
        known = [
            a
            for a in self._memory.authorizations()
            if a.status is AuthorizationStatus.VALID and (a.account, a.profile, a.identifier) in keys
        ]
        looked: list[Looked] = []
        for account in dict.fromkeys(a.account for a in known):
            of_account = [a for a in known if a.account == account]
            try:
                with self._sessions.of(account) as session:
                    looked += looking.look(session, of_account, pool=self._settings.workers)
            except AcmectlError as error:
                looked += [Looked(a, Found.UNKNOWN, error.message) for a in of_account]
        self._books.seen(one.authorization for one in looked)
        ended = [one for one in looked if one.found in {Found.LOST, Found.LAPSED}]
        self._books.failures.lost((one.authorization for one in looked if one.found is Found.LOST), self.now)
        self._books.say(((one.authorization.identifier, one.found, one.words) for one in ended), self.now)
        return tuple(looked)

    def _probe(self, wanted: Sequence[Wanted]) -> None:
        """Find out whether the CA reuses authorizations, as far as that is not known."""
        open_question = [
            w
            for w in wanted
            if self._published_cutoff(w.profile, self.now) is None
            and not self._reuse.is_proven(w.profile)
            and not self._reuse.never_happens(w.profile)
        ]
        blocked = self._memory.failures("account")
        for account in dict.fromkeys(w.account for w in open_question):
            if not backoff.may_try(blocked.get(account), self.now):
                continue
            try:
                with self._sessions.of(account) as session:
                    self._account_run(session, account).probe([w for w in open_question if w.account == account])
            except AcmectlError as error:
                log.info("whether the CA reuses authorizations could not be found out: %s", error)

    # -- solvers

    def _solver(self, name: str) -> Solver:
        if name not in self._solvers:
            solver = self._factories[name]()
            if isinstance(solver, KeepsReceipts):
                solver.keep_receipts_in(RememberedReceipts(name, self._memory, self._books))
            self._solvers[name] = solver
        return self._solvers[name]


def _undisturbed(decision: Decision, now: datetime) -> NameResult:
    known = decision.authorization
    expires_at = known.expires_at if known and health.is_authorized(decision, now) else None
    if decision.action is Action.KEEP:
        return NameResult(decision.wanted, Outcome.KEPT, expires_at, decision.reason)
    return NameResult(
        decision.wanted,
        Outcome.WAITING,
        expires_at,
        decision.reason,
        retry_at=decision.at,
        is_paused=decision.at is None,
        is_firm=decision.failure is not None
        and decision.failure.kind == "account"
        and decision.failure.asked_until is not None
        and decision.failure.asked_until > now,
    )
