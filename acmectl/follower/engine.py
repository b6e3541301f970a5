"""A follower's run: which certificates are due, issue those whose names are authorized, deploy what is behind.

Nothing due means no request at all, and none of the heavy libraries is even imported. One failing certificate never stops
the others.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from acmectl.errors import AcmectlError, CAError, CARefused, RateLimited
from acmectl.follower import deploying
from acmectl.follower.deploying import Deployer, DeployResult, Placed
from acmectl.model.certificates import CertificateSpec, Installed
from acmectl.model.memory import Deployment, Event, Failure
from acmectl.policy import backoff, health, renewal
from acmectl.policy.health import ExitStatus
from acmectl.policy.renewal import Due, NotDue

if TYPE_CHECKING:
    from acmectl.ca.session import Session
    from acmectl.follower.issuing import Issued, Waiting
    from acmectl.storage.certificates import Certificates
    from acmectl.storage.clock import CAClock
    from acmectl.storage.memory import Memory

log = logging.getLogger(__name__)

_NOTICEABLE = timedelta(minutes=1)  # of difference between two clocks
FIRST_WAIT = 5.0  # seconds between two newOrders of `--wait`, doubled each time
LONGEST_WAIT = 120.0


@dataclass(frozen=True, slots=True)
class Settings:
    """How patient a follower is; the configuration's `follower:` says what each means."""

    grace: timedelta
    alarm_at: float
    no_certificate_alarm: timedelta
    keep_generations: int


@dataclass(frozen=True, slots=True)
class Wish:
    """A certificate of the configuration and where it is to be deployed."""

    spec: CertificateSpec
    targets: tuple[Placed, ...]


@dataclass(frozen=True, slots=True)
class Failed:
    """The attempt failed, or is left alone until `retry_at` after it did (`attempted` is False)."""

    reason: str
    hint: str | None
    retry_at: datetime | None
    attempted: bool = True


@dataclass(frozen=True, slots=True)
class CertificateResult:
    """What became of one certificate: `installed` is what its services can use after the run."""

    label: str
    outcome: NotDue | Issued | Waiting | Failed
    due: str | None
    installed: Installed | None
    running_out: bool
    deployments: tuple[DeployResult, ...] = ()


@dataclass(frozen=True, slots=True)
class CertificateStatus:
    """What is remembered of one certificate, without asking anybody; `behind` are targets without the current generation."""

    spec: CertificateSpec
    installed: Installed | None
    damage: str | None
    decision: Due | NotDue
    waiting_since: datetime | None
    failure: Failure | None
    behind: tuple[str, ...]
    deployments: tuple[Deployment, ...]
    running_out: bool

    def health(self, now: datetime) -> ExitStatus:
        """What monitoring should make of it."""
        return health.of_certificate(
            self.installed,
            self.failure,
            self.behind,
            waiting=self.waiting_since is not None and self.damage is None,
            running_out=self.running_out,
            now=now,
        )


@dataclass(frozen=True, slots=True)
class FollowerReport:
    """The result of each certificate, and how many requests of each kind it took."""

    results: tuple[CertificateResult, ...]
    requests: Mapping[str, int]
    clock_offset: timedelta | None = None

    @property
    def exit_status(self) -> ExitStatus:
        """0 as wanted or waiting with time in hand, 1 something failed, 4 a waiting certificate runs out."""
        return health.exit_status(
            failed=any(isinstance(r.outcome, Failed) or any(d.error for d in r.deployments) for r in self.results),
            running_out=any(r.running_out for r in self.results),
        )


