"""One account and profile in a forecast: what a master's runs do there, and what a CA answers.

The order of things, and what each costs, is that of `acmectl.master`: ask by newOrder for all that is due; prove what comes back pending;
of what is still the old authorization deactivate and prove again, what is urgent first, then a canary of each solver and zone, batch by
batch as the budget of orders covers it. A test holds the counts to those of the real engine.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import chain

from acmectl.model.memory import RememberedAuthorization
from acmectl.model.orders import AuthorizationStatus
from acmectl.policy import batching, refresh
from acmectl.policy.ca_rules import LETS_ENCRYPT_LIMITS
from acmectl.policy.coverage import Cohort, Gap, Strand, joined, merged
from acmectl.policy.lifetimes import Schedule
from acmectl.policy.refresh import Decision, Wanted
from acmectl.policy.terms import Terms

VALIDATION = timedelta(minutes=1)
_PER = LETS_ENCRYPT_LIMITS.new_orders.per
_KEPT = 128

Names = tuple[int, ...]
_Zone = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Setting:
    """How the master works: its schedule, how long a validation takes, newOrders in three hours, workers."""

    schedule: Schedule
    validation: timedelta = VALIDATION
    new_orders: int = LETS_ENCRYPT_LIMITS.new_orders.count
    workers: int = 16


@dataclass(slots=True)
class Costs:
    """What the master asked of the CA: newOrders, validations, all requests; the most newOrders of an account in three hours.

    `put_off` is the most names that had to wait for a later run at once, because no newOrder was left.
    """

    orders: int = 0
    validations: int = 0
    requests: int = 0
    peak: int = 0
    put_off: int = 0


class Budget:
    """The newOrders of one account, in a sliding window of three hours, as the master counts them."""

    def __init__(self, limit: int, costs: Costs) -> None:
        self._limit = limit
        self._costs = costs
        self._sent: deque[tuple[datetime, int]] = deque()
        self._count = 0

    def left(self, now: datetime) -> int:
        """How many may still be sent."""
        while self._sent and self._sent[0][0] <= now - _PER:
            self._count -= self._sent.popleft()[1]
        return self._limit - self._count

    def spend(self, now: datetime, orders: int) -> None:
        """So many were sent."""
        self._sent.append((now, orders))
        self._count += orders
        self._costs.orders += orders
        self._costs.peak = max(self._costs.peak, self._count)


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
        self._zones = [(w.solver, ".".join(w.identifier.base.split(".")[-2:])) for w in self._wanted]
        self._clashes = any(w.identifier.is_wildcard for w in wanted)
        self._packed = lru_cache(_KEPT)(self._pack_clashing)  # both are asked the same in nearly every run
        self._canaries = lru_cache(_KEPT)(self._first_of_zones)
        self._ready: dict[Names, tuple[datetime, datetime]] = {}  # orders: when opened, until when ready
        self._cohorts = self._first(tuple(remembered), start)

    def run(self, now: datetime) -> datetime:
        """Do what is due, and say when something will be, or may be."""
        decisions = self._decide(now)
        due = [c for c, d in zip(self._cohorts, decisions, strict=True) if d.at is None]
        if due:
            self._serve(due, now)
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

    def _serve(self, due: list[Cohort], now: datetime) -> None:
        owner = _Owners(due)
        orders = self._pack(owner.names, now)
        asked = orders[: max(0, self._budget.left(now))]
        if not asked:
            self._costs.put_off = max(self._costs.put_off, len(owner.names))
            return
        self._budget.spend(now, len(asked))
        count = sum(map(len, asked))
        self._costs.requests += 1 + min(count, self._setting.workers) + len(asked) + count  # directory, nonces, ...
        proven: list[int] = []
        valid: list[int] = []
        for order in asked:
            pending = self._pending(order, owner, now)
            proven += pending
            valid += sorted({*order} - {*pending}) if len(pending) < len(order) else ()
        if self._setting.schedule.early:
            wanted = owner.names if len(valid) == len(owner.names) else tuple(sorted(valid))
            proven += self._refresh(wanted, owner, now)
            self._costs.put_off = max(self._costs.put_off, len(owner.names) - len(proven))
        self._proven(due, proven, now)

    def _pending(self, order: Names, owner: _Owners, now: datetime) -> Names:
        """Which names of a newOrder come back pending, and are proven."""
        rules = self._terms.at(now)
        holders = owner.of_all(order)
        unusable = [c for c in holders if c.closes_at is None or c.closes_at <= now]
        if not unusable or self._is_ready(order, holders, now):
            return ()
        pending = order if len(unusable) == len(holders) else tuple(n for n in order if owner.of(n) in unusable)
        ends = [c.known.expires_at for c in holders if c not in unusable and c.known and c.known.expires_at]
        self._validate(
            order, len(pending), now, until=min([now + rules.order_lifetime, now + rules.pending_lifetime, *ends])
        )
        return pending

    def _is_ready(self, order: Names, holders: Iterable[Cohort], now: datetime) -> bool:
        """Whether newOrder hands out an order that is still ready, on the authorizations that there are (no cutoff)."""
        opened_at, until = self._ready.get(order, (now, now))
        return until > now and all(c.proven_at is not None and c.proven_at <= opened_at for c in holders)

    def _refresh(self, names: Names, owner: _Owners, now: datetime) -> list[int]:
        """Deactivate and prove again: the urgent ones, a canary of each other zone, the rest. Returns who was."""
        urgent = [c for c in owner.cohorts if self._is_urgent(c, now)]
        first = tuple(n for n in names if owner.of(n) in urgent) if urgent else ()
        replaced = self._replace(first, now)
        good = {self._zones[n] for n in replaced}
        patient = tuple(n for n in names if owner.of(n) not in urgent) if urgent else names
        canaries, rest = self._canaries(patient) if not good else self._canaries_beyond(good, patient)
        proved = self._replace(canaries, now)
        if len(proved) < len(canaries):
            good |= {self._zones[n] for n in proved}
            rest = tuple(n for n in rest if self._zones[n] in good)
        return [*replaced, *proved, *self._replace(rest, now)]

    def _is_urgent(self, cohort: Cohort, now: datetime) -> bool:
        """Whether its names lapse before the next run, as far as the master knows: then no canary is waited for."""
        if cohort.known is None:
            return False  # it was not even asked to be replaced
        ends = refresh.horizon(cohort.known, self._terms.knowledge(now), self._setting.schedule)
        return ends is None or ends.cutoff_at <= now + self._setting.schedule.every

    def _replace(self, names: Names, now: datetime) -> list[int]:
        """Batch by batch, each only while the budget covers proving it and splitting it."""
        rules = self._terms.at(now)
        replaced: list[int] = []
        for order in self._pack(names, now):
            if self._budget.left(now) < cost(len(order)):
                continue
            self._budget.spend(now, 1)
            self._costs.requests += 2 * len(order) + 1  # deactivations, newOrder, authorizations
            self._validate(order, len(order), now, until=now + min(rules.order_lifetime, rules.pending_lifetime))
            replaced += order
        return replaced

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

    def _canaries_beyond(self, good: Collection[_Zone], names: Names) -> tuple[Names, Names]:
        """The first name of each solver and zone that is not `good`, and the others."""
        first: dict[_Zone, int] = {}
        for name in names:
            first.setdefault(self._zones[name], name)
        canaries = {n for zone, n in first.items() if zone not in good}
        return tuple(n for n in names if n in canaries), tuple(n for n in names if n not in canaries)


class _Owners:
    """Which cohort a due name belongs to."""

    def __init__(self, cohorts: Sequence[Cohort]) -> None:
        self.cohorts = cohorts
        self.names = cohorts[0].names
        self._by_name: dict[int, Cohort] = {}
        if len(cohorts) > 1:
            self._by_name = {n: c for c in cohorts for n in c.names}
            self.names = tuple(sorted(self._by_name))

    def of(self, name: int) -> Cohort:
        return self._by_name.get(name, self.cohorts[0])

    def of_all(self, names: Names) -> list[Cohort]:
        """The cohorts of the names of an order, each once."""
        if not self._by_name:
            return [self.cohorts[0]]
        return list({id(c): c for c in map(self.of, names)}.values())


def cost(names: int) -> int:
    """The newOrders that the master wants in hand before it replaces a batch: its own, and those of splitting it."""
    return 1 + 2 * math.ceil(math.log2(names)) if names > 1 else 1


def _to_the_minute(known: RememberedAuthorization | None) -> RememberedAuthorization | None:
    """The moments rounded down, so that siblings of one order become equal."""
    if known is None or known.expires_at is None:
        return None
    lifetime = known.lifetime and timedelta(minutes=round(known.lifetime / timedelta(minutes=1)))
    return replace(known, expires_at=known.expires_at.replace(second=0, microsecond=0), lifetime=lifetime)
