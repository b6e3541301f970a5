"""One master and three followers, interleaved and interrupted at random: what followers must never do, and must always get in the end.

Between two requests of one host another one runs; a run ends anywhere, as if it was killed, and the next one goes on.
"""

from __future__ import annotations

import itertools
import shutil
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from acmectl import keys
from acmectl.follower import CertificateStatus, FollowerReport, Issued
from acmectl.model.orders import AuthorizationStatus
from acmectl.policy.renewal import Due
from tests.stories.follower_stories import certificates, released
from tests.stories.test_master_machine import Recorder
from tests.stories.world import DAY, HOUR, MINUTE, TODAY, Host, World, lifetimes, memory

NAMES = ("a.acme.test", "b.acme.test", "c.acme.test")
SETS = {"whole": NAMES, "twin": NAMES, "part": NAMES[:2]}  # two share the master's set, one has another
FILES = {"open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.symlink"}
FAILURES_AN_HOUR = 5  # of one name, Let's Encrypt's limit for master and followers together

followers = st.sampled_from(sorted(SETS))
hosts = st.sampled_from([*sorted(SETS), "master"])


class Killed(BaseException):
    """The run ends here."""


class Doom:
    """Ends the run of this thread before its n-th change of files below a directory. Python keeps such a hook for good."""

    def __init__(self) -> None:
        self.directory = "/"
        self.left = 0
        self.thread = 0
        sys.addaudithook(self.see)

    def aim(self, directory: Path, number: int) -> None:
        self.directory, self.left, self.thread = str(directory), number, threading.get_ident()

    def see(self, event: str, arguments: tuple[object, ...]) -> None:
        if not self.left or event not in FILES or threading.get_ident() != self.thread:
            return
        if str(arguments[0]).startswith(self.directory):
            self.left -= 1
            if not self.left:
                raise Killed


DOOM = Doom()


