"""The program that calls dns-lexicon for `acmectl.solvers.lexicon`: one short-lived process for each batch of records.

Ninety providers are ninety people's code, and it must not be able to harm a run. Most of them wait for an answer without
end, some print, all log requests with their secrets, one replaces parts of the HTTP client for all threads. A process
of its own can be ended, has no log, and keeps threads of ours out of it. It is told everything on standard input, secrets too, so that none are
in arguments or environment, and answers with a line of JSON for each record as soon as it is done.

Zones are worked on at the same time, and one that hangs is given up without the others. The process ends when the
one that started it is gone, so that nothing is published after a run that was killed.
"""

from __future__ import annotations

import base64
import contextlib
import importlib
import json
import logging
import os
import queue
import re
import sys
import threading
import time
import urllib.parse
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from lexicon.interfaces import Provider

_LOOK_SECONDS = 0.1  # how often to look whether a zone hangs, or the parent is gone
_PAUSES = (0.5, 1.0, 2.0)  # seconds, after trouble of the provider's server
_TROUBLE = {500, 502, 503, 504}
_TOO_MANY = 429
_PATIENCE = 10.0  # seconds that a provider may ask us to wait (Retry-After); for more, a later run is the better one
_A_LINE = 8  # characters of a line of a key that is a secret as well
_LONGEST = 400  # characters of what a provider says

Failure = Mapping[str, Any]
"""`kind` is one of those in `LexiconSolver._error`, `text` the provider's words, without secrets.

`is_untouched` is there, and true, where no change was even asked for; `after` has the seconds of a Retry-After.
"""


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


class NotDone(Exception):
    """The provider did something else than it was asked for. `kind` as in `Failure`."""

    def __init__(self, kind: str, text: str = "") -> None:
        super().__init__(text)
        self.kind = kind


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


def publish(provider: Provider, owner: str, value: str, begin: Callable[[bool], None] = lambda _: None) -> None:
    """Add one value. Raises NotDone, and whatever the provider raises; `begin` is called when it was looked and not yet changed.

    It is told whether others have values there.

    That `create_record` does nothing for what exists already is promised by lexicon, and not kept by all of its providers.
    """
    before = _look(provider, owner)
    begin(bool((before or set()) - {value}))
    if before and value in before:
        return
    if provider.create_record("TXT", owner, value) is False:
        raise NotDone("refused")
    if before:
        _put_back(provider, owner, before - values_at(provider, owner))


def remove(provider: Provider, owner: str, value: str, begin: Callable[[bool], None] = lambda _: None) -> None:
    """Take one value away, if it is there, and see that it is gone. Raises as `publish` does."""
    before = _look(provider, owner)
    begin(bool((before or set()) - {value}))
    if before is not None and value not in before:
        return
    if provider.delete_record(rtype="TXT", name=owner, content=value) is False:
        raise NotDone("refused")
    if before is not None:
        _put_back(provider, owner, before - {value} - _values_without(provider, owner, value))


def values_at(provider: Provider, owner: str) -> set[str]:
    """The TXT values at `owner`; some providers answer with the quotes of a zone file, and not all obey the filter for a name."""
    found = provider.list_records("TXT", owner) or []
    names = {owner, owner.removesuffix(f".{provider.domain}")}
    return {str(r.get("content", "")).strip('"') for r in found if str(r.get("name", owner)).rstrip(".") in names}


def _look(provider: Provider, owner: str) -> set[str] | None:
    """The values before a change; None where the provider cannot say: that of `ddns` in dns-lexicon 3.25 fails on the first record it finds."""
    try:
        return values_at(provider, owner)
    except Exception as error:
        if failure_of(error, ())["kind"] != "error":
            raise
        return None


def _values_without(provider: Provider, owner: str, value: str) -> set[str]:
    """The values once `value` is gone, for which a provider's list may take a moment; NotDone if it does not go."""
    for pause in (0.0, *_PAUSES):
        time.sleep(pause)
        if value not in (after := values_at(provider, owner)):
            return after
    raise NotDone("kept")


def _put_back(provider: Provider, owner: str, lost: set[str]) -> None:
    """A provider may replace a whole set, or have room for one value: what it took away from others is put back, and told."""
    if lost:
        for value in sorted(lost):
            provider.create_record("TXT", owner, value)
        left = lost - values_at(provider, owner)
        raise NotDone("others", f"{len(left)} of {len(lost)}" if left else "")


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
        for pause in (*_PAUSES, None):
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


def failure_of(error: BaseException, secrets: Iterable[str], *, is_opening: bool = False) -> Failure:
    """What went wrong, in the provider's words without secrets. What is not found while opening is the zone."""
    if isinstance(error, NotDone):
        return {"kind": error.kind, "text": str(error)}
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    names = {kind.__name__ for kind in type(error).__mro__}
    kind = "error"
    if "AuthenticationError" in names or status in {401, 403} or (is_opening and status in {404, 422}):
        kind = "credentials"
    elif status == _TOO_MANY:
        kind = "limited"
    elif status in _TROUBLE:
        kind = "trouble"
    elif names & {"ConnectionError", "Timeout", "TimeoutError", "URLError", "gaierror"}:
        kind = "unreachable"
    said, reason = (redacted(text, secrets) for text in (str(error), _reason(response)))
    words = (type(error).__name__, said, reason if reason not in said else "")
    failure = {"kind": kind, "text": ": ".join(word for word in words if word)}
    after = str(getattr(response, "headers", {}).get("Retry-After", "")) if kind == "limited" else ""
    return {**failure, "after": float(after)} if after.isascii() and after.isdigit() else failure


def _reason(response: object) -> str:
    """What a server says beside its status, where it is meant for people: short, and no page."""
    text = getattr(response, "text", "")
    return text if isinstance(text, str) and len(text) <= _LONGEST and not text.lstrip().startswith("<") else ""


def redacted(text: str, secrets: Iterable[str]) -> str:
    """`text` on one line, without the secrets in any form that requests have, and without the query of URLs, where some providers put them."""
    text = re.sub(r"\?[^\s'\")]+", "?...", text)
    parts = {part for secret in secrets for part in (secret, *(s for s in secret.splitlines() if len(s) >= _A_LINE))}
    for form in sorted({form for part in parts for form in _forms(part)}, key=len, reverse=True):
        text = text.replace(form, "...")
    return "".join(c if c.isprintable() else " " for c in text).strip()[:_LONGEST]


def _forms(secret: str) -> tuple[str, ...]:
    """How a secret looks in URLs, JSON, Python's words and HTTP headers."""
    if not secret:
        return ()
    encoded = base64.b64encode(secret.encode()).decode("ascii")
    quoted = (urllib.parse.quote(secret), urllib.parse.quote(secret, safe=""), urllib.parse.quote_plus(secret))
    return (secret, *quoted, json.dumps(secret)[1:-1], repr(secret)[1:-1], encoded)


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
