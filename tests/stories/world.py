"""A world for stories: the sandbox with a clock that only moves when it is told to, hosts as `app.Host`, and a measure.

A day costs nothing, a pause of a host moves the clock by as much, and so what is measured is exact: for each name the
spans in which a newOrder of a follower, for a set of names never ordered before, would have found it authorized.
"""

from __future__ import annotations

import heapq
import itertools
import os
import random
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from acmectl import app, keys
from acmectl.ca import accounts
from acmectl.errors import Problem
from acmectl.follower import FollowerReport
from acmectl.master import MasterReport
from acmectl.model.certificates import KeyType
from acmectl.model.names import Identifier
from acmectl.model.orders import AuthorizationStatus, ChallengeStatus
from acmectl.policy import ca_rules
from acmectl.sandbox.clock import Clock
from acmectl.sandbox.objects import Authorization
from acmectl.sandbox.rules import Lifetimes
from acmectl.sandbox.server import Sandbox
from acmectl.solvers.base import Solver
from acmectl.storage.accounts import StoredAccount
from tests.servers.sandbox import running_sandbox
from tests.servers.sandbox_client import Client

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
TODAY = datetime(2026, 9, 1, tzinfo=UTC)
IN_2027 = datetime(2027, 3, 1, tzinfo=UTC)  # 10 days of reuse
IN_2028 = datetime(2028, 3, 1, tzinfo=UTC)  # 7 hours

LATENCY = timedelta(milliseconds=80)  # of each request, by the world's clock

_SETTLED_SECONDS = 20.0
_LOOK_SECONDS = 0.002

Event = tuple[datetime, Callable[[], object]]


@dataclass(frozen=True, slots=True)
class Span:
    """From one moment to another."""

    start: datetime
    end: datetime

    @property
    def length(self) -> timedelta:
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Measure:
    """For one name: the spans in which it was not usable, after it was for the first time, and of how long a time."""

    name: str
    gaps: tuple[Span, ...]
    of: timedelta

    @property
    def longest(self) -> timedelta:
        return max((gap.length for gap in self.gaps), default=timedelta())

    @property
    def share(self) -> float:
        """How much of the time a follower could issue."""
        return 1 - sum((gap.length for gap in self.gaps), timedelta()) / self.of


@dataclass(slots=True)
class Costs:
    """What one host asked of the CA."""

    requests: Counter[str] = field(default_factory=Counter)
    runs: int = 0
    failed: int = 0

    def add(self, report: MasterReport | FollowerReport) -> None:
        self.runs += 1
        self.requests.update(report.requests)


def lifetimes(reuse: timedelta) -> Lifetimes:
    """Those of a CA that reuses authorizations for so long: its orders live as long as Boulder's do with it."""
    order = 8 * HOUR if reuse < DAY else 7 * DAY
    return Lifetimes(reuse=reuse, order_lifetime=order, pending_lifetime=min(order, reuse))