class Follower:
    """Issues and deploys the certificates of this host; one instance serves one run."""

    def __init__(
        self,
        *,
        connect: Callable[[str], Session],
        certificates: Certificates,
        memory: Memory,
        clock: CAClock,
        pause: Callable[[float], None],
        settings: Settings,
    ) -> None:
        """`connect` opens a session for an account by name; `pause` sleeps for seconds."""
        self._connect = connect
        self._certificates = certificates
        self._memory = memory
        self._clock = clock
        self._pause = pause
        self._settings = settings
        self._sessions: dict[str, Session] = {}

    def status(self, wish: Wish, *, forced: bool = False) -> CertificateStatus:
        """How one certificate stands, and whether a run would issue it now; asks nobody."""
        label = wish.spec.label
        damage = self._certificates.damage(label)
        installed = self._certificates.current(label) if damage is None else None
        decision = renewal.due(wish.spec, installed, damage, now=self._clock(), forced=forced)
        order = self._memory.follower_order(label)
        failure = self._memory.failures("certificate").get(label)
        since = (order.waiting_since if order else None) or (failure.first_at if failure else None)
        behind = deploying.behind(self._memory, label, installed.generation, wish.targets) if installed else ()
        return CertificateStatus(
            spec=wish.spec,
            installed=installed,
            damage=damage,
            decision=decision,
            waiting_since=order.waiting_since if order else None,
            failure=failure,
            behind=tuple(placed.name for placed, _ in behind),
            deployments=self._memory.deployments(label),
            running_out=isinstance(decision, Due) and self._is_running_out(installed, since),
        )

    def run(
        self, wishes: Sequence[Wish], *, forced: bool = False, at_once: bool = False, wait: timedelta | None = None
    ) -> FollowerReport:
        """Issue what is due and authorized, deploy what is behind.

        `at_once` tries again what failed before its pause is over (a person asked); `forced` does so too, and issues
        also what is not due; `wait` orders again, at growing intervals, until nothing waits any more or the time is over.
        """
        at_once = at_once or forced
        self._clock.review()
        try:
            results = {w.spec.label: self._serve(w, forced=forced, at_once=at_once) for w in wishes}
            if wait is not None:
                self._await(wishes, results, wait, forced=forced)
            deployed = self._deploy(wishes, results, at_once=at_once)
            return FollowerReport(deployed, self._counts(), self._offset())
        finally:
            for session in self._sessions.values():
                session.close()

    def _serve(self, wish: Wish, *, forced: bool, at_once: bool) -> CertificateResult:
        try:
            status = self.status(wish, forced=forced)
            if isinstance(status.decision, NotDue):
                return CertificateResult(wish.spec.label, status.decision, None, status.installed, running_out=False)
            return self._issue(wish, status, status.decision, forced=forced, at_once=at_once)
        except AcmectlError as error:
            failed = Failed(error.message, error.hint, None)
            return CertificateResult(wish.spec.label, failed, None, None, running_out=False)

    def _issue(
        self, wish: Wish, status: CertificateStatus, due: Due, *, forced: bool, at_once: bool
    ) -> CertificateResult:
        failure, label = status.failure, wish.spec.label
        if failure is not None and not at_once and not backoff.may_try(failure, self._clock()):
            left_alone = Failed(failure.reason, None, failure.retry_at, attempted=False)
            return CertificateResult(label, left_alone, due.reason, status.installed, status.running_out)
        outcome = self._attempt(wish, failure, forced=forced)
        from acmectl.follower.issuing import Issued, Waiting

        if isinstance(outcome, NotDue):
            return CertificateResult(label, outcome, None, status.installed, running_out=False)
        if isinstance(outcome, Issued):
            return CertificateResult(label, outcome, due.reason, outcome.installed, running_out=False)
        since = outcome.since if isinstance(outcome, Waiting) else failure.first_at if failure else None
        return CertificateResult(
            label, outcome, due.reason, status.installed, self._is_running_out(status.installed, since)
        )

    def _is_running_out(self, installed: Installed | None, since: datetime | None) -> bool:
        return health.is_running_out(
            installed,
            since,
            now=self._clock(),
            alarm_at=self._settings.alarm_at,
            no_certificate_alarm=self._settings.no_certificate_alarm,
        )

    def _attempt(self, wish: Wish, failure: Failure | None, *, forced: bool) -> Issued | Waiting | Failed | NotDue:
        label = wish.spec.label
        try:
            from acmectl.follower.issuing import Issued, Issuer

            session = self._session(wish.spec.account)
            if self._was_wrong_about_time(session):
                decision = self.status(wish, forced=forced).decision
                if isinstance(decision, NotDue):
                    return decision
            issuer = Issuer(
                wish.spec,
                session=session,
                certificates=self._certificates,
                memory=self._memory,
                clock=self._clock,
                pause=self._pause,
                grace=self._settings.grace,
            )
            outcome = issuer.issue()
        except AcmectlError as error:
            return self._failed(label, error, failure)
        self._memory.clear_failure("certificate", label)
        if isinstance(outcome, Issued):
            self._certificates.prune(label, self._settings.keep_generations)
            self._event(
                label, "issued", f"generation {outcome.installed.generation}, serial {outcome.installed.serial}"
            )
        else:
            self._event(label, "waiting", ", ".join(map(str, outcome.names)))
        return outcome

    def _was_wrong_about_time(self, session: Session) -> bool:
        """Learn the CA's time before anything is asked for; whether it is another one than the decision was made by."""
        before = self._clock()
        session.directory  # noqa: B018  # the first answer brings the CA's time
        self._clock.learn(session.clock_offset)
        return abs(self._clock() - before) > _NOTICEABLE

    def _failed(self, label: str, error: AcmectlError, previous: Failure | None) -> Failed:
        if not isinstance(error, CAError):  # a person mends this, and the next run is to go on at once
            self._event(label, "failed", error.message)
            return Failed(error.message, error.hint, None)
        retry_after = error.retry_after if isinstance(error, CARefused) else None
        failure = backoff.failed(
            previous,
            kind="certificate",
            key=label,
            reason=error.message,
            now=self._clock(),
            retry_after=retry_after,
            paused=isinstance(error, RateLimited) and retry_after is None,
        )
        self._memory.save_failure(failure)
        self._event(label, "failed", error.message)
        return Failed(error.message, error.hint, failure.retry_at)

    def _await(
        self, wishes: Sequence[Wish], results: dict[str, CertificateResult], wait: timedelta, *, forced: bool
    ) -> None:
        from acmectl.follower.issuing import Waiting

        until, interval = self._clock() + wait, FIRST_WAIT
        while True:
            waiting = [w for w in wishes if isinstance(results[w.spec.label].outcome, Waiting)]
            left = (until - self._clock()).total_seconds()
            if not waiting or left <= 0:
                return
            self._pause(min(interval, left))
            interval = min(2 * interval, LONGEST_WAIT)
            results |= {w.spec.label: self._serve(w, forced=forced, at_once=forced) for w in waiting}

    def _deploy(
        self, wishes: Sequence[Wish], results: Mapping[str, CertificateResult], *, at_once: bool
    ) -> tuple[CertificateResult, ...]:
        from dataclasses import replace

        deployer = Deployer(self._memory, self._clock)
        done: list[DeployResult] = []
        for wish in wishes:
            installed = results[wish.spec.label].installed
            if installed is not None:
                directory = self._certificates.current_directory(wish.spec.label)
                done += deployer.add(wish.spec.label, installed.generation, directory, wish.targets, forced=at_once)
        done += deployer.run()
        for result in done:
            self._event(result.label, "not deployed" if result.error else "deployed", result.error or result.target)
        by_label = {label: tuple(d for d in done if d.label == label) for label in results}
        return tuple(replace(r, deployments=by_label[label]) for label, r in results.items())

    def _session(self, account: str) -> Session:
        if account not in self._sessions:
            self._sessions[account] = self._connect(account)
        return self._sessions[account]

    def _counts(self) -> dict[str, int]:
        counts: dict[str, int] = {}
        for session in self._sessions.values():
            for kind, count in session.requests.items():
                counts[kind] = counts.get(kind, 0) + count
        return counts

    def _offset(self) -> timedelta | None:
        return next((s.clock_offset for s in self._sessions.values() if s.clock_offset is not None), None)

    def _event(self, label: str, kind: str, text: str) -> None:
        self._memory.add_event(Event(self._clock(), label, kind, text))
