"""One account and profile in a forecast: what a master's runs do there, and what a CA answers.

The order of things is that of `acmectl.master`, by the same rules (`replacing`): ask by newOrder for what is new or lapsed, and prove
what comes back pending; what is of use yet, and due to be replaced, is asked for in the sets that are ordered after it, given up and proven
again: a canary of each solver and zone, then the rest, as the budget of orders covers it. A test holds the counts to those of the
real engine. Nothing fails here, so there are no second canaries, no retries, and no pauses after failures.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import chain

from acmectl.model.memory import RememberedAuthorization
from acmectl.model.orders import AuthorizationStatus
from acmectl.policy import batching, refresh, replacing
from acmectl.policy.budget import Budget, Costs
from acmectl.policy.ca_rules import LETS_ENCRYPT_LIMITS
from acmectl.policy.coverage import Cohort, Gap, Strand, joined, merged
from acmectl.policy.lifetimes import Schedule
from acmectl.policy.refresh import Action, Decision, Wanted
from acmectl.policy.replacing import Zone
from acmectl.policy.terms import Terms

VALIDATION = timedelta(minutes=1)
_KEPT = 128

_MOMENT = timedelta(microseconds=1)

Names = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Setting:
    """How the master works: its schedule, how long a validation takes, newOrders in three hours, workers."""

    schedule: Schedule
    validation: timedelta = VALIDATION
    new_orders: int = LETS_ENCRYPT_LIMITS.new_orders.count
    workers: int = 16


class Lane:
    """The names of one account and profile, by number, in the order in which they are packed into orders."""

    def __init__(
        self,
        wanted: Sequence[Wanted],
        remembered: Iterable[RememberedAuthorization],
        *,
        terms: Terms,
        setting: Setting,
        budget: Budget,
        costs: Costs,
        start: datetime,
    ) -> None:
        """`wanted` is not empty; what is remembered counts from `start`."""
        self._terms = terms
        self._setting = setting
        self._budget = budget
        self._costs = costs
        self._wanted = tuple(chain.from_iterable(batching.pack(wanted)))
        self._zones = [replacing.zone(w) for w in self._wanted]
        self._clashes = any(w.identifier.is_wildcard for w in wanted)
        self._packed = lru_cache(_KEPT)(self._pack_clashing)  # both are asked the same in nearly every run
        self._canaries = lru_cache(_KEPT)(self._first_of_zones)
        self._widest = 0  # the most names that the current run asked for at once
        self._asked: set[Names] = set()  # the sets that the current run got an order for
        self._ready: dict[Names, tuple[datetime, datetime]] = {}  # orders: when opened, until when ready
        self._cohorts = self._first(tuple(remembered), start)

    def run(self, now: datetime) -> datetime:
        """Do what is due, and say when something will be, or may be."""
        decisions = self._decide(now)
        due = [c for c, d in zip(self._cohorts, decisions, strict=True) if d.at is None]
        if due:
            standing = [
                c for c, d in zip(self._cohorts, decisions, strict=True) if d.at is None and d.action is Action.REFRESH
            ]
            self._serve(due, standing, now)
            decisions = self._decide(now)
        change = self._terms.changes_after(now)
        return min(d.at or now for d in decisions) if change is None else min(change, *(d.at or now for d in decisions))

    def histories(self, until: datetime) -> Iterator[tuple[tuple[Wanted, ...], datetime | None, tuple[Gap, ...]]]:
        """Names with one history, since when they count, and their gaps `until` the end."""
        for cohort in self._cohorts:
            closed = cohort.closes_at if cohort.closes_at is not None and cohort.closes_at < until else None
            for strand, gaps in cohort.histories():
                names = tuple(self._wanted[n] for n in strand.names)
                since = strand.since if strand.since and strand.since < until else None
                last = () if closed is None else (Gap(closed, until),)
                yield names, since, merged(Gap(g.start, min(g.end, until)) for g in (*gaps, *last))

    def _first(self, remembered: tuple[RememberedAuthorization, ...], start: datetime) -> list[Cohort]:
        """Names with equal memories together: to the minute, and never later than the truth."""
        alike: dict[tuple[object, ...], tuple[RememberedAuthorization | None, list[int]]] = {}
        for number, decision in enumerate(self._plan(self._wanted, remembered, start)):
            known = _to_the_minute(decision.authorization)
            key = (known.expires_at, known.lifetime, known.status) if known else ()
            alike.setdefault(key, (known, []))[1].append(number)
        return [self._remembered(known, tuple(names), start) for known, names in alike.values()]

    def _remembered(self, known: RememberedAuthorization | None, names: Names, start: datetime) -> Cohort:
        if known is None or known.expires_at is None:
            return Cohort((Strand(names, None),), None, None, None)
        valid = known.status is AuthorizationStatus.VALID
        closes_at = self._terms.closes_at(known.expires_at, start) if valid else start
        return Cohort((Strand(names, start),), known, None, closes_at)

    def _decide(self, now: datetime) -> tuple[Decision, ...]:
        """The policy's decision for each cohort, by one name of it."""
        standing = [self._wanted[c.names[0]] for c in self._cohorts]
        pairs = zip(self._cohorts, standing, strict=True)
        return self._plan(standing, [replace(c.known, identifier=w.identifier) for c, w in pairs if c.known], now)

    def _plan(
        self, wanted: Sequence[Wanted], remembered: Iterable[RememberedAuthorization], now: datetime
    ) -> tuple[Decision, ...]:
        knowledge = {self._wanted[0].profile: self._terms.knowledge(now)}
        schedule = self._setting.schedule
        return refresh.plan(wanted, remembered, {}, now=now, knowledge=knowledge, schedule=schedule).decisions

    def _serve(self, due: list[Cohort], standing: list[Cohort], now: datetime) -> None:
        owner, self._widest, self._asked, spent = _Owners(due), 0, set(), self._budget.left(now)
        proven, valid, unasked = self._prove([c for c in due if c not in standing], now)
        if self._setting.schedule.early:
            proven += self._replace(tuple(sorted(valid)), owner, now, lapsed=True)
            proven += self._refresh(_names(standing), {self._zones[n] for n in proven}, owner, now)
            unasked = len(owner.names) - len(proven)
        self._costs.put_off = max(self._costs.put_off, unasked)
        if self._budget.left(now) < spent:
            self._costs.requests += 1 + min(self._widest, self._setting.workers)  # the directory, and nonces
        self._proven(due, proven, now)

    def _prove(self, cohorts: list[Cohort], now: datetime) -> tuple[list[int], list[int], int]:
        """Ask for what is new or lapsed: the names that were proven, those that came back valid, and how many were not asked."""
        if not cohorts:
            return [], [], 0
        owner = _Owners(cohorts)
        asked = self._pack(owner.names, now)[: max(0, self._budget.left(now))]
        proven: list[int] = []
        valid: list[int] = []
        for order in asked:
            pending = self._ask(order, owner, now)
            proven += pending
            valid += sorted({*order} - {*pending}) if len(pending) < len(order) else ()
        count = sum(map(len, asked))
        self._widest = max(self._widest, count)
        return proven, valid, len(owner.names) - count

    def _ask(self, order: Names, owner: _Owners, now: datetime) -> Names:
        """A newOrder, and a look at each of its authorizations: the names that came back pending, and are proven."""
        self._budget.spend(now, 1)
        self._asked.add(order)
        self._costs.requests += 1 + len(order)
        self._widest = max(self._widest, len(order))
        return self._pending(order, owner, now)

    def _pending(self, order: Names, owner: _Owners, now: datetime) -> Names:
        """Which names of a newOrder come back pending, and are proven."""
        rules = self._terms.at(now)
        holders = owner.of_all(order)
        unusable = [c for c in holders if c.closes_at is None or c.closes_at <= now]
        if not unusable:
            self._born_ready(order, holders, now)
            return ()
        if self._is_ready(order, holders, now):
            return ()
        pending = order if len(unusable) == len(holders) else tuple(n for n in order if owner.of(n) in unusable)
        ends = [c.known.expires_at for c in holders if c not in unusable and c.known and c.known.expires_at]
        self._validate(
            order, len(pending), now, until=min([now + rules.order_lifetime, now + rules.pending_lifetime, *ends])
        )
        return pending

    def _born_ready(self, order: Names, holders: Iterable[Cohort], now: datetime) -> None:
        """An order over what is still valid is handed out until that ends, cutoff or not, unless the names are proven anew."""
        ends = min(c.known.expires_at for c in holders if c.known and c.known.expires_at)
        if self._ready.get(order, (now, now))[1] <= now:
            opened_at = now - _MOMENT  # before what this run may yet replace
            self._ready[order] = (opened_at, min(now + self._terms.at(now).order_lifetime, ends))

    def _is_ready(self, order: Names, holders: Iterable[Cohort], now: datetime) -> bool:
        """Whether newOrder hands out an order that is still ready, on the authorizations that there are (no cutoff)."""
        opened_at, until = self._ready.get(order, (now, now))
        return until > now and all(c.proven_at is None or c.proven_at <= opened_at for c in holders)

    def _refresh(self, names: Names, good: set[Zone], owner: _Owners, now: datetime) -> list[int]:
        """Replace a canary of each zone that is not `good`, then the rest. Returns who was."""
        if not names:
            return []
        canaries, rest = self._canaries_beyond(good, names) if good else self._canaries(names)
        proved = self._replace(canaries, owner, now)
        if len(proved) < len(canaries):
            good = good | {self._zones[n] for n in proved}
            rest = tuple(n for n in rest if self._zones[n] in good)
        return [*proved, *self._replace(rest, owner, now)]

    def _replace(self, names: Names, owner: _Owners, now: datetime, *, lapsed: bool = False) -> list[int]:
        """Batch by batch, as large as the budget of orders covers."""
        replaced: list[int] = []
        queue = deque(self._pack(names, now))
        while queue:
            order = queue.popleft()
            size = replacing.portion(len(order), self._budget.left(now), asked=order in self._asked, lapsed=lapsed)
            if 0 < size < len(order):
                queue.appendleft(order[size:])
            if size:
                self._give_up(order[:size], owner, now)
                replaced += order[:size]
        return replaced

    def _give_up(self, order: Names, owner: _Owners, now: datetime) -> None:
        """Ask for exactly the set that is ordered afterwards (what comes back pending is proven); deactivate, order, prove."""
        if order not in self._asked and (pending := self._ask(order, owner, now)):
            order = tuple(n for n in order if n not in pending)
            if order:
                self._ask(order, owner, now)
        if order:
            rules = self._terms.at(now)
            self._budget.spend(now, 1)
            self._costs.requests += 2 * len(order) + 1  # deactivations, newOrder, authorizations
            self._validate(order, len(order), now, until=now + min(rules.order_lifetime, rules.pending_lifetime))

    def _validate(self, order: Names, pending: int, now: datetime, *, until: datetime) -> None:
        """Prove the pending ones of an order, which then is ready `until` its end."""
        self._costs.validations += pending
        self._costs.requests += pending + 2  # challenges, the order once, one authorization for its `expires`
        opens_at = now + self._setting.validation
        ready_until = min(until, opens_at + self._terms.at(now).reuse)
        if ready_until > opens_at + self._terms.at(now).reuse - self._terms.at(now).cutoff:  # else nobody asks in time
            self._ready[order] = (now, ready_until)

    def _proven(self, due: list[Cohort], proven: list[int], now: datetime) -> None:
        """Those proven go on as one cohort, usable again after the validation; the others stay as they are."""
        if not proven:
            return
        parts = due
        if len(proven) < sum(len(c.names) for c in due):
            halves = [c.split(proven) for c in due]
            parts = [inside for inside, _ in halves if inside.names]
            left = [outside for _, outside in halves if outside.names]
        else:
            left = []
        opens_at = now + self._setting.validation
        for part in parts:
            part.shut(now, opens_at)
        cohort = joined(parts, first_at=opens_at)
        cohort.known = self._fresh(cohort.names[0], now, opens_at)
        cohort.proven_at = now
        cohort.closes_at = self._terms.closes_at(opens_at + self._terms.at(now).reuse, opens_at)
        self._cohorts = [c for c in self._cohorts if c not in due] + left + [cohort]

    def _fresh(self, name: int, now: datetime, opens_at: datetime) -> RememberedAuthorization:
        wanted, lifetime = self._wanted[name], self._terms.at(now).reuse
        return RememberedAuthorization(
            account=wanted.account,
            profile=wanted.profile,
            identifier=wanted.identifier,
            url="",
            status=AuthorizationStatus.VALID,
            expires_at=opens_at + lifetime,
            validated_at=opens_at,
            lifetime=lifetime,
            challenge_type=None,
            seen_at=now,
        )

    def _pack(self, names: Names, now: datetime) -> tuple[Names, ...]:
        """Orders, as `batching.pack` makes them; where no wildcard clashes they are simply filled in turn."""
        limit = self._terms.at(now).max_names
        if self._clashes:
            return self._packed(names, limit)
        return tuple(names[i : i + limit] for i in range(0, len(names), limit))

    def _pack_clashing(self, names: Names, limit: int) -> tuple[Names, ...]:
        numbers = {self._wanted[n].key: n for n in names}
        packed = batching.pack([self._wanted[n] for n in names], limit=limit)
        return tuple(tuple(numbers[w.key] for w in order) for order in packed)

    def _first_of_zones(self, names: Names) -> tuple[Names, Names]:
        return self._canaries_beyond(frozenset(), names)

    def _canaries_beyond(self, good: Collection[Zone], names: Names) -> tuple[Names, Names]:
        return replacing.canaries(names, self._zones.__getitem__, good)


