"""One account in one run: ask for all that is due, prove what comes back pending, replace what comes back as old as it was.

Names are looked at one by one, and nothing that happens to one of them stops the others.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from acmectl.errors import AcmectlError, CAError, CARefused, CAUnreachable
from acmectl.master import beside
from acmectl.master.attempts import Deactivated, Proven
from acmectl.master.books import Books, remembered
from acmectl.master.choosing import Choosing
from acmectl.master.company import Company
from acmectl.master.ordering import Batch, Unordered, open_orders
from acmectl.master.preflight import Preflight
from acmectl.master.proving import Prover
from acmectl.master.refreshing import Orders, Refresher
from acmectl.master.report import NameResult, Outcome, Settings
from acmectl.master.retrying import Retrying
from acmectl.master.reuse import Reuse
from acmectl.master.sending import Sending
from acmectl.master.sparing import NotRefreshed, Spared, Stale, spared, unprovable
from acmectl.model.memory import RememberedAuthorization
from acmectl.model.names import Identifier
from acmectl.model.orders import AuthorizationStatus, Order
from acmectl.policy import batching, refresh, replacing
from acmectl.policy.refresh import Knowledge, Wanted
from acmectl.policy.replacing import Zone
from acmectl.solvers.base import Solver

if TYPE_CHECKING:
    from acmectl.ca.session import Session

log = logging.getLogger(__name__)

# An authorization that a follower took away under us is ordered again at once; after that the CA's replicas get their time
# (Boulder: for some seconds after a deactivation newOrder still answers with the old state).
ROUND_PAUSES = (0.0, 2.0, 4.0, 8.0)

PROBES = 2  # newOrders by which `--verify` looks whether the CA reuses authorizations

Outcomed = Proven | AcmectlError


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
        self._account = account
        self._books = books
        self._solver = solver
        self._settings = settings
        self._knowledge = knowledge
        self._max_names = max_names
        self._clock = clock
        choosing = Choosing(solver, books, now=lambda: self.now)
        self._preflight = Preflight(solver, books, pool=settings.workers, choosing=choosing)
        self._prover = Prover(session, solver, workers=settings.workers, books=books, choosing=choosing)
        self._reuse = reuse
        self._given_up: set[str] = set()
        self._sending = Sending(session, account, books=books, new_orders=settings.new_orders, now=lambda: self.now)
        self._retrying = Retrying(self.prove, budget=self._sending.budget, pause=session.clocks.pause)
        self._until: dict[Wanted, datetime | None] = {}
        self._standing: set[Wanted] = set()
        self._lost: set[Wanted] = set()
        self._unsettled: set[Wanted] = set()  # deactivated, and the CA may yet show them as they were
        self._good: set[tuple[str | None, Zone]] = set()
        self._asked: set[tuple[str | None, frozenset[Identifier]]] = set()
        self._company = Company(self._new_order, self._usable)
        self._results: dict[Wanted, NameResult] = {}
        self._outcomes: dict[Wanted, Outcomed] = {}
        self._new_sets: set[str] = set()

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
        self._remember({w: unprovable(e) if w in standing else e for w, e in failing.items()})
        stale = self._stale(self.prove([w for w in due if w not in failing and w not in standing]))
        self._stands({s.wanted: s.authorization for s in stale})
        stale += [self._candidate(w, a) for w, a in standing.items() if w not in failing]
        for profile in dict.fromkeys(s.wanted.profile for s in stale):
            self._refresh(profile, [s for s in stale if s.wanted.profile == profile])
        return [self._results[wanted] for wanted in due]

    def _stands(self, standing: Mapping[Wanted, RememberedAuthorization]) -> None:
        """Note until when followers can use what is not given up."""
        self._standing |= standing.keys()
        self._until |= {w: a.expires_at for w, a in standing.items()}

    def _refresh(self, profile: str | None, stale: list[Stale]) -> None:
        """A new authorization beside the old one where the CA makes such, else in its place."""
        new: Mapping[Wanted, Outcomed] = {}
        if beside.is_offered(self._session, self._books, profile):
            seen = [s for s in stale if s.wanted in self._outcomes]
            stale = [*seen, *self._stale(self.prove([s.wanted for s in stale if s.wanted not in self._outcomes]))]
            new = beside.refresh(stale, self._session, self._books, self._prover, self._preflight)
            self._remember(new)
        refresher = Refresher(
            self._session,
            self._preflight,
            orders=Orders(
                prove=self.prove,
                stale=self._stale,
                asked=partial(self._parts, profile),
                give_up=self._give_up,
                budget=self._sending.budget,
                limit=lambda: self._limit(profile),
            ),
            pool=self._settings.workers,
            given_up=self._given_up,
            retrying=self._retrying,
        )
        replaced = refresher.refresh(
            [s for s in stale if s.wanted not in new],
            failed=self._failed_zones(profile),
            good={zone for of, zone in self._good if of == profile},
        )
        self._remember({w: o for w, o in replaced.items() if o is not self._outcomes.get(w)})

    def _failed_zones(self, profile: str | None) -> dict[Zone, int]:
        """How many names of a zone have failed in this run; of zones that failed before, as many as canaries do."""
        failed = Counter(
            replacing.zone(w) for w, o in self._outcomes.items() if w.profile == profile and _could_not_be_proven(o)
        )
        return failed | dict.fromkeys(self._books.validations.failed_zones(self._account, profile), replacing.CANARIES)

    def _judge_zones(self, outcomes: Mapping[Wanted, Outcomed]) -> None:
        """Remember where names failed that were given up: a later run gives no others of the zone up for it."""
        for profile in {w.profile for w in outcomes}:
            of_profile = {w: o for w, o in outcomes.items() if w.profile == profile}
            self._good |= {(profile, replacing.zone(w)) for w, o in of_profile.items() if _is_fresh(o)}
            good = {zone for of, zone in self._good if of == profile}
            failed = {replacing.zone(w) for w, o in of_profile.items() if w in self._lost and _could_not_be_proven(o)}
            self._books.validations.judge_zones(self._account, profile, failed=failed - good, proven=good)

    def _parts(self, profile: str | None, names: Iterable[Wanted]) -> list[list[Wanted]]:
        """Sets of `names` for which this run got an order, the largest first; names that are in none are left out."""
        left, parts = {w.identifier: w for w in names}, []
        for identifiers in sorted((ids for p, ids in self._asked if p == profile), key=len, reverse=True):
            if left.keys() >= identifiers:
                parts.append([left[identifier] for identifier in sorted(identifiers)])
                left = {identifier: w for identifier, w in left.items() if identifier not in identifiers}
        return parts

    def _give_up(self, stale: Sequence[Stale]) -> None:
        """Note what is about to be deactivated: these names have nothing to fall back on any more."""
        self._books.giving_up((s.authorization for s in stale), self.now)
        self._standing -= {s.wanted for s in stale}
        self._lost |= {s.wanted for s in stale}
        self._unsettled |= {s.wanted for s in stale}

    def _stale(self, outcomes: Mapping[Wanted, Outcomed]) -> list[Stale]:
        """The names whose authorization came back valid and is the one to replace, not a fresher one."""
        stale = []
        for wanted, outcome in outcomes.items():
            if not isinstance(outcome, Proven) or outcome.fresh:
                continue
            authorization, known = self._remembered(wanted, outcome), self._knowledge(wanted.profile)
            if refresh.is_stale(authorization, known, self._settings.schedule, self.now):
                stale.append(self._candidate(wanted, authorization))
        return stale

    def _candidate(self, wanted: Wanted, authorization: RememberedAuthorization) -> Stale:
        schedule, now = self._settings.schedule, self.now
        ends = refresh.horizon(authorization, self._knowledge(wanted.profile), schedule)
        return Stale(wanted, authorization, replacing.stake(ends.cutoff_at if ends else now, now, schedule.every))

    def prove(self, due: Sequence[Wanted]) -> dict[Wanted, Outcomed]:
        """Order, prove, and remember; an authorization that was deactivated under us is ordered again, and is no failure."""
        outcomes: dict[Wanted, Outcomed] = {}
        due, pauses = list(due), [0.0, *ROUND_PAUSES]
        while due and pauses:
            pause, pauses = (sum(pauses), []) if self._is_last_try(due) else (pauses[0], pauses[1:])
            if pause:
                self._session.clocks.pause(pause)
            outcomes |= (found := {w: self._held(w, o) for w, o in self._round(due).items()})
            self._remember({w: o for w, o in found.items() if not pauses or not isinstance(o, Deactivated)})
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
            expected = self._expected(profile, names)
            opened = open_orders(batching.pack(names, limit=self._limit(profile)), partial(self._opened, profile))
            if opened.limit is not None:
                self._books.lore.learn_limit(profile, opened.limit, self.now)
            outcomes |= {w: self._refused(w, reason) for w, reason in opened.refused.items()}
            if opened.stopped is not None:
                outcomes |= dict.fromkeys(opened.unordered, self._sending.stopped(opened.stopped))
            proven, errors = self._prover.prove(opened.orders)
            self._learn(profile, opened.orders, proven, expected)
            outcomes |= {w: self._replicated(p) for w, p in proven.items()}
            outcomes |= errors
        return outcomes

    def _replicated(self, proven: Proven) -> Outcomed:
        """A replica of the CA may still show what this run has given up."""
        if not proven.fresh and proven.authorization.url in self._given_up:
            return Deactivated("the CA still shows the authorization that was given up a moment ago")
        return proven

    def _expected(self, profile: str | None, names: Sequence[Wanted]) -> frozenset[Wanted]:
        """The names by which the CA shows whether it reuses anything, as long as that is not known."""
        known = self._knowledge(profile)
        if known.cutoff is not None or self._reuse.is_proven(profile):
            return frozenset()
        return self._reuse.expected(names, {profile: known}, self.now)

    def probe(self, names: Sequence[Wanted]) -> None:
        """Find out whether the CA reuses authorizations, if that is not known: order names together as never before."""
        for profile in dict.fromkeys(w.profile for w in names):
            expected = sorted(
                self._expected(profile, [w for w in names if w.profile == profile]), key=lambda w: w.identifier
            )
            for _ in range(PROBES):
                chosen = self._reuse.probe(self._account, expected[: self._limit(profile)])
                if chosen is None or self._reuse.is_proven(profile) or self._reuse.never_happens(profile):
                    break
                self._look_for_reuse(profile, chosen)

    def _look_for_reuse(self, profile: str | None, names: Sequence[Wanted]) -> None:
        from acmectl.ca.orders import fetch_authorization

        try:
            order = self._new_order(profile, frozenset(w.identifier for w in names))
        except CAError as error:
            raise self._sending.stopped(error) from error
        states = {fetch_authorization(self._session, url).status for url in order.authorization_urls}
        self._reuse.learn(profile, order.identifiers, reused=AuthorizationStatus.VALID in states)

    def _limit(self, profile: str | None) -> int:
        return min(self._max_names(profile), self._books.lore.learned_limit(profile, self.now))

    def _opened(self, profile: str | None, identifiers: frozenset[Identifier]) -> Order:
        order = self._company.order(profile, identifiers)
        self._asked.add((profile, identifiers))
        return order

    def _usable(self, profile: str | None) -> list[Identifier]:
        """What a new order surely finds valid; what stays so for longest first."""
        known, schedule = self._knowledge(profile), self._settings.schedule
        usable = [
            (ends.cutoff_at, a.identifier)
            for a in self._books.authorizations(self._account, profile)
            if (ends := refresh.horizon(a, known, schedule)) and self.now < ends.cutoff_at
        ]
        return [identifier for _, identifier in sorted(usable, key=lambda pair: pair[0], reverse=True)]

    def _new_order(self, profile: str | None, identifiers: frozenset[Identifier]) -> Order:
        from acmectl.ca.orders import new_order

        said = self._session.directory.profile_for(profile)  # read first: the answer brings the CA's time
        is_new = self._reuse.is_new(self._account, profile, identifiers)
        order = self._sending.persist(lambda: new_order(self._session, identifiers, profile=said, repeatable=False))
        self._books.order(self._account, profile, order, now=self.now)
        if is_new:
            self._new_sets.add(order.url)
        return order

    def _learn(
        self,
        profile: str | None,
        orders: Sequence[tuple[Order, Batch]],
        proven: Mapping[Wanted, Proven],
        expected: frozenset[Wanted],
    ) -> None:
        """What the orders tell of the CA: how long orders live, and whether valid authorizations are put into new ones."""
        for order, names in orders:
            if order.expires_at and names and all(w in proven and proven[w].fresh for w in names):
                self._books.lore.learn_span(profile, self._knowledge(profile).cutoff, order.expires_at - self.now)
            surely = [w for w in names if w in expected and w in proven]
            if surely and order.url in self._new_sets:
                reused = any(not proven[w].fresh for w in surely)
                self._reuse.learn(profile, [w.identifier for w in names], reused=reused)

    def _remember(self, outcomes: Mapping[Wanted, Outcomed]) -> None:
        """Write down what came of the names, in few transactions, and what to say of it.

        An authorization that is to be replaced is remembered as it is, and its failures with it: it has succeeded in nothing yet.
        """
        self._outcomes |= outcomes
        self._judge_zones(outcomes)
        stale = {s.wanted: s.authorization for s in self._stale(outcomes)}
        proven = {w: p for w, p in outcomes.items() if isinstance(p, Proven) and w not in stale}
        errors = {w: e for w, e in outcomes.items() if isinstance(e, AcmectlError)}
        self._books.seen(stale.values())
        self._results |= {w: NameResult(w, Outcome.FOUND, a.expires_at) for w, a in stale.items()}  # if nothing follows
        self._books.valid(self._remembered(w, p) for w, p in proven.items())
        own = {w: e for w, e in errors.items() if not isinstance(e, Unordered | Spared)}
        failures = self._books.failures.failed(own, self.now)
        results = [
            NameResult(w, Outcome.PROVEN if p.fresh else Outcome.FOUND, p.expires_at) for w, p in proven.items()
        ] + [
            NameResult(
                w,
                Outcome.FAILED,
                self._until.get(w) if isinstance(e, NotRefreshed) else None,
                e.message,
                e.hint,
                failures[w].retry_at if w in failures else getattr(e, "retry_at", None),
                is_paused=w in failures and failures[w].retry_at is None,
            )
            for w, e in errors.items()
        ]
        self._results |= {result.wanted: result for result in results}
        self._books.say(((r.wanted.identifier, r.outcome, self._words(r)) for r in results), self.now)

    def _remembered(self, wanted: Wanted, proven: Proven) -> RememberedAuthorization:
        return self._books.with_lifetime(
            remembered(
                wanted,
                proven.authorization.url,
                expires_at=proven.expires_at,
                validated_at=proven.validated_at,
                lifetime=proven.lifetime,
                challenge_type=proven.challenge_type,
                now=self.now,
            )
        )

    def _words(self, result: NameResult) -> str:
        """For the log: until when, or who failed whom and in whose words."""
        if result.outcome is not Outcome.FAILED:
            return f"until {result.expires_at:%Y-%m-%d %H:%M:%S} UTC" if result.expires_at else "until an unknown time"
        trail = self._prover.trail(result.wanted)
        return f"{result.reason} [{trail}]" if trail else result.reason


def _is_fresh(outcome: Outcomed) -> bool:
    return isinstance(outcome, Proven) and outcome.fresh


def _could_not_be_proven(outcome: Outcomed) -> bool:
    """Whether the CA validated a name, or tried to, in vain: a refusal, an outage, or a solver says nothing of the zone at the CA."""
    return isinstance(outcome, CAError) and not isinstance(outcome, CARefused | CAUnreachable | Deactivated)
