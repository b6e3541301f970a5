"""Early refresh: replacing an authorization that is still good, without ever risking it for nothing.

A CA gives no new authorization while the old one is reusable, so the old one has to be deactivated first. Before that, in
this order: the solver publishes a probe value for each name, and it is seen wherever the CA will look; one name of each solver and zone
went first, as canary (`policy.replacing` says for whom); the budget of orders covers proving the batch and splitting it; the CA was asked
by newOrder for exactly the set that is ordered after it (limits can be by set), and did not refuse. What is about to be deactivated is
remembered as lost before the request is sent: a run that is killed in between is mended by the next one.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from acmectl import workers
from acmectl.errors import AcmectlError, CARefused
from acmectl.master.attempts import Proven
from acmectl.master.ordering import Unordered
from acmectl.master.retrying import Retrying
from acmectl.master.sparing import NotRefreshed, Spared, Stale, kept, spared, unprovable
from acmectl.policy import batching, replacing
from acmectl.policy.refresh import Wanted
from acmectl.policy.replacing import CANARIES, Stake, Zone

if TYPE_CHECKING:
    from acmectl.ca.session import Session
    from acmectl.master.preflight import Preflight

log = logging.getLogger(__name__)

ELDERS = 2
"""More old authorizations of one name in one run: two masters that proved at the same moment leave one each, and the CA hands out the other."""

_ASKED = 2  # times in a row that a set is asked for which changes by the answer

Outcomes = Mapping[Wanted, Proven | AcmectlError]
_Results = dict[Wanted, Proven | AcmectlError]


@dataclass(frozen=True, slots=True)
class Orders:
    """What an account's run does for a refresh.

    `prove` orders and proves names (one that gets no order, and is not given up, is `NotRefreshed`); `stale` are those of its outcomes
    that still have the old authorization; `asked` parts names into sets for which this run got an order, as far as it can; `give_up`
    notes what is about to be deactivated; `budget` is how many newOrders are left, `limit` how many names fit into one.
    """

    prove: Callable[[Sequence[Wanted]], Outcomes]
    stale: Callable[[Outcomes], list[Stale]]
    asked: Callable[[Iterable[Wanted]], list[list[Wanted]]]
    give_up: Callable[[Sequence[Stale]], None]
    budget: Callable[[], int]
    limit: Callable[[], int]


class Refresher:
    """Refreshes the authorizations of one account and profile in one run."""

    def __init__(
        self,
        session: Session,
        preflight: Preflight,
        *,
        orders: Orders,
        pool: int,
        given_up: set[str],
        retrying: Retrying,
    ) -> None:
        """The URLs of what was deactivated go into `given_up`; `retrying` proves what was given up; `pool` threads."""
        self._session = session
        self._preflight = preflight
        self._orders = orders
        self._pool = pool
        self._given_up = given_up
        self._retrying = retrying
        self._stopped: Spared | None = None
        self._risked: set[Wanted] = set()

    def refresh(self, stale: Sequence[Stale], *, failed: Mapping[Zone, int], good: Collection[Zone]) -> _Results:
        """Replace what can be replaced safely; every name gets its new authorization or the reason why not.

        What lapsed goes first, and without canaries: it has nothing to lose. `failed` says how many names of a zone have failed
        already, which count as its canaries; of the `good` ones a name was proven in this run.
        """
        unfit = self._preflight.failing(s.wanted for s in stale)
        results: _Results = {w: unprovable(e) for w, e in unfit.items()}
        ready = [s for s in stale if s.wanted not in unfit]
        lapsed = [s for s in ready if s.stake is Stake.LAPSED]
        results |= self._batches(lapsed)
        counts = Counter(failed) + Counter(s.zone for s in lapsed if self._has_failed(s, results))
        good = {*good, *_zones_of(lapsed, results)}
        return results | self._with_canaries([s for s in ready if s.stake is not Stake.LAPSED], counts, good)

    def _with_canaries(self, left: Sequence[Stale], failed: Counter[Zone], good: set[Zone]) -> _Results:
        """A canary of each zone that is not known to be good, all canaries together; then the rest of the good zones.

        A canary that the CA takes no order for has risked nothing, and says nothing of its zone: another one goes in its place.
        """
        results: _Results = {}
        reasons: dict[Zone, Spared] = {}
        told: set[Zone] = set()
        while first := replacing.canaries([s for s in left if failed[s.zone] < CANARIES], _zone, good)[0]:
            left = _without(left, first)
            results |= self._batches(first, each_zone_once=False)
            good |= _zones_of(first, results)
            failed.update(s.zone for s in first if self._has_failed(s, results))
            reasons |= {s.zone: o for s in first if isinstance(o := results[s.wanted], Spared)}
            unclear = {s.zone for s in first if not self._has_failed(s, results)} - good - told
            news, left = self._told_by_others(unclear, left)
            results |= news
            told |= unclear
        results |= self._batches([s for s in left if s.zone in good])
        bad = [s for s in left if s.zone not in good]
        pressing = [s for s in bad if s.stake is Stake.PRESSING]
        results |= self._batches(pressing)
        patient, good = _without(bad, pressing), _zones_of(pressing, results)
        results |= self._batches([s for s in patient if s.zone in good])
        reason = self._exhausted()
        return results | {s.wanted: reason or reasons.get(s.zone, _ZONE_FAILED) for s in patient if s.zone not in good}

    def _has_failed(self, item: Stale, results: Outcomes) -> bool:
        """Whether a name is no nearer to a new authorization, and it was tried, or nothing more can be."""
        outcome = results[item.wanted]
        return isinstance(outcome, AcmectlError) and not self._is_refused(item, outcome)

    def _is_refused(self, item: Stale, outcome: AcmectlError) -> bool:
        """Whether the CA took no order for a name, which so has kept what it had."""
        return (
            isinstance(outcome, NotRefreshed)
            and isinstance(outcome.cause, CARefused)
            and item.wanted not in self._risked
        )

    def _told_by_others(self, zones: Collection[Zone], left: Sequence[Stale]) -> tuple[_Results, tuple[Stale, ...]]:
        """Where another host has replaced the canary, or the CA refuses it, that may hold for others of the zone: ask for all at once."""
        known = [s for s in left if s.zone in zones]
        if not known:
            return {}, tuple(left)
        results, still = self._ask(known)
        return results, (*(s for s in left if s.zone not in zones), *still)

    def _batches(self, stale: Iterable[Stale], *, each_zone_once: bool = True) -> _Results:
        """Batch by batch, as large as the order budget covers; a zone only until a batch proves none of it."""
        by_name = {s.wanted: s for s in stale}
        queue = deque(batching.pack(by_name, limit=self._orders.limit()))
        results: _Results = {}
        bad: set[Zone] = set()
        while queue:
            batch = [by_name[w] for w in queue.popleft()]
            results |= {s.wanted: _ZONE_FAILED for s in batch if s.zone in bad}
            members = [s for s in batch if s.zone not in bad]
            some, others = members[: self._portion(members)], members[self._portion(members) :]
            if members and not some:
                results |= dict.fromkeys((s.wanted for s in members), self._exhausted() or _NO_BUDGET)
                continue
            if others:
                queue.appendleft(tuple(s.wanted for s in others))
            results |= self._replace(some)
            if each_zone_once:
                tried = [s for s in some if not isinstance(results[s.wanted], Spared)]
                bad |= {s.zone for s in tried if self._has_failed(s, results)} - _zones_of(tried, results)
        return results

    def _portion(self, batch: Sequence[Stale]) -> int:
        """How many of a batch may be given up now: a deactivated name that cannot be ordered is lost."""
        if not batch or self._stopped is not None:
            return 0
        size = replacing.portion(
            len(batch),
            self._orders.budget(),
            asked=self._is_asked(batch),
            lapsed=batch[0].stake is Stake.LAPSED,
        )
        return min(size, self._orders.limit())

    def _exhausted(self) -> Spared | None:
        """Why no more names may be given up in this run, if so."""
        return self._stopped or (None if self._orders.budget() > 0 else _NO_BUDGET)

    # -- one batch

    def _is_asked(self, batch: Sequence[Stale]) -> bool:
        return [len(part) for part in self._asked(batch)[0]] == [len(batch)]

    def _asked(self, batch: Sequence[Stale]) -> tuple[list[list[Stale]], list[Stale]]:
        """Sets for which this run got an order, and the names that are in none."""
        by_name = {s.wanted: s for s in batch}
        parts = [[by_name.pop(w) for w in part] for part in self._orders.asked([s.wanted for s in batch])]
        return parts, list(by_name.values())

    def _replace(self, batch: Sequence[Stale]) -> _Results:
        """Ask for exactly these names, unless that was done; then give them up and prove them.

        Also for what lapsed: where the CA's cutoff is but estimated, followers may have use of it yet.
        """
        results: _Results = {}
        parts, left = self._asked(batch)
        for _ in range(_ASKED):
            if not left or self._stopped is not None:
                break
            news, still = self._ask(left)
            results |= news
            more, left = self._asked(still)  # some may be fresher, or refused: then the others' set is another one
            parts += more
        for part in parts:
            reason = self._exhausted()
            results |= self._give_up(part) if reason is None else dict.fromkeys((s.wanted for s in part), reason)
        return results | dict.fromkeys((s.wanted for s in left), self._exhausted() or _UNSTEADY)

    def _ask(self, batch: Sequence[Stale]) -> tuple[_Results, list[Stale]]:
        """What the CA says of these names (what it wants proven is proven), and which still have the old authorization."""
        outcomes = self._orders.prove([s.wanted for s in batch])
        self._notice(outcomes)
        stale = self._orders.stale(outcomes)
        old = {s.wanted for s in stale}
        return {w: o for w, o in outcomes.items() if w not in old}, stale

    def _notice(self, outcomes: Outcomes) -> None:
        """Once the CA refuses the account, or is away, nothing more is given up."""
        for outcome in outcomes.values():
            if isinstance(outcome, Unordered | Spared):
                self._stopped = spared(outcome)

    def _give_up(self, batch: Sequence[Stale], *, elders: int = ELDERS) -> _Results:
        """Deactivate, then prove again; what comes back just as old, another host's, is given up as well."""
        from acmectl.ca.orders import deactivate_authorization

        if not batch:
            return {}
        self._orders.give_up(batch)
        self._risked |= {s.wanted for s in batch}
        done, failed = workers.each(
            batch, lambda s: deactivate_authorization(self._session, s.authorization.url), workers=self._pool
        )
        self._given_up |= {s.authorization.url for s in done}
        for item, error in failed.items():
            log.info("%s: the old authorization could not be deactivated: %s", item.wanted.identifier, error)
        results = self._retrying.prove([s.wanted for s in batch])
        self._notice(results)
        results |= {s.wanted: kept(error) for s, error in failed.items() if _is_same(results[s.wanted], s)}
        older = self._elders(results, {s.wanted: s for s in batch})
        if not older or not elders or self._orders.budget() <= 0:
            return results
        return results | self._give_up(older, elders=elders - 1)

    def _elders(self, results: Outcomes, given_up: Mapping[Wanted, Stale]) -> list[Stale]:
        """The names that came back with an authorization that ends no later than the one just given up."""
        ends = {w: s.authorization.expires_at for w, s in given_up.items()}
        return [
            s
            for s in self._orders.stale(results)
            if s.authorization.url not in self._given_up
            and (mine := s.authorization.expires_at)
            and (last := ends.get(s.wanted))
            and mine <= last
        ]


_ZONE_FAILED = Spared("other names of its zone failed, and none was proven since")
_NO_BUDGET = Spared("the order budget of the account is used up until later")
_UNSTEADY = Spared("the CA gave other answers for it within moments")


def _zones_of(stale: Iterable[Stale], results: Outcomes) -> set[Zone]:
    """The zones of which a name was proven in this run."""
    return {s.zone for s in stale if isinstance(outcome := results[s.wanted], Proven) and outcome.fresh}


def _zone(item: Stale) -> Zone:
    return item.zone


def _without(stale: Iterable[Stale], others: Iterable[Stale]) -> tuple[Stale, ...]:
    gone = {s.wanted for s in others}
    return tuple(s for s in stale if s.wanted not in gone)


def _is_same(outcome: Proven | AcmectlError, item: Stale) -> bool:
    """Whether a name came back with the authorization that was to be given up."""
    return isinstance(outcome, Proven) and outcome.authorization.url == item.authorization.url
