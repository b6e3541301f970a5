"""One account in one run: ask for all that is due, prove what comes back pending, replace what comes back as old as it was.

Names are looked at one by one, and nothing that happens to one of them stops the others.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from acmectl.errors import CARefused
from acmectl.master import beside
from acmectl.master.attempts import Deactivated, Proven
from acmectl.master.books import Books
from acmectl.master.choosing import Choosing
from acmectl.master.ledger import Ledger, Outcomed
from acmectl.master.new_orders import NewOrders
from acmectl.master.ordering import Unordered, open_orders
from acmectl.master.preflight import Preflight
from acmectl.master.proving import Prover
from acmectl.master.refreshing import Orders, Refresher
from acmectl.master.report import NameResult, Settings
from acmectl.master.retrying import Retrying
from acmectl.master.reuse import Reuse
from acmectl.master.sending import Sending
from acmectl.master.sparing import NotRefreshed, Stale, spared, unprovable
from acmectl.model.memory import RememberedAuthorization
from acmectl.policy import batching
from acmectl.policy.refresh import Knowledge, Wanted
from acmectl.solvers.base import Solver

if TYPE_CHECKING:
    from acmectl.ca.session import Session

log = logging.getLogger(__name__)

# An authorization that a follower took away under us is ordered again at once; after that the CA's replicas get their time
# (Boulder: for some seconds after a deactivation newOrder still answers with the old state).
ROUND_PAUSES = (0.0, 2.0, 4.0, 8.0)


class AccountRun:
    """Keeps names of one account authorized, over one session."""

    def __init__(
        self,
        session: Session,
        account: str,
        *,
        books: Books,
        reuse: Reuse,
        solver: Callable[[str], Solver],
        settings: Settings,
        knowledge: Callable[[str | None], Knowledge],
        max_names: Callable[[str | None], int],
        clock: Callable[[], datetime],
    ) -> None:
        """`solver` gives a solver by name; the last two are what is known of the CA, by profile."""
        self._session = session
        self._books = books
        self._settings = settings
        self._clock = clock
        choosing = Choosing(solver, books, now=lambda: self.now)
        self._preflight = Preflight(solver, books, pool=settings.workers, choosing=choosing)
        self._prover = Prover(session, solver, workers=settings.workers, books=books, choosing=choosing)
        self._sending = Sending(session, account, books=books, new_orders=settings.new_orders, now=lambda: self.now)
        self._new_orders = NewOrders(
            session,
            account,
            sending=self._sending,
            books=books,
            reuse=reuse,
            settings=settings,
            knowledge=knowledge,
            max_names=max_names,
            now=lambda: self.now,
        )
        self._ledger = Ledger(
            account,
            books=books,
            settings=settings,
            knowledge=knowledge,
            trail=self._prover.trail,
            now=lambda: self.now,
        )
        self._retrying = Retrying(self.prove, budget=self._sending.budget, pause=session.clocks.pause)
        self._given_up: set[str] = set()
        self._standing: set[Wanted] = set()
        self._unsettled: set[Wanted] = set()  # deactivated, and the CA may yet show them as they were

    @property
    def now(self) -> datetime:
        """The CA's time."""
        if self._session.clock_offset is None:
            return self._clock()
        return self._session.ca_now()

    def keep(
        self,
        due: Sequence[Wanted],
        doubtful: Iterable[Wanted],
        standing: Mapping[Wanted, RememberedAuthorization],
    ) -> list[NameResult]:
        """Bring every name of `due` as far as it can be brought; `doubtful` ones, which failed before, are probed first.

        `standing` has the authorizations that are still of use, and due to be replaced: the CA is asked for these names in the sets
        that they will be ordered in. What came of a name is written down as soon as it is known: a run that is killed has lost nothing.
        """
        self._stands(standing)
        failing = self._preflight.failing(doubtful)
        self._ledger.remember({w: unprovable(e) if w in standing else e for w, e in failing.items()})
        stale = self._ledger.stale(self.prove([w for w in due if w not in failing and w not in standing]))
        self._stands({s.wanted: s.authorization for s in stale})
        stale += [self._ledger.candidate(w, a) for w, a in standing.items() if w not in failing]
        for profile in dict.fromkeys(s.wanted.profile for s in stale):
            self._refresh(profile, [s for s in stale if s.wanted.profile == profile])
        return [self._ledger.result(wanted) for wanted in due]

    def _stands(self, standing: Mapping[Wanted, RememberedAuthorization]) -> None:
        """Note until when followers can use what is not given up."""
        self._standing |= standing.keys()
        self._ledger.stands(standing)

    def _refresh(self, profile: str | None, stale: list[Stale]) -> None:
        """A new authorization beside the old one where the CA makes such, else in its place."""
        new: Mapping[Wanted, Outcomed] = {}
        if beside.is_offered(self._session, self._books, profile):
            seen = [s for s in stale if self._ledger.outcome(s.wanted) is not None]
            unseen = [s.wanted for s in stale if self._ledger.outcome(s.wanted) is None]
            stale = [*seen, *self._ledger.stale(self.prove(unseen))]
            new = beside.refresh(stale, self._session, self._books, self._prover, self._preflight)
            self._ledger.remember(new)
        refresher = Refresher(
            self._session,
            self._preflight,
            orders=Orders(
                prove=self.prove,
                stale=self._ledger.stale,
                asked=partial(self._new_orders.parts, profile),
                give_up=self._give_up,
                budget=self._sending.budget,
                limit=lambda: self._new_orders.limit(profile),
            ),
            pool=self._settings.workers,
            given_up=self._given_up,
            retrying=self._retrying,
        )
        replaced = refresher.refresh(
            [s for s in stale if s.wanted not in new],
            failed=self._ledger.failed_zones(profile),
            good=self._ledger.good_zones(profile),
        )
        self._ledger.remember({w: o for w, o in replaced.items() if o is not self._ledger.outcome(w)})

    def _give_up(self, stale: Sequence[Stale]) -> None:
        """Note what is about to be deactivated: these names have nothing to fall back on any more."""
        self._books.giving_up((s.authorization for s in stale), self.now)
        self._standing -= {s.wanted for s in stale}
        self._ledger.given_up(s.wanted for s in stale)
        self._unsettled |= {s.wanted for s in stale}

    def prove(self, due: Sequence[Wanted]) -> dict[Wanted, Outcomed]:
        """Order, prove, and remember; an authorization that was deactivated under us is ordered again, and is no failure."""
        outcomes: dict[Wanted, Outcomed] = {}
        due, pauses = list(due), [0.0, *ROUND_PAUSES]
        while due and pauses:
            pause, pauses = (sum(pauses), []) if self._is_last_try(due) else (pauses[0], pauses[1:])
            if pause:
                self._session.clocks.pause(pause)
            outcomes |= (found := {w: self._held(w, o) for w, o in self._round(due).items()})
            self._ledger.remember({w: o for w, o in found.items() if not pauses or not isinstance(o, Deactivated)})
            due = [w for w in due if isinstance(outcomes[w], Deactivated)]
            self._unsettled = (self._unsettled - outcomes.keys()) | {*due}
            if due:
                log.info("deactivated by another host, ordering again: %s", ", ".join(str(w.identifier) for w in due))
        return outcomes

    def _is_last_try(self, due: Collection[Wanted]) -> bool:
        """Whether names that were just deactivated can be ordered but once more: then the CA's replicas get all their time before it."""
        return 0 < self._sending.budget() <= len({w.profile for w in due}) and not self._unsettled.isdisjoint(due)

    def _held(self, wanted: Wanted, outcome: Outcomed) -> Outcomed:
        """A name that got no order, and whose old authorization stands, has lost nothing."""
        return spared(outcome) if wanted in self._standing and isinstance(outcome, Unordered) else outcome

    def _refused(self, wanted: Wanted, reason: CARefused) -> Outcomed:
        """That the CA takes no order for a name: it keeps what it has."""
        if wanted not in self._standing:
            return reason
        return NotRefreshed(f"not refreshed: {reason.message}", hint=reason.hint, cause=reason)

    def _round(self, due: Sequence[Wanted]) -> dict[Wanted, Outcomed]:
        outcomes: dict[Wanted, Outcomed] = {}
        for profile in dict.fromkeys(w.profile for w in due):
            names = [w for w in due if w.profile == profile]
            expected = self._new_orders.expected(profile, names)
            opened = open_orders(
                batching.pack(names, limit=self._new_orders.limit(profile)), partial(self._new_orders.open, profile)
            )
            if opened.limit is not None:
                self._books.lore.learn_limit(profile, opened.limit, self.now)
            outcomes |= {w: self._refused(w, reason) for w, reason in opened.refused.items()}
            if opened.stopped is not None:
                outcomes |= dict.fromkeys(opened.unordered, self._sending.stopped(opened.stopped))
            proven, errors = self._prover.prove(opened.orders)
            self._new_orders.learn(profile, opened.orders, proven, expected)
            outcomes |= {w: self._replicated(p) for w, p in proven.items()}
            outcomes |= errors
        return outcomes

    def _replicated(self, proven: Proven) -> Outcomed:
        """A replica of the CA may still show what this run has given up."""
        if not proven.fresh and proven.authorization.url in self._given_up:
            return Deactivated("the CA still shows the authorization that was given up a moment ago")
        return proven

    def probe(self, names: Sequence[Wanted]) -> None:
        """Find out whether the CA reuses authorizations, if that is not known: order names together as never before."""
        self._new_orders.probe(names)