class World:
    """A CA, its time, and the hosts that live in it. A context manager."""

    def __init__(
        self,
        directory: Path,
        *,
        start: datetime = TODAY,
        profile: str = "classic",
        is_trusting: bool = False,
        is_lets_encrypt: bool | None = None,
        resolver: tuple[str, int] | None = None,
        **rules: Any,
    ) -> None:
        """`is_lets_encrypt`: whether hosts know its published rules; with Boulder's rules they do. `rules` are the sandbox's."""
        self.is_lets_encrypt = (
            rules.get("rules", "boulder") == "boulder" if is_lets_encrypt is None else is_lets_encrypt
        )
        self.has_profiles = rules.get("rules", "boulder") == "boulder"
        self.on_request: Callable[[str], object] = lambda _: None
        self.directory = directory
        self.profile = profile
        self.start = start
        self.clock = Clock(source=lambda: start)
        self.port = _free_port()
        self.web = f"127.0.0.1:{self.port}"
        self.key = keys.generate(KeyType.ECDSA_P256)
        self.account_url = ""
        self.rng = random.Random(20260901)  # noqa: S311 - when samples are taken
        self.hosts: list[Host] = []
        self._lost: list[tuple[Authorization, datetime]] = []
        self._samples = itertools.count()
        self._client: Client | None = None
        self._stack = ExitStack()
        (directory / "ca").mkdir(parents=True, exist_ok=True)
        self.sandbox: Sandbox = self._stack.enter_context(
            running_sandbox(
                directory / "ca",
                clock=self.clock,
                http_port=self.port,
                trust=is_trusting,
                resolver=resolver,
                on_request=self._see,
                **rules,
            )
        )

        self.directory_url = self.sandbox.directory_url

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    # -- time

    @property
    def now(self) -> datetime:
        return self.clock.now()

    def pause(self, seconds: float) -> None:
        """A host waits: the clock moves on, and the CA judges what it was told to judge."""
        self.clock.advance(timedelta(seconds=seconds))
        self.settle()

    def _see(self, line: str) -> None:
        self.clock.advance(LATENCY)
        self.on_request(line)

    def settle(self) -> None:
        """Wait until no validation is under way."""
        awaiting = threading.Event()
        for _ in range(int(_SETTLED_SECONDS / _LOOK_SECONDS)):
            if not self._is_validating():
                return
            awaiting.wait(_LOOK_SECONDS)
        raise AssertionError("a validation of the sandbox did not end")

    def _is_validating(self) -> bool:
        state = self.sandbox.authority.state
        with state.lock:
            latest = itertools.islice(reversed(state.store.authorizations.values()), 500)
            return any(
                c.status is ChallengeStatus.PROCESSING and a.status is AuthorizationStatus.PENDING
                for a in latest
                for c in a.challenges
            )

    def every(
        self,
        interval: timedelta,
        act: Callable[[], object],
        *,
        phase: timedelta = timedelta(),
        away: Sequence[Span] = (),
    ) -> Iterator[Event]:
        """What cron does: `act` at each multiple of `interval` from now on, but not while it is `away`."""
        at = self.now + phase
        while True:
            if not any(span.start <= at < span.end for span in away):
                yield at, act
            at += interval

    def play(self, *streams: Iterable[Event], until: datetime) -> None:
        """Let everything happen in its order, until `until`."""
        for at, act in heapq.merge(*streams, key=lambda event: event[0]):
            if at >= until:
                break
            if at > self.now:
                self.clock.set(at)
            act()
        self.clock.set(max(until, self.now))

    # -- hosts

    def host(self, name: str, parts: str, *, skew: timedelta = timedelta(), profile: str | None = None) -> Host:
        """A host with the world's account; `parts` is YAML under the head, `skew` how much its clock is ahead."""
        folder = self.directory / name
        folder.mkdir()
        head = (
            f'authority: {{directory: "{self.sandbox.directory_url}", ca_bundle: ../ca/root.pem}}\n'
            "state_directory: state\n"
        )
        if self.has_profiles:
            head += f"profile: {profile or self.profile}\n"
        (folder / "config.yaml").write_text(head + parts)
        self.hosts.append(Host(self, folder / "config.yaml", skew))
        return self.hosts[-1]

    def master(
        self,
        *names: str,
        every: timedelta = HOUR,
        refresh: str = "early",
        name: str = "master",
        skew: timedelta = timedelta(),
        solver: str | None = None,
        extra: str = "",
    ) -> Host:
        """A master over `names`, by a web server of its own unless `solver` (YAML) says otherwise."""
        solver = solver or f'{{type: standalone, listen: "{self.web}", check_address: "{self.web}"}}'
        hours = int(every / HOUR)
        return self.host(
            name,
            f"solvers: {{web: {solver}}}\n"
            f"master: {{every: {hours}h, refresh: {refresh}, workers: 4, {extra}authorize: "
            f"[{{names: [{_listed(names)}], solver: web}}]}}\n",
            skew=skew,
        )

    def follower(self, label: str, *names: str, name: str | None = None) -> Host:
        """A follower with one certificate."""
        return self.host(name or label, f"certificates: {{{label}: {{names: [{_listed(names)}]}}}}\n")

    # -- what a follower would find

    def client(self) -> Client:
        """A client of the tests' own with the world's account."""
        if self._client is None:
            self._client = self._stack.enter_context(
                Client(self.sandbox.directory_url, self.sandbox.ca_bundle, self.key)
            )
            self._client.kid = self.account_url
        return self._client

    def sample(self, *names: str) -> None:
        """A follower's newOrder for a set never ordered before finds exactly what the measure says it finds."""
        client, fresh = self.client(), f"sample-{next(self._samples)}.samples.test"
        before = {name: self.is_usable(name) for name in names}
        order = client.new_order(*names, fresh, profile=self.profile)
        assert order.status == 201, order.body
        after = {name: self.is_usable(name) for name in names}
        authorizations = client.authorizations(order)
        for name in names:
            found = authorizations[name][1]["status"] == "valid"
            assert found in {before[name], after[name]}, f"{name} at {self.now}: newOrder says {found}"

    def samples(self, *names: str, every: timedelta) -> Iterator[Event]:
        """A sample at a random moment of each `every`."""
        at = self.now
        while True:
            yield at + self.rng.random() * every, lambda: self.sample(*names)
            at += every

    def once(self, at: datetime, act: Callable[[], object]) -> Iterator[Event]:
        """Something that happens at one moment."""
        yield at, act

    def is_usable(self, name: str) -> bool:
        """Whether a fresh follower order would find `name` authorized now."""
        return any(span.start <= self.now < span.end for span in self._usable(name))

    def measure(self, name: str, *, since: datetime | None = None) -> Measure:
        """The gaps of `name` from its first validation (or from `since`) until now."""
        spans = sorted(self._usable(name), key=lambda span: span.start)
        assert spans, f"{name} was never usable"
        begin = since or spans[0].start
        gaps, covered = [], begin
        for span in spans:
            if span.start > covered:
                gaps.append(Span(covered, span.start))
            covered = max(covered, span.end)
        if covered < self.now:
            gaps.append(Span(covered, self.now))
        return Measure(name, tuple(gaps), self.now - begin)

    def forget(self) -> None:
        """The CA loses all orders and authorizations."""
        store = self.sandbox.authority.state.store
        self._lost += [(a, self.now) for a in store.authorizations.values()]
        self.sandbox.authority.forget(accounts=False)

    def cannot_see(self, name: str, *, fails: bool = True) -> None:
        """The CA cannot connect to `name`, or can again."""
        failing = self.sandbox.authority.state.injections.failing
        if fails:
            failing[name] = Problem("connection", "Connection refused", 400)
        else:
            failing.pop(name, None)

    def authorizations(self) -> list[Authorization]:
        """All that the CA has ever made and not forgotten."""
        with self.sandbox.authority.state.lock:
            return list(self.sandbox.authority.state.store.authorizations.values())

    def use_up_certificates(self, domain: str) -> None:
        """Followers have just issued as many certificates below `domain` as a week allows."""
        limits = self.sandbox.authority.state.limits
        assert limits.limits is not None
        with self.sandbox.authority.state.lock:
            for number in range(limits.limits.certificates_per_domain.count):
                names = frozenset({Identifier(f"used{number}.{domain}")})
                limits.issued(names, self.now, is_renewal=False, is_replacement=False)

    def _usable(self, name: str) -> list[Span]:
        state = self.sandbox.authority.state
        with state.lock:
            known = [(a, None) for a in state.store.authorizations.values()]
            return [
                span
                for authorization, lost_at in [*known, *self._lost]
                if authorization.identifier.value == name
                and authorization.profile == (self.profile if self.has_profiles else "")
                for span in self._spans(authorization, lost_at)
            ]

    def _spans(self, authorization: Authorization, lost_at: datetime | None) -> Iterator[Span]:
        """When newOrder would put `authorization` into an order: valid, and more than C left by the rules of that time."""
        validated = [c.validated_at for c in authorization.challenges if c.validated_at]
        if not validated:
            return
        rules = self.sandbox.authority.state.rules
        for begin, end in _eras(self.profile):
            cutoff = rules.cutoff_of(rules.profile(authorization.profile, begin))
            ends = [authorization.expires_at - cutoff, end]
            ends += [at for at in (authorization.deactivated_at, lost_at) if at is not None]
            span = Span(max(validated[0], begin), min(ends))
            if span.start < span.end:
                yield span


