"""What an earlier run may have left in the world: taken away by the next ones, tried less and less often, and given up in the end.

A run that was killed leaves what it published, and a solver that was down may have done what it did not confirm. While it stays down,
every run would ask it for all of that again, and tell each record: so the tries of one response become rare, a reason is told once for all
of them, and after a week a person is told where to look.
"""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from acmectl.errors import AcmectlError
from acmectl.master.report import Note
from acmectl.solvers.base import Response, Solver

if TYPE_CHECKING:
    from acmectl.master.books import Books
    from acmectl.storage.memory import Memory

log = logging.getLogger(__name__)

_PAUSES = (
    timedelta(),
    timedelta(hours=1),
    timedelta(hours=6),
    timedelta(days=1),
)  # after the first failure, the second ...
_GIVEN_UP_AFTER = timedelta(days=7)
_SHOWN = 3  # names of a reason, and reasons of a solver


@dataclass(frozen=True, slots=True)
class _Effort:
    """What was done for one response: since when (POSIX seconds), how often, and when again."""

    since: float
    tries: int
    next: float


class Leftovers:
    """Of all solvers; for one run."""

    def __init__(
        self,
        solver: Callable[[str], Solver],
        names: Collection[str],
        *,
        books: Books,
        memory: Memory,
        now: Callable[[], datetime],
    ) -> None:
        """`solver` gives a solver by name, `names` are those that are configured; `books` know what was published."""
        self._solver = solver
        self._names = names
        self._books = books
        self._memory = memory
        self._now = now

    def remove(self) -> None:
        """Take away what is due; warns of what stays."""
        for name in self._names:
            left = self._books.litter.leftovers(name)
            if left or self._memory.fact(_key(name)) is not None:
                self._remove(name, left)

    def abandoned(self) -> Iterator[Note]:
        """What an interrupted run left behind with a solver that is not configured any more: nobody removes it."""
        for name in self._books.litter.solvers_with_leftovers():
            if name not in self._names:
                places = ", ".join(dict.fromkeys(place(r) for r in self._books.litter.leftovers(name)))
                yield Note(
                    f"an interrupted run left behind what solver `{name}` published, and no solver has that name now: {places}",
                    f"give solver `{name}` its configuration back for one run, which removes it",
                )

    def _remove(self, name: str, left: Collection[Response]) -> None:
        now = self._now()
        efforts = self._efforts(name)
        due = [r for r in left if _is_due(efforts.get(_id(r)), now)]
        failures = self._failures(name, due) if due else {}
        self._books.litter.removed(name, [r for r in due if r not in failures])
        still = self._books.litter.leftovers(name)
        for response in still:
            if response in due:
                efforts[_id(response)] = _after(efforts.get(_id(response)), now)
        over = [
            r
            for r in still
            if (e := efforts.get(_id(r))) and now.timestamp() - e.since > _GIVEN_UP_AFTER.total_seconds()
        ]
        self._tell(name, {r: failures.get(r) for r in still if r in due and r not in over})
        if over:
            log.warning(
                "given up after %d days: what solver `%s` published in an earlier run may still be there: %s",
                _GIVEN_UP_AFTER.days,
                name,
                ", ".join(dict.fromkeys(place(r) for r in over)),
            )
            self._books.litter.given_up(name, over)
        self._save(name, {_id(r): efforts[_id(r)] for r in still if r not in over and _id(r) in efforts})

    def _failures(self, name: str, due: list[Response]) -> Mapping[Response, AcmectlError]:
        try:
            return self._solver(name).remove(due)
        except AcmectlError as error:
            return dict.fromkeys(due, error)

    def _tell(self, name: str, stays: Mapping[Response, AcmectlError | None]) -> None:
        """One line for each reason, and not many of them; without a reason it was removed where other options lead to."""
        by_reason: dict[str, list[Response]] = defaultdict(list)
        for response, error in stays.items():
            by_reason[error.message if error else ""].append(response)
        for reason, responses in list(by_reason.items())[:_SHOWN]:
            if reason:
                names = _listed(f"`{r.identifier}`" for r in responses)
                log.warning("what an earlier run published, or may have, was not removed for %s: %s", names, reason)
            else:
                log.warning(
                    "what an earlier run published may still be there, as solver `%s` has other options since: %s; "
                    "give it those back for one run, or remove it yourself",
                    name,
                    _listed(place(r) for r in responses),
                )
        if (more := len(by_reason) - _SHOWN) > 0:
            log.warning("and for %d more reasons solver `%s` did not remove what an earlier run published", more, name)

    def _efforts(self, name: str) -> dict[str, _Effort]:
        """What was tried; under other options than now it does not count, and what they lead to is tried at once."""
        mark, known = json.loads(self._memory.fact(_key(name)) or "[null, {}]")
        efforts = {key: _Effort(*effort) for key, effort in known.items()}
        if mark == self._books.litter.mark(name):
            return efforts
        return {key: replace(effort, tries=0, next=0.0) for key, effort in efforts.items()}

    def _save(self, name: str, efforts: Mapping[str, _Effort]) -> None:
        tried = {key: [e.since, e.tries, e.next] for key, e in efforts.items()}
        kept = json.dumps([self._books.litter.mark(name), tried]) if efforts else None
        if kept != self._memory.fact(_key(name)):
            self._memory.set_fact(_key(name), kept)


def place(response: Response) -> str:
    """Where a response lies, for people."""
    name = response.identifier
    if response.type == "dns-01":
        return f"TXT `{name.challenge_record}`"
    return f"`http://{name}{response.url_path}`" if response.type == "http-01" else f"{response.type} of `{name}`"


def _is_due(effort: _Effort | None, now: datetime) -> bool:
    """Also after the clock was set back: no pause is longer than the longest."""
    if effort is None:
        return True
    return not now.timestamp() < effort.next <= now.timestamp() + _PAUSES[-1].total_seconds()


def _after(effort: _Effort | None, now: datetime) -> _Effort:
    tries = effort.tries if effort else 0
    pause = _PAUSES[min(tries, len(_PAUSES) - 1)]
    return _Effort(effort.since if effort else now.timestamp(), tries + 1, (now + pause).timestamp())


def _listed(words: Iterable[str]) -> str:
    found = list(dict.fromkeys(words))
    return ", ".join(found[:_SHOWN]) + (f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else "")


def _key(solver: str) -> str:
    return f"left/{solver}"


def _id(response: Response) -> str:
    return f"{response.identifier.value} {response.token}"
