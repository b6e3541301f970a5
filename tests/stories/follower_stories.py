"""What can happen to followers, played with a moved clock: each story gives the figures that tests assert and `make stories` prints."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from acmectl import keys
from acmectl.ca import account_changes
from acmectl.follower import Failed, FollowerReport, Issued, Waiting
from acmectl.model.certificates import KeyType
from tests.stories.world import DAY, HOUR, MINUTE, Event, Host, Span, World

NAMES = ("xmpp.acme.test", "mail.acme.test")
MORE = "www.acme.test"
RACES = 50
SLOWER = 50.0  # how much slower a host's pauses are by the world's clock than by ours
_PHASE = 20 * MINUTE
_PROVEN = timedelta(seconds=30)  # the master's run begins on the hour, and is over before


@dataclass(frozen=True, slots=True)
class Figures:
    """What a story cost: requests by kind of all its followers' runs, and the certificates that the CA issued.

    `late` is how long after the names were authorized (or the cause was mended) the last certificate was there.
    """

    runs: int
    requests: Counter[str]
    certificates: int
    late: timedelta | None = None
    said: tuple[str, ...] = ()


@dataclass
class Cron:
    """A follower that runs again and again, and what came of it."""

    host: Host
    issued_at: list[datetime] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def run(self) -> FollowerReport:
        report = self.host.follow()
        for result in report.results:
            match result.outcome:
                case Issued():
                    self.issued_at.append(self.host.world.now)
                case Failed(reason=reason, hint=hint, attempted=True):
                    self.said.append(f"{reason}; {hint}")
                case Waiting() as waiting if waiting.is_under_another_profile:
                    self.said.append("another profile")
                case _:
                    pass
        return report

    def every(self, interval: timedelta) -> Iterable[Event]:
        return self.host.world.every(interval, self.run, phase=min(_PHASE, interval / 3))

    def figures(self, *, since: datetime | None = None) -> Figures:
        costs, world = self.host.costs, self.host.world
        late = self.issued_at[-1] - since if since and self.issued_at else None
        return Figures(costs.runs, costs.requests, certificates(world), late, tuple(dict.fromkeys(self.said)))


def certificates(world: World) -> int:
    """How many the CA has issued."""
    with world.sandbox.authority.state.lock:
        return len(world.sandbox.authority.state.store.certificates)


def released(world: World) -> list[tuple[str, datetime]]:
    """The pending authorizations that were given up: name and moment, in order."""
    found = [
        (a.identifier.value, a.deactivated_at)
        for a in world.authorizations()
        if a.deactivated_at is not None and a.deactivated_from == "pending"
    ]
    return sorted(found, key=lambda release: release[1])


def names_are_valid(directory: Path, count: int) -> Figures:
    """The usual case: everything is authorized, and a certificate is due."""
    names = [f"n{number}.acme.test" for number in range(count)]
    with World(directory, is_trusting=True) as world:
        world.master(*names, MORE).run()
        cron = Cron(world.follower("many", *names))
        cron.run()
        return cron.figures()


def early(directory: Path, *, same: bool, down: timedelta, interval: timedelta) -> Figures:
    """The follower orders before the master proves, which it does `down` later; `same`: both order one set of names."""
    with World(directory, is_trusting=True) as world:
        cron = Cron(world.follower("early", *NAMES))
        master = world.master(*NAMES, *(() if same else (MORE,)))
        proven_at = world.start + max(down, HOUR)
        away = [Span(world.start, proven_at)]
        world.play(cron.every(interval), world.every(HOUR, master.run, away=away), until=proven_at + 3 * DAY)
        return cron.figures(since=proven_at + _PROVEN)


def under_another_profile(directory: Path) -> Figures:
    """For two days, until a person corrects it."""

    def correct(_: World, cron: Cron) -> None:
        cron.host.rewrite(lambda text: text.replace("profile: tlsserver", "profile: classic"))

    return _corrected(directory, lambda *_: None, correct, profile="tlsserver")


def a_name_is_refused(directory: Path) -> Figures:
    """For two days, until a person takes it out of the configuration."""

    def refuse(world: World, _: Cron) -> None:
        world.sandbox.authority.state.injections.rejected[NAMES[0]] = "is on a list of names that are high-value"

    def correct(_: World, cron: Cron) -> None:
        cron.host.rewrite(lambda text: text.replace(f'"{NAMES[0]}", ', ""))

    return _corrected(directory, refuse, correct)


def caa_forbids(directory: Path) -> Figures:
    """For two days, until the record is there."""

    def refuse(world: World, _: Cron) -> None:
        world.sandbox.authority.state.injections.caa[NAMES[0]] = "ready"

    def correct(world: World, _: Cron) -> None:
        world.sandbox.authority.state.injections.caa.clear()

    return _corrected(directory, refuse, correct)


def the_account_is_deactivated(directory: Path) -> Figures:
    """Under the follower, for good."""

    def deactivate(world: World, _: Cron) -> None:
        with world.sandbox.authority.state.lock:
            for account in world.sandbox.authority.state.store.accounts.values():
                account.status = "deactivated"

    return _corrected(directory, deactivate, lambda *_: None)


def the_key_is_rolled_over(directory: Path) -> Figures:
    """By another host, and nobody brings the new one."""

    def roll_over(world: World, cron: Cron) -> None:
        host = cron.host.app()
        with host.session(world.key, world.account_url) as old, host.session(keys.generate(KeyType.ECDSA_P256)) as new:
            account_changes.change_key(old, new)

    return _corrected(directory, roll_over, lambda *_: None)


def _corrected(
    directory: Path,
    breaks: Callable[[World, Cron], None],
    corrects: Callable[[World, Cron], None],
    *,
    profile: str | None = None,
) -> Figures:
    with World(directory, is_trusting=True) as world:
        master = world.master(*NAMES, MORE)
        master.run()
        listed = ", ".join(f'"{name}"' for name in NAMES)
        cron = Cron(world.host("mail", f"certificates: {{mail: {{names: [{listed}]}}}}\n", profile=profile))
        breaks(world, cron)
        corrected_at = world.start + 2 * DAY
        world.play(cron.every(HOUR), until=corrected_at)
        corrects(world, cron)
        world.play(cron.every(HOUR), until=corrected_at + 2 * DAY)
        return cron.figures(since=corrected_at)


class Racing(World):
    """A world in which hosts run at once: their pauses take time, though little."""

    meeting: threading.Barrier | None = None

    def pause(self, seconds: float) -> None:
        self.clock.advance(timedelta(seconds=seconds))
        threading.Event().wait(seconds / SLOWER)

    def meet(self, line: str) -> None:
        """Hold the answers to the first two newOrders until both hosts have the same order."""
        meeting = self.meeting
        if meeting is not None and "/new-order" in line:
            meeting.wait(20)
            self.meeting = None


@dataclass(frozen=True, slots=True)
class Race:
    """One race: what each host had to ask, and what the CA did."""

    requests: tuple[Counter[str], Counter[str]]
    certificates: int
    lost: int
    kept: int
    lonely: int


def races(directory: Path, times: int = RACES, **rules: Any) -> list[Race]:
    """Two hosts want the same set of names, and finalize their one order at once."""
    options: dict[str, Any] = {"limits": None, "poll_after": None, "issue_delay": timedelta(seconds=0.02), **rules}
    with Racing(directory, is_trusting=True, **options) as world, ThreadPoolExecutor(2) as threads:
        world.master(*NAMES, MORE).run()
        world.on_request = world.meet
        return [_race(world, number, threads) for number in range(times)]


def _race(world: Racing, number: int, threads: ThreadPoolExecutor) -> Race:
    hosts = [world.follower("web", *NAMES, name=f"host-{number}-{which}") for which in "ab"]
    store = world.sandbox.authority.state.store
    before, orders_before = certificates(world), set(store.orders)
    world.meeting = threading.Barrier(2)
    for report in list(threads.map(Host.follow, hosts)):
        assert report.requests["newOrder"] <= 3, "no more than two fresh orders in a run"
    for host in hosts:
        for _ in range(3):  # whoever met the other three times goes on in the next run
            if host.has_certificate():
                break
            world.clock.advance(DAY)
            host.follow()
    asked = (hosts[0].costs.requests, hosts[1].costs.requests)
    made = [order for number, order in store.orders.items() if number not in orders_before]
    lost = sum(order.error is not None for order in made)
    kept = sum(order.error is None and order.serial is not None for order in made)
    for host in hosts:
        current = host.path.parent / "state/certificates/web/current"
        key = keys.from_pem((current / "privkey.pem").read_bytes(), what="the key")
        assert keys.matches(key, (current / "fullchain.pem").read_bytes())
    return Race(asked, certificates(world) - before, lost, kept, len(made) - lost - kept)