class FollowersMachine(RuleBasedStateMachine):
    """At a CA that trusts, so that validations take no time; a recorder stands for the master's solver."""

    @initialize(reuse=st.sampled_from([7 * HOUR, 10 * DAY, 30 * DAY]), is_down=st.booleans())
    def begin(self, reuse: timedelta, is_down: bool) -> None:  # noqa: FBT001  # hypothesis passes it by name
        self.directory = Path(tempfile.mkdtemp(prefix="acmectl-machine-", dir=memory()))
        self.world = World(
            self.directory,
            start=TODAY,
            is_trusting=True,
            poll_after=None,
            limits=None,
            overrides={"classic": lifetimes(reuse)},
        )
        self.recorder = Recorder()
        self.recorder.is_down = is_down
        self.master = self.world.master(*NAMES)
        self.followers = {label: self.world.follower(label, *names) for label, names in SETS.items()}
        self.intended = Counter[str]()  # certificates that each follower was to get
        self.issued = Counter[str]()
        self.open: set[str] = set()  # who has an intended issue that did not end yet
        self.gone: set[str] = set()  # orders with a certificate that nobody had fetched when the CA forgot them
        self.running: list[str] = []  # the outermost first
        self.lock = threading.Lock()  # a master works in several threads
        self.faults: list[BaseException] = []
        self.next_inner: tuple[int, str] | None = None
        self.world.on_request = self.watch

    # -- what happens

    @rule(host=hosts, at_once=st.booleans())
    def a_host_runs(self, host: str, at_once: bool) -> None:  # noqa: FBT001  # hypothesis passes it by name
        self.step(host, at_once=at_once)

    @rule(host=hosts, inner=hosts, at=st.integers(1, 9))
    def another_runs_in_between(self, host: str, inner: str, at: int) -> None:
        """After the CA has done what the n-th request asks, before its answer."""
        if host != inner:
            self.next_inner = (at, inner)
        self.step(host, at_once=True)
        self.next_inner = None

    @rule(label=followers, at=st.integers(1, 60), forced=st.booleans())
    def a_run_is_killed_when_it_looks_at_its_clock(self, label: str, at: int, forced: bool) -> None:  # noqa: FBT001  # as above
        looks = itertools.count(1)

        def look() -> None:
            if next(looks) == at:
                raise Killed

        host = self.followers[label]
        host.on_clock = look
        try:
            with suppress(Killed):
                self.step(label, forced=forced, at_once=True)
        finally:
            host.on_clock = lambda: None

    @rule(label=followers, at=st.integers(1, 40), forced=st.booleans())
    def a_run_is_killed_when_it_changes_files(self, label: str, at: int, forced: bool) -> None:  # noqa: FBT001  # as above
        DOOM.aim(self.followers[label].path.parent, at)
        try:
            with suppress(Killed):
                self.step(label, forced=forced, at_once=True)
        finally:
            DOOM.left = 0

    @rule(label=followers)
    def a_person_wants_a_new_certificate(self, label: str) -> None:
        self.step(label, forced=True)

    @rule(minutes=st.sampled_from([1, 5, 16, 61, 6 * 60, 24 * 60 + 1]))
    def time_passes(self, minutes: int) -> None:
        self.world.clock.advance(minutes * MINUTE)

    @rule(is_down=st.booleans(), every=st.sampled_from([2 * HOUR, 5 * HOUR]))
    def days_pass_with_cron(self, is_down: bool, every: timedelta) -> None:  # noqa: FBT001  # as above
        self.recorder.is_down = is_down
        for _ in range(8):
            self.world.clock.advance(every)
            for host in ("master", *SETS):
                self.step(host)

    @rule(is_down=st.booleans())
    def the_name_server_changes(self, is_down: bool) -> None:  # noqa: FBT001  # as above
        self.recorder.is_down = is_down

    @rule(name=st.sampled_from(NAMES), fails=st.booleans())
    def the_ca_cannot_see_a_name(self, name: str, fails: bool) -> None:  # noqa: FBT001  # as above
        self.world.cannot_see(name, fails=fails)

    @rule(name=st.sampled_from(NAMES))
    def the_ca_revokes_a_name(self, name: str) -> None:
        self.world.sandbox.authority.set_status([name], AuthorizationStatus.REVOKED)

    # -- how it is watched

    def step(self, name: str, *, forced: bool = False, at_once: bool = False) -> FollowerReport | None:
        with self.goes_on(name):
            if name == "master":
                self.master.run(solver=self.recorder)
                return None
            return self.follow(name, self.followers[name], forced=forced, at_once=at_once)

    @contextmanager
    def goes_on(self, name: str) -> Iterator[None]:
        self.running.append(name)
        try:
            yield
        finally:
            self.running.pop()

    def follow(self, label: str, host: Host, *, forced: bool, at_once: bool) -> FollowerReport:
        if label not in self.open and (forced or isinstance(self.status(label).decision, Due)):
            self.open.add(label)
            self.intended[label] += 1
        elif label in self.open:
            self.intended[label] += self.has_lost_an_order(host, label)
        report = host.follow(forced=forced, at_once=at_once)
        if isinstance(report.results[0].outcome, Issued):
            self.open.discard(label)
        return report

    def has_lost_an_order(self, host: Host, label: str) -> bool:
        """Whether the order of a killed run expired with its certificate before the host came again: only another one can help then."""
        app = host.app()
        held = app.state.memory.follower_order(label)
        app.state.close()
        if held is None or held.url in self.gone:
            return False
        order = self.world.sandbox.authority.state.store.orders[int(held.url.rpartition("/")[2])]
        is_lost = order.serial is not None and order.expires_at <= self.world.now
        self.gone |= {held.url} if is_lost else set()
        return is_lost

    def status(self, label: str) -> CertificateStatus:
        host = self.followers[label].app()
        try:
            (wish,) = host.wishes()
            return host.follower().status(wish)
        finally:
            host.state.close()

    def watch(self, line: str) -> None:
        """In the CA's thread, when it has done what a request asks."""
        who = self.running[-1]
        if "/finalize" in line and certificates(self.world) > self.issued.total():
            self.issued[who] += 1
        if (inner := self.counted_down()) is not None:
            try:
                self.step(inner, at_once=True)
            except BaseException as fault:  # noqa: BLE001  # it would be lost in the server's thread
                self.faults.append(fault)

    def counted_down(self) -> str | None:
        """Who runs now, in between."""
        with self.lock:
            if self.next_inner is None or len(self.running) > 1:
                return None
            left, inner = self.next_inner
            self.next_inner = (left - 1, inner) if left > 1 else None
            return inner if left == 1 else None

    # -- what must hold

    @invariant()
    def no_run_in_between_fails_by_itself(self) -> None:
        assert self.faults == []

    @invariant()
    def no_follower_answers_a_challenge(self) -> None:
        """The CA counted as many as the master sent."""
        assert self.world.sandbox.counts["challenge"] == self.master.costs.requests["challenge"]

    @invariant()
    def an_intended_issue_gives_one_certificate_at_most(self) -> None:
        lost = sum(
            o.error is not None and o.serial is not None
            for o in self.world.sandbox.authority.state.store.orders.values()
        )
        assert self.issued.total() == certificates(self.world)
        assert (self.issued - self.intended).total() <= lost, "but for those in orders that a race spoiled"

    @invariant()
    def key_and_certificate_belong_together(self) -> None:
        for label, host in self.followers.items():
            current = host.path.parent / "state/certificates" / label / "current"
            if current.exists():
                key = keys.from_pem((current / "privkey.pem").read_bytes(), what="the key")
                assert keys.matches(key, (current / "fullchain.pem").read_bytes())

    @invariant()
    def releases_keep_the_limits(self) -> None:
        assert _most_in(HOUR, [at for _, at in released(self.world)], by=[name for name, _ in released(self.world)]) < (
            FAILURES_AN_HOUR
        )
        remembered = 0
        for label, host in self.followers.items():
            app = host.app()
            held, releases = app.state.memory.follower_order(label), app.state.memory.releases(label)
            app.state.close()
            remembered += len(releases)
            waited = held.waiting_since + DAY if held and held.waiting_since else self.world.now
            late = [r.at for r in releases if r.at >= waited]
            assert all(two - one >= DAY for one, two in itertools.pairwise(late))
        assert len(released(self.world)) <= remembered, "each is remembered before it is done"

    def teardown(self) -> None:
        """With a working master each follower has its certificate within two runs after its names are authorized."""
        if not hasattr(self, "world"):
            return
        try:
            self.recorder.is_down = False
            self.world.sandbox.authority.state.injections.failing.clear()
            self.world.clock.advance(DAY + MINUTE)  # what was released or failed a short while ago may be asked again
            for _ in range(4):  # as the master's own machine allows
                with self.goes_on("master"):
                    self.master.run(solver=self.recorder, verify=True)
                if not (missing := [name for name in NAMES if not self.world.is_usable(name)]):
                    break
                self.world.clock.advance(DAY + MINUTE)
            assert not missing
            for label in SETS:
                self.two_runs(label)
            self.an_intended_issue_gives_one_certificate_at_most()
            self.no_follower_answers_a_challenge()
            self.releases_keep_the_limits()
        finally:
            self.world.__exit__(None, None, None)
            shutil.rmtree(self.directory)

    def two_runs(self, label: str) -> None:
        self.step(label, at_once=True)
        if self.is_served(label):
            return
        self.world.clock.advance(16 * MINUTE)
        report = self.step(label, at_once=True)
        assert self.is_served(label), report

    def is_served(self, label: str) -> bool:
        return self.followers[label].has_certificate() and not isinstance(self.status(label).decision, Due)