class _Owners:
    """Which cohort a due name belongs to."""

    def __init__(self, cohorts: Sequence[Cohort]) -> None:
        self._cohorts = cohorts
        self.names = cohorts[0].names
        self._by_name: dict[int, Cohort] = {}
        if len(cohorts) > 1:
            self._by_name = {n: c for c in cohorts for n in c.names}
            self.names = tuple(sorted(self._by_name))

    def of(self, name: int) -> Cohort:
        return self._by_name.get(name, self._cohorts[0])

    def of_all(self, names: Names) -> list[Cohort]:
        """The cohorts of the names of an order, each once."""
        if not self._by_name:
            return [self._cohorts[0]]
        return list({id(c): c for c in map(self.of, names)}.values())


def _names(cohorts: Sequence[Cohort]) -> Names:
    return cohorts[0].names if len(cohorts) == 1 else tuple(sorted(n for c in cohorts for n in c.names))


def _to_the_minute(known: RememberedAuthorization | None) -> RememberedAuthorization | None:
    """The moments rounded down, so that siblings of one order become equal."""
    if known is None or known.expires_at is None:
        return None
    lifetime = known.lifetime and timedelta(minutes=round(known.lifetime / timedelta(minutes=1)))
    return replace(known, expires_at=known.expires_at.replace(second=0, microsecond=0), lifetime=lifetime)
