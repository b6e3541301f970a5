"""A schedule played against a CA's rules, by the policy code that a master really uses.

From run to run, and only the runs in which something is due: what `refresh.plan` decides is ordered, deactivated and proven as the master
would, the CA answers by `ca_rules`, and what comes out is when followers find each name unauthorized, and what it costs. Every
validation is taken to succeed, after `validation`; what fails in life is no matter of a schedule. Left out with that: remembered failures and
their pauses, other hosts of the account and their orders, newAuthz, and requests that are repeated.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from acmectl.model.memory import RememberedAuthorization
from acmectl.model.names import Identifier
from acmectl.policy.budget import Budget, Costs
from acmectl.policy.ca_rules import LETS_ENCRYPT_LIMITS, ProfileRules
from acmectl.policy.coverage import Gap
from acmectl.policy.lane import VALIDATION, Lane, Setting
from acmectl.policy.lifetimes import Schedule, judge
from acmectl.policy.refresh import Wanted
from acmectl.policy.replacing import cost
from acmectl.policy.terms import Terms

__all__ = [
    "TOLERANCE",
    "VALIDATION",
    "Crowd",
    "Forecast",
    "Gap",
    "Setting",
    "Shortfall",
    "Window",
    "crowds",
    "play",
    "shortfalls",
]

TOLERANCE = timedelta(minutes=1)  # beyond the validation itself: cron's jitter is no bad schedule


@dataclass(frozen=True, slots=True)
class Window:
    """Names with one history: from `since` (None: never validated) until the end, without `gaps`, followers could issue."""

    names: tuple[Wanted, ...]
    since: datetime | None
    until: datetime
    gaps: tuple[Gap, ...]

    @property
    def longest(self) -> Gap | None:
        """The longest gap, the first of equals."""
        return max(self.gaps, key=lambda gap: gap.length, default=None)

    @property
    def shut(self) -> timedelta:
        """How long, all together, followers could not issue."""
        return sum((gap.length for gap in self.gaps), timedelta())

    @property
    def share(self) -> float:
        """How much of the time, 0 to 1, followers could issue."""
        counted = self.until - self.since if self.since else timedelta()
        return 1 - self.shut / counted if counted else 0.0


@dataclass(frozen=True, slots=True)
class Forecast:
    """What came of it, the worst windows first."""

    start: datetime
    until: datetime
    schedule: Schedule
    windows: tuple[Window, ...]
    costs: Costs
    new_orders: int

    @property
    def longest(self) -> timedelta:
        """The longest time in which a follower finds some name unauthorized."""
        return max((gap.length for w in self.windows for gap in w.gaps), default=timedelta())

    @property
    def holds(self) -> bool:
        """Whether no gap is longer than a validation takes, and every name was authorized."""
        return self.longest <= VALIDATION + TOLERANCE and all(w.since for w in self.windows)

    @property
    def share(self) -> float:
        """How much of the time, 0 to 1, followers could issue, over all names."""
        names = sum(len(w.names) for w in self.windows)
        return sum(w.share * len(w.names) for w in self.windows) / names if names else 1.0

    def per_day(self, count: int) -> float:
        """A count of the whole time as so many a day."""
        return count / ((self.until - self.start) / timedelta(days=1))


def play(
    wanted: Sequence[Wanted],
    remembered: Iterable[RememberedAuthorization],
    terms: Mapping[str | None, Terms],
    setting: Setting,
    *,
    start: datetime,
    until: datetime,
) -> Forecast:
    """Runs at `start` and then every `setting.schedule.every`, before `until`; `terms` has each profile of `wanted`."""
    costs = Costs()
    budgets = {w.account: Budget(setting.new_orders, costs, late=setting.validation) for w in wanted}
    known = tuple(remembered)
    lanes = []
    for account, profile in dict.fromkeys((w.account, w.profile) for w in wanted):
        mine = [w for w in wanted if (w.account, w.profile) == (account, profile)]
        lanes.append(
            Lane(
                mine,
                known,
                terms=terms[profile],
                setting=setting,
                budget=budgets[account],
                costs=costs,
                start=start,
            )
        )
    now, every = start, setting.schedule.every
    while now < until:
        at = min((lane.run(now) for lane in lanes), default=until)
        runs = math.ceil((at - start) / every)
        now = max(now + every, start + runs * every)
    windows = sorted(
        _windows(lanes, until), key=lambda w: (-max((g.length for g in w.gaps), default=timedelta()), w.share)
    )
    return Forecast(start, until, setting.schedule, tuple(windows), costs, setting.new_orders)


def _windows(lanes: Iterable[Lane], until: datetime) -> Iterator[Window]:
    """The names of each lane, those with equal histories together."""
    for lane in lanes:
        alike: dict[tuple[datetime | None, tuple[Gap, ...]], list[Wanted]] = {}
        for names, since, gaps in lane.histories(until):
            alike.setdefault((since, gaps), []).extend(names)
        yield from (Window(tuple(names), since, until, gaps) for (since, gaps), names in alike.items())


@dataclass(frozen=True, slots=True)
class Shortfall:
    """That a schedule cannot hold the window under rules that hold from `since` on (None: today's).

    A follower finds a name unauthorized for `gap` in every `of`. `every` is the longest interval of runs that would hold with
    early refresh; None where nothing is ever reused, and no schedule does.
    """

    since: datetime | None
    rules: ProfileRules
    schedule: Schedule
    gap: timedelta
    of: timedelta
    every: timedelta | None


def shortfalls(terms: Terms, schedule: Schedule, now: datetime) -> tuple[Shortfall, ...]:
    """What `schedule` cannot hold, of the rules of now and of those published for later."""
    eras = [(None, terms.at(now)), *((since, rules) for since, rules in terms.eras if since > now)]
    found = (_shortfall(since, terms.only(since or now), schedule, now) for since, _ in eras)
    return tuple(shortfall for shortfall in found if shortfall)


def _shortfall(since: datetime | None, terms: Terms, schedule: Schedule, now: datetime) -> Shortfall | None:
    """Played with one name for some lifetimes: the same answer as that of a forecast."""
    wanted, rules = Wanted(Identifier("name.invalid"), "", None, ""), terms.at(now)
    until = now + 5 * max(rules.reuse, schedule.every)
    played = play([wanted], (), {None: terms}, Setting(schedule), start=now, until=until)
    gaps = [gap for gap in played.windows[0].gaps if gap.length > VALIDATION + TOLERANCE]
    if not gaps:
        return None
    judgement = judge(lifetime=rules.reuse, cutoff=rules.cutoff, schedule=schedule)
    of = gaps[1].start - gaps[0].start if len(gaps) > 1 else max(rules.reuse, schedule.every)
    return Shortfall(since, rules, schedule, played.longest, of, judgement.every)


@dataclass(frozen=True, slots=True)
class Crowd:
    """That an account's newOrders do not suffice for its names under rules that hold from `since` on (None: today's).

    Some of the `names` stay unauthorized for `gap` where one alone would not; None: for ever.
    """

    since: datetime | None
    setting: Setting
    names: int
    gap: timedelta | None


def crowds(
    wanted: Sequence[Wanted], terms: Mapping[str | None, Terms], setting: Setting, now: datetime
) -> tuple[Crowd, ...]:
    """The accounts whose names are too many for `setting.new_orders`, under the rules of now and under those published for later."""
    found: list[Crowd] = []
    changes = sorted({since for t in terms.values() for since, _ in t.eras if since > now})
    for account in dict.fromkeys(w.account for w in wanted):
        names = [w for w in wanted if w.account == account]
        if 2 * len(names) + cost(len(names)) <= setting.new_orders:
            continue  # even one by one they are not too many
        crowded = (_crowd(names, terms, setting, since, now) for since in (None, *changes))
        found += [crowd for crowd in crowded if crowd]
    return tuple(found)


def _crowd(
    names: Sequence[Wanted],
    terms: Mapping[str | None, Terms],
    setting: Setting,
    since: datetime | None,
    now: datetime,
) -> Crowd | None:
    """Played from nothing, against each name alone with orders to spare: what the schedule cannot hold is no matter of their number."""
    fixed = {profile: t.only(since or now) for profile, t in terms.items()}
    until = now + 4 * max(setting.schedule.every, *(t.at(now).reuse for t in fixed.values()))
    played = play(names, (), fixed, setting, start=now, until=until)
    one_of_each = list({w.profile: w for w in names}.values())
    ample = replace(setting, new_orders=LETS_ENCRYPT_LIMITS.new_orders.count)
    alone = max(play([w], (), fixed, ample, start=now, until=until).longest for w in one_of_each)
    if not all(window.since for window in played.windows):
        return Crowd(since, setting, len(names), None)
    is_longer = played.longest > max(alone, VALIDATION) + TOLERANCE
    return Crowd(since, setting, len(names), played.longest) if is_longer else None