def _most_in(span: timedelta, moments: list[datetime], *, by: list[str]) -> int:
    """The most moments of one name in any `span`."""
    seen = list(zip(by, moments, strict=True))
    return max((sum(n == name and at <= m < at + span for n, m in seen) for name, at in seen), default=0)


def test_while_a_master_is_down_for_days_releases_keep_the_limits() -> None:
    """The longest story of the machine, which chance seldom finds: orders live for eight hours, and come back again and again."""
    machine = FollowersMachine()
    machine.begin(reuse=7 * HOUR, is_down=True)
    try:
        for _ in range(2):
            machine.days_pass_with_cron(is_down=True, every=5 * HOUR)
            machine.releases_keep_the_limits()
    finally:
        machine.teardown()


def test_a_run_that_was_killed_with_its_certificate_made_costs_another_one_when_the_ca_has_forgotten_its_order() -> (
    None
):
    machine = FollowersMachine()
    machine.begin(reuse=7 * HOUR, is_down=False)
    try:
        machine.a_host_runs(host="master", at_once=False)
        DOOM.aim(machine.followers["twin"].path.parent / "state/certificates/twin/1/.cert", 1)
        with pytest.raises(Killed):
            machine.step("twin")
        assert machine.issued == {"twin": 1}
        assert not machine.followers["twin"].has_certificate()
        machine.an_intended_issue_gives_one_certificate_at_most()
    finally:
        DOOM.left = 0
        machine.teardown()  # more than a day later; the order lived for seven hours
    assert machine.issued == {"twin": 2, "whole": 1, "part": 1}
    assert machine.intended == {"twin": 2, "whole": 1, "part": 1}


TestFollowersMachine = FollowersMachine.TestCase
TestFollowersMachine.settings = settings(
    max_examples=20,
    stateful_step_count=14,
    deadline=None,
    phases=(Phase.reuse, Phase.generate),  # to shrink a failure takes minutes
    suppress_health_check=list(HealthCheck),
)