class Host:
    """One host: a configuration, a state directory, and a clock that may be wrong. Each run is a process of its own."""

    def __init__(self, world: World, path: Path, skew: timedelta) -> None:
        self.world = world
        self.path = path
        self.costs = Costs()
        self.reports: list[MasterReport] = []
        self.on_clock: Callable[[], object] = lambda: None  # each time it looks at its clock
        self.skew = skew
        self._loaded = app.load(path)
        self._join()

    def rewrite(self, change: Callable[[str], str]) -> None:
        """Change the configuration."""
        self.path.write_text(change(self.path.read_text()))
        self._loaded = app.load(self.path)

    def app(self) -> app.Host:
        """The host as a new process sees it."""
        return app.Host(
            self._loaded.config,
            self._loaded.parts,
            clock=self._look,
            pause=self.world.pause,
            published={self.world.directory_url} if self.world.is_lets_encrypt else (),
        )

    def run(self, *, solver: Solver | None = None, **options: Any) -> MasterReport:
        """`acmectl master run`; `solver` stands in for all that are configured."""
        host = self.app()
        try:
            with host.state.locked():
                report = host.master(solver).run(host.wanted, **options)
        finally:
            host.state.close()
        self.costs.add(report)
        if report.requests or report.failed:
            self.reports.append(report)
        return report

    def follow(self, **options: Any) -> FollowerReport:
        """`acmectl follower run`."""
        host = self.app()
        try:
            with host.state.locked():
                report = host.follower().run(host.wishes(), **options)
        finally:
            host.state.close()
        self.costs.add(report)
        return report

    def run_all(self) -> None:
        """`acmectl run` of a host on its own: what is due is proven, then issued."""
        host = self.app()
        try:
            with host.state.locked():
                wishes = host.wishes()
                if needed := host.needed(wishes):
                    self.costs.add(host.prover().run(needed, forget=False))
                self.costs.add(host.follower().run(wishes))
        finally:
            host.state.close()

    def has_certificate(self) -> bool:
        """Whether every certificate of the configuration was issued."""
        return all(
            (self.path.parent / "state/certificates" / label / "current").exists()
            for label in self._loaded.config.certificates
        )

    def _look(self) -> datetime:
        self.on_clock()
        return self.world.now + self.skew

    def _join(self) -> None:
        """Register the world's account, or import it."""
        world, host = self.world, self.app()
        with host.session(world.key) as session:
            account = accounts.register(session, contact=(), terms_agreed=True)
        world.account_url = account.url
        host.state.create()
        host.state.accounts.save(
            StoredAccount(
                "default",
                world.directory_url,
                account.url,
                world.profile,
                (),
                account.thumbprint,
                keys.to_pem(world.key),
            )
        )
        host.state.close()


def memory() -> Path | None:
    """A directory of a file system in memory, where this host has one."""
    place = Path("/dev/shm")  # noqa: S108 - only directories with names that nobody can guess are made there
    return place if os.access(place, os.W_OK) else None


@contextmanager
def occupied(port: int) -> Iterator[None]:
    """Another program has the port that a stand-alone solver needs."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", port))
        holder.listen()
        yield


def _eras(profile: str) -> Iterator[tuple[datetime, datetime]]:
    moments = [since for since, _ in ca_rules.LETS_ENCRYPT[profile]]
    return zip(moments, [*moments[1:], datetime.max.replace(tzinfo=UTC)], strict=True)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
