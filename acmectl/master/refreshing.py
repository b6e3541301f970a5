"""Early refresh: replacing an authorization that is still good, without ever risking it for nothing.

A CA gives no new authorization while the old one is reusable, so the old one has to be deactivated first. Before that, in
this order: the solver publishes a probe value for each name, and it is seen wherever the CA will look; one name of each solver and zone
went first, as canary (`policy.replacing` says for whom); the budget of orders covers proving the batch and splitting it; the CA was asked
by newOrder for exactly the set that is ordered after it (limits can be by set), and did not refuse. What is about to be deactivated is
remembered as lost before the request is sent: a run that is killed in between is mended by the next one.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from acmectl import workers
from acmectl.errors import AcmectlError
from acmectl.master.attempts import Proven
from acmectl.master.ordering import Unordered
from acmectl.master.retrying import Retrying
from acmectl.model.memory import RememberedAuthorization
from acmectl.policy import batching, replacing
from acmectl.policy.refresh import Wanted
from acmectl.policy.replacing import Stake, Zone

if TYPE_CHECKING:
    from acmectl.ca.session import Session
    from acmectl.master.preflight import Preflight

log = logging.getLogger(__name__)

ELDERS = 2
"""More old authorizations of one name in one run: two masters that proved at the same moment leave one each, and the CA hands out the other."""

_ASKED = 2  # times in a row that a set is asked for which changes by the answer

Outcomes = Mapping[Wanted, Proven | AcmectlError]
_Results = dict[Wanted, Proven | AcmectlError]


class NotRefreshed(AcmectlError):
    """An authorization was left as it is, still usable; `local` where the CA was not even tried, `cause` what it said."""

    def __init__(
        self, message: str, *, hint: str | None = None, local: bool = False, cause: AcmectlError | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.local = local
        self.cause = cause


class Spared(NotRefreshed):
    """Left as it is for a reason that is not its own: nothing to hold against the name. `retry_at` as of `Unordered`."""

    def __init__(self, message: str, *, hint: str | None = None, retry_at: datetime | None = None) -> None:
        super().__init__(f"not refreshed: {message}", hint=hint, local=True)
        self.retry_at = retry_at


@dataclass(frozen=True, slots=True)
class Stale:
    """A name whose valid authorization is to be replaced, and what a failure would cost."""

    wanted: Wanted
    authorization: RememberedAuthorization
    stake: Stake

    @property
    def zone(self) -> Zone:
        """Whose canary speaks for it."""
        return replacing.zone(self.wanted)


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

    def refresh(self, stale: Sequence[Stale]) -> _Results:
        """Replace what can be replaced safely; every name gets its new authorization or the reason why not.

        What lapsed goes first, and without canaries: it has nothing to lose.
        """
        failed = self._preflight.failing(s.wanted for s in stale)
        results: _Results = {w: unprovable(e) for w, e in failed.items()}
        ready = [s for s in stale if s.wanted not in failed]
        lapsed = [s for s in ready if s.stake is Stake.LAPSED]
        results |= self._batches(lapsed)
        good = _zones_of(lapsed, results)
        return results | self._with_canaries([s for s in ready if s.stake is not Stake.LAPSED], good)

    def _with_canaries(self, left: Sequence[Stale], good: set[Zone]) -> _Results:
        """A canary of each zone that is not known to be good, all canaries together; then the rest of the good zones."""
        results: _Results = {}
        for _ in range(replacing.CANARIES):
            first, left = replacing.canaries(left, lambda s: s.zone, good)
            if not first:
                break
            results |= self._batches(first, each_zone_once=False)
            good |= _zones_of(first, results)
            news, left = self._told_by_others({s.zone for s in first if _is_found(results[s.wanted])} - good, left)
            results |= news
        results |= self._batches([s for s in left if s.zone in good])
        bad = [s for s in left if s.zone not in good]
        results |= self._batches([s for s in bad if s.stake is Stake.PRESSING])
        reason = self._exhausted() or _ZONE_FAILED
        return results | {s.wanted: reason for s in bad if s.stake is not Stake.PRESSING}

    def _told_by_others(self, zones: Collection[Zone], left: Sequence[Stale]) -> tuple[_Results, tuple[Stale, ...]]:
        """Where another host has replaced the canary, it may have done so with the other names of the zone: ask."""
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
                bad |= {s.zone for s in tried if not _is_found(results[s.wanted])} - _zones_of(tried, results)
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
        """Ask for exactly these names, unless that was done or they have nothing to lose; then give them up and prove them."""
        if not batch or batch[0].stake is Stake.LAPSED:
            return self._give_up(batch)
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
        done, failed = workers.each(
            batch, lambda s: deactivate_authorization(self._session, s.authorization.url), workers=self._pool
        )
        self._given_up |= {s.authorization.url for s in done}
        for item, error in failed.items():
            log.info("%s: the old authorization could not be deactivated: %s", item.wanted.identifier, error)
        results = self._retrying.prove([s.wanted for s in batch])
        self._notice(results)
        results |= {s.wanted: _kept(error) for s, error in failed.items() if _is_same(results[s.wanted], s)}
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


def unprovable(error: AcmectlError) -> NotRefreshed:
    """That the solver cannot prove a name now, so that nothing of it is given up."""
    return NotRefreshed(f"not refreshed: {error.message}", hint=error.hint, local=True)


def spared(reason: Unordered | Spared) -> Spared:
    """That nothing of a name is given up, since the CA takes no orders."""
    if isinstance(reason, Spared):
        return reason
    return Spared(reason.message, hint=reason.hint, retry_at=reason.retry_at)


_ZONE_FAILED = Spared("other names of its zone failed just now")
_NO_BUDGET = Spared("the order budget of the account is used up until later")
_UNSTEADY = Spared("the CA gave other answers for it within moments")


def _zones_of(stale: Iterable[Stale], results: Outcomes) -> set[Zone]:
    """The zones of which a name was proven in this run."""
    return {s.zone for s in stale if isinstance(outcome := results[s.wanted], Proven) and outcome.fresh}


def _is_found(outcome: Proven | AcmectlError) -> bool:
    """Whether the CA had a fresher authorization than the one to replace: another host's."""
    return isinstance(outcome, Proven) and not outcome.fresh


def _is_same(outcome: Proven | AcmectlError, item: Stale) -> bool:
    """Whether a name came back with the authorization that was to be given up."""
    return isinstance(outcome, Proven) and outcome.authorization.url == item.authorization.url


def _kept(error: AcmectlError) -> NotRefreshed:
    return NotRefreshed(
        f"not refreshed: the old authorization could not be deactivated: {error.message}", hint=error.hint, cause=error
    )
