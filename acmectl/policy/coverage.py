"""When followers can issue: the spans in which a name stays unauthorized, kept for many names at once.

Names that are proven in the same run go on together, whatever they went through before. So a cohort of names shares one growing list of
gaps, and each strand in it (the names with one past) keeps the way that it came. Ten thousand names that are refreshed together
cost as much as one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from acmectl.model.memory import RememberedAuthorization


@dataclass(frozen=True, slots=True)
class Gap:
    """A span in which a follower finds a name unauthorized."""

    start: datetime
    end: datetime

    @property
    def length(self) -> timedelta:
        """How long it is."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class _Past:
    """The gaps of a stretch that is over, and what was before it."""

    gaps: tuple[Gap, ...]
    before: _Past | None

    def all(self) -> tuple[Gap, ...]:
        """Every gap, oldest first."""
        pieces, past = [self.gaps], self.before
        while past is not None:
            pieces.append(past.gaps)
            past = past.before
        return tuple(gap for piece in reversed(pieces) for gap in piece)


@dataclass(frozen=True, slots=True)
class Strand:
    """Names with one past; `since` is when they began to count, None before their first validation."""

    names: tuple[int, ...]
    since: datetime | None
    past: _Past | None = None


@dataclass(slots=True, eq=False)
class Cohort:
    """Names whose authorizations live and end together. Names are numbers, ascending.

    `known` is what the master remembers of one of them; `proven_at` the run that proved them; followers can use them until
    `closes_at`.
    """

    strands: tuple[Strand, ...]
    known: RememberedAuthorization | None
    proven_at: datetime | None
    closes_at: datetime | None
    gaps: list[Gap] = field(default_factory=list)
    names: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.names = _numbers(self.strands)

    def shut(self, at: datetime, until: datetime) -> None:
        """The names are replaced at `at`, and usable again at `until`: note the gap."""
        if self.closes_at is not None:
            self.gaps.append(Gap(min(self.closes_at, at), until))

    def split(self, chosen: Collection[int]) -> tuple[Cohort, Cohort]:
        """The names in `chosen`, and the others."""
        chosen = frozenset(chosen)
        ended = self.ended()
        inside = [_cut(s, tuple(n for n in s.names if n in chosen)) for s in ended]
        outside = [_cut(s, tuple(n for n in s.names if n not in chosen)) for s in ended]
        return (
            Cohort(tuple(s for s in inside if s.names), self.known, self.proven_at, self.closes_at),
            Cohort(tuple(s for s in outside if s.names), self.known, self.proven_at, self.closes_at),
        )

    def ended(self) -> tuple[Strand, ...]:
        """The strands, with what happened in this cohort as their past."""
        if not self.gaps:
            return self.strands
        return tuple(Strand(s.names, s.since, _Past(tuple(self.gaps), s.past)) for s in self.strands)

    def histories(self) -> Iterator[tuple[Strand, tuple[Gap, ...]]]:
        """Each strand with all its gaps."""
        for strand in self.ended():
            yield strand, strand.past.all() if strand.past else ()


def merged(gaps: Iterable[Gap]) -> tuple[Gap, ...]:
    """Gaps that touch as one: a name that closes in the moment in which it opens was never open."""
    whole: list[Gap] = []
    for gap in gaps:
        if whole and whole[-1].end >= gap.start:
            whole[-1] = Gap(whole[-1].start, gap.end)
        else:
            whole.append(gap)
    return tuple(whole)


def joined(cohorts: Iterable[Cohort], *, first_at: datetime) -> Cohort:
    """One cohort of several; the names that never counted count from `first_at`. What is known is for the caller to say."""
    cohorts = list(cohorts)
    started = all(s.since is not None for c in cohorts for s in c.strands)
    if len(cohorts) == 1 and started:
        return cohorts[0]
    strands = tuple(Strand(s.names, s.since or first_at, s.past) for c in cohorts for s in c.ended())
    return Cohort(_alike(strands), None, None, None)


def _alike(strands: Iterable[Strand]) -> tuple[Strand, ...]:
    """Strands with the same past as one."""
    groups: dict[tuple[datetime | None, int], list[Strand]] = {}
    for strand in strands:
        groups.setdefault((strand.since, id(strand.past)), []).append(strand)
    return tuple(Strand(_numbers(group), group[0].since, group[0].past) for group in groups.values())


def _cut(strand: Strand, names: tuple[int, ...]) -> Strand:
    return Strand(names, strand.since, strand.past)


def _numbers(strands: Iterable[Strand]) -> tuple[int, ...]:
    strands = tuple(strands)
    if len(strands) == 1:
        return strands[0].names
    return tuple(sorted(n for s in strands for n in s.names))
