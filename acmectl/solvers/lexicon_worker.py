"""The program that calls dns-lexicon for `acmectl.solvers.lexicon`: one short-lived process for each batch of records.

Ninety providers are ninety people's code, and it must not be able to harm a run. Most of them wait for an answer without
end, some print, all log requests with their secrets, one replaces parts of the HTTP client for all threads. A process
of its own can be ended, has no log, and keeps threads of ours out of it. It is told everything on standard input, secrets too, so that none are
in arguments or environment, and answers with a line of JSON for each record as soon as it is done.

Zones are worked on at the same time, and one that hangs is given up without the others. The process ends when the
one that started it is gone, so that nothing is published after a run that was killed.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import logging
import os
import queue
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from acmectl.solvers.lexicon_failures import Failure, NotDone, failure_of
from acmectl.solvers.lexicon_records import PAUSES, publish, remove

if TYPE_CHECKING:
    from lexicon.interfaces import Provider

_LOOK_SECONDS = 0.1  # how often to look whether a zone hangs, or the parent is gone
_PATIENCE = 10.0  # seconds that a provider may ask us to wait (Retry-After); for more, a later run is the better one


@dataclass(frozen=True, slots=True)
class Job:
    """What the process is asked to do. `zones` has, for each, records as index, owner and value; `timeout` is for one record."""

    provider: str
    action: Literal["publish", "remove"]
    zones: Mapping[str, list[tuple[int, str, str]]]
    options: Mapping[str, Any]
    secrets: tuple[str, ...]
    ttl: int
    timeout: float
    workers: int
    parent: int


def open_provider(job: Job, zone: str) -> Provider:
    """The provider for a zone, authenticated.

    The zone is given as we found it. Lexicon's own `Client` would look for it once more, at the system's resolvers even where
    others are configured, or guess by a list that it downloads; hence its private modules here. Options are handed over as its
    command line does: their defaults are in its parser and nowhere else, and some providers look for them under other names.
    """
    from argparse import ArgumentParser

    from lexicon.config import ConfigResolver

    provider: type[Provider] = importlib.import_module(f"lexicon._private.providers.{job.provider}").Provider
    parser = ArgumentParser(add_help=False)
    provider.configure_parser(parser)
    told = parser.parse_args([])
    for name, value in {**job.options, "provider_name": job.provider, "domain": zone, "ttl": job.ttl}.items():
        setattr(told, name, value)
        setattr(told, name.replace("_", "-"), value)  # what powerdns looks for
    # No `with_env()`: what a run does is in its configuration, not in `LEXICON_*`.
    config = ConfigResolver().with_args(told)  # type: ignore[no-untyped-call]  # the constructor has no types
    opened = provider(config)
    opened.authenticate()
    return opened


def work(
    job: Job,
    tell: Callable[[int, Failure | None], None],
    *,
    is_orphan: Callable[[], bool],
    opening: Callable[[Job, str], Provider] = open_provider,
) -> None:
    """Do the job, at most `workers` zones at a time; `tell` is called once for each record, from this thread.

    Threads of zones that hang are left behind: the process has to be ended after this. One that may owe others their values gets
    the time for one record more, also when the parent is gone.
    """
    late: list[_Lane] = []
    waiting, lanes = deque(job.zones), dict[str, _Lane]()
    news: queue.SimpleQueue[tuple[_Lane, int | None, Failure | None]] = queue.SimpleQueue()
    while (waiting or lanes) and not is_orphan():
        while waiting and len(lanes) < job.workers:
            zone = waiting.popleft()
            lanes[zone] = _Lane(job, zone, news, opening)
        with contextlib.suppress(queue.Empty):
            lane, index, failure = news.get(timeout=_LOOK_SECONDS)
            if index is None:
                lanes.pop(lane.zone, None)
            elif lane.done(index):
                tell(index, failure)
        for lane in [lane for lane in lanes.values() if lane.is_late()]:
            late.append(lanes.pop(lane.zone))
            for index, is_untouched in lane.give_up().items():
                tell(index, _marked({"kind": "timeout", "text": ""}, is_untouched=is_untouched))

    for lane in lanes.values():
        lane.give_up()
    _let_put_back((*late, *lanes.values()), time.monotonic() + job.timeout)


def _let_put_back(lanes: Iterable[_Lane], until: float) -> None:
    """Wait, until that moment of `time.monotonic`, for those that may owe others their values."""
    while any(lane.holds_others for lane in lanes) and time.monotonic() < until:
        time.sleep(_LOOK_SECONDS)


class _Lane:
    """One zone: its records one after another in a thread."""

    def __init__(
        self,
        job: Job,
        zone: str,
        news: queue.SimpleQueue[tuple[_Lane, int | None, Failure | None]],
        opening: Callable[[Job, str], Provider],
    ) -> None:
        self.zone = zone
        self._job, self._news, self._opening = job, news, opening
        self._left = [index for index, _, _ in job.zones[zone]]
        self._since = time.monotonic()
        self._provider: Provider | None = None
        self._unopened: Failure | None = None  # why the zone is not asked again
        self._begun = set[int]()  # what may have been changed
        self.holds_others = False  # whether the provider may just now have taken values of others away
        self._lock = threading.Lock()  # between beginning a change and giving it up
        threading.Thread(target=self._run, daemon=True).start()

    def done(self, index: int) -> bool:
        """Take note of a record that is done; whether anybody still waits for it."""
        self._since = time.monotonic()
        waited_for = index in self._left
        if waited_for:
            self._left.remove(index)
        return waited_for

    def is_late(self) -> bool:
        return time.monotonic() - self._since > self._job.timeout

    def give_up(self) -> Mapping[int, bool]:
        """The records that were not done, and whether they are as they were; the thread begins no other."""
        with self._lock:
            left = {index: index not in self._begun for index in self._left}
            self._left.clear()
            return left

    def _begin(self, index: int, has_others: bool) -> None:  # noqa: FBT001  # as `publish` and `remove` call it
        with self._lock:
            if index not in self._left:
                raise NotDone("timeout")  # told already
            self._begun.add(index)
            self.holds_others = has_others

    def _run(self) -> None:
        for index, owner, value in self._job.zones[self.zone]:
            if index in self._left:
                self._news.put((self, index, self._try(index, owner, value)))
        if self._provider:
            with contextlib.suppress(Exception):  # every record is told, and nothing else is of interest
                self._provider.cleanup()
        self._news.put((self, None, None))

    def _try(self, index: int, owner: str, value: str) -> Failure | None:
        """Change one record; again where the provider's server had trouble, which PowerDNS on SQLite has under load.

        One that has had too many requests gets one more, after the time that it asks for, and then none for this zone.
        """
        was_limited = False
        for pause in (*PAUSES, None):
            failure = self._unopened or self._change(index, owner, value)
            if failure is None or failure["kind"] not in {"trouble", "limited"} or failure is self._unopened:
                break
            wait = failure.get("after", pause)
            if failure["kind"] == "limited" and (was_limited or wait is None or wait > self._patience):
                self._unopened = failure
                break
            was_limited = was_limited or failure["kind"] == "limited"
            if pause is not None:
                time.sleep(max(wait, pause))
        return failure and _marked(failure, is_untouched=index not in self._begun)

    @property
    def _patience(self) -> float:
        return min(_PATIENCE, self._job.timeout / 2)

    def _change(self, index: int, owner: str, value: str) -> Failure | None:
        """After a failure the provider is opened anew: it may remember what is no longer so. What was refused once is not asked for again."""
        try:
            if self._provider is None:
                self._provider = self._opening(self._job, self.zone)
        except (Exception, SystemExit) as error:  # noqa: BLE001  # other people's code; told for all records of the zone
            failure = failure_of(error, self._job.secrets, is_opening=True)
            self._unopened = failure if failure["kind"] not in {"trouble", "limited"} else None
            return failure
        try:
            (publish if self._job.action == "publish" else remove)(
                self._provider, owner, value, lambda has_others: self._begin(index, has_others)
            )
        except (Exception, SystemExit) as error:  # noqa: BLE001  # other people's code; told as this record's failure
            self._provider = None
            failure = failure_of(error, self._job.secrets)
            if failure["kind"] == "credentials" and index not in self._begun:
                self._unopened = failure
            return failure
        finally:
            self.holds_others = False
        return None


def _marked(failure: Failure, *, is_untouched: bool) -> Failure:
    return {**failure, "is_untouched": True} if is_untouched else failure


def _to_parent() -> Callable[[int, Failure | None], None]:
    """Keep standard output for the answers, and let whatever a provider prints vanish."""
    answers = os.fdopen(os.dup(1), "w", encoding="ascii")
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    logging.disable(logging.CRITICAL)

    def tell(index: int, failure: Failure | None) -> None:
        answers.write(json.dumps([index, failure]) + "\n")
        answers.flush()

    return tell


def main() -> None:
    """Read the job, do it, and end at once whatever is under way."""
    job = Job(**json.load(sys.stdin))
    tell = _to_parent()
    work(job, tell, is_orphan=lambda: os.getppid() != job.parent)
    os._exit(0)


if __name__ == "__main__":
    main()
