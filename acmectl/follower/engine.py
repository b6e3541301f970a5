"""A follower's run: which certificates are due, issue those whose names are authorized, deploy what is behind.

Nothing due means no request at all, and none of the heavy libraries is even imported. One failing certificate never stops
the others.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from acmectl.errors import AcmectlError, CAError, CARefused, CAUnreachable, RateLimited
from acmectl.follower import deploying
from acmectl.follower.deploying import Deployer, DeployResult, Placed
from acmectl.model.certificates import CertificateSpec, Installed, Issuance
from acmectl.model.memory import Deployment, Event, Failure, RememberedOrder
from acmectl.model.orders import AuthorizationStatus
from acmectl.policy import backoff, health, order_flow, renewal
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
    """The attempt failed, or is left alone until `retry_at` after it did (`attempted` is False).

    `unreachable` says that the CA was not there to be asked, so that it is worth trying again in this run.
    """

    reason: str
    hint: str | None
    retry_at: datetime | None
    attempted: bool = True
    unreachable: bool = False


@dataclass(frozen=True, slots=True)
class CertificateResult:
    """What became of one certificate: `installed` is what its services can use after the run.

    `outcome` is None where the caller asked not to order it.
    """

    label: str
    outcome: NotDue | Issued | Waiting | Failed | None
    due: str | None
    installed: Installed | None
    running_out: bool
    deployments: tuple[DeployResult, ...] = ()


@dataclass(frozen=True, slots=True)
class CertificateStatus:
    """What is remembered of one certificate, without asking anybody.

    `behind` are targets that do not hold it; `next_look_at` is when a plain run will ask the CA again, None for at once.
    """

    spec: CertificateSpec
    installed: Installed | None
    damage: str | None
    decision: Due | NotDue
    waiting_since: datetime | None
    failure: Failure | None
    behind: tuple[str, ...]
    deployments: tuple[Deployment, ...]
    running_out: bool
    next_look_at: datetime | None = None

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


class _AccountLimited(RateLimited):
    """No order of the account has a chance at the moment: the others of this run are not even sent."""

    def __init__(self, refusal: RateLimited, account: str, at: datetime) -> None:
        doing = f"orders of the account `{account}`"
        super().__init__(refusal.problem, doing=doing, hint=refusal.hint, retry_after=refusal.retry_after)
        self.at = at


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
        directory_url: str,
        settings: Settings,
    ) -> None:
        """`connect` opens a session for an account by name with the CA at `directory_url`; `pause` sleeps for seconds."""
        self._connect = connect
        self._certificates = certificates
        self._memory = memory
        self._clock = clock
        self._pause = pause
        self._directory_url = directory_url
        self._settings = settings
        self._limited: dict[str, _AccountLimited] = {}
        self._sessions: dict[str, Session] = {}

    def status(self, wish: Wish, *, forced: bool = False) -> CertificateStatus:
        """How one certificate stands, and whether a run would issue it now; asks nobody."""
        label = wish.spec.label
        damage = self._certificates.damage(label)
        installed = self._certificates.current(label) if damage is None else None
        decision = renewal.due(
            wish.spec,
            installed,
            damage,
            now=self._clock(),
            directory_url=self._directory_url,
            issuance=self._memory.issuance(installed) if installed else None,
            forced=forced,
        )
        order = self._memory.follower_order(label)
        failure = self._memory.failures("certificate").get(label)
        since = (order.waiting_since if order else None) or (failure.first_at if failure else None)
        behind = deploying.behind(self._memory, installed, wish.targets) if installed else ()
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
            next_look_at=None if forced or order is None else self._next_look_at(wish.spec, order),
        )

    def _next_look_at(self, spec: CertificateSpec, order: RememberedOrder) -> datetime | None:
        """When to ask the CA again for an order that waits; None for at once."""
        now = self._clock()
        if order_flow.first_step(order, spec) is not order_flow.Step.ORDER or order_flow.may_look(order, now):
            return None
        proven = {  # by this host itself, in the meantime
            a.identifier
            for a in self._memory.authorizations(spec.account)
            if a.status is AuthorizationStatus.VALID and a.expires_at is not None and a.expires_at > now
        }
        return None if order.missing and order.missing <= proven else order.next_look_at

    def run(
        self,
        wishes: Sequence[Wish],
        *,
        forced: bool = False,
        at_once: bool = False,
        wait: timedelta | None = None,
        held: Collection[str] = (),
    ) -> FollowerReport:
        """Issue what is due and authorized, deploy what is behind.

        `at_once` tries again what failed before its pause is over (a person asked); `forced` does so too, and issues
        also what is not due; `wait` orders again, at growing intervals, until nothing waits any more or the time is over.
        Without any of them, what waits for the master is asked for only when `order_flow.next_look` says so. The labels in
        `held` are not ordered, only deployed.
        """
        at_once = at_once or forced
        look = at_once or wait is not None
        self._clock.review()
        try:
            results = {w.spec.label: self._held(w) for w in wishes if w.spec.label in held}
            others = [w for w in wishes if w.spec.label not in held]
            results |= {w.spec.label: self._serve(w, forced=forced, at_once=at_once, look=look) for w in others}
            if wait is not None:
                self._await(others, results, wait, forced=forced)
            deployed = self._deploy(wishes, results, at_once=at_once)
            return FollowerReport(deployed, self._counts(), self._offset())
        finally:
            for session in self._sessions.values():
                session.close()

    def _held(self, wish: Wish) -> CertificateResult:
        status = self.status(wish)
        return CertificateResult(wish.spec.label, None, None, status.installed, status.running_out)

    def _serve(self, wish: Wish, *, forced: bool, at_once: bool, look: bool) -> CertificateResult:
        try:
            status = self.status(wish, forced=forced)
            if isinstance(status.decision, NotDue):
                self._adopt(wish.spec, status.installed)
                return CertificateResult(wish.spec.label, status.decision, None, status.installed, running_out=False)
            if status.next_look_at is not None and not look:
                waiting = self._still_waiting(wish.spec, status.next_look_at)
                due = status.decision.reason
                return CertificateResult(wish.spec.label, waiting, due, status.installed, status.running_out)
            return self._issue(wish, status, status.decision, forced=forced, at_once=at_once)
        except AcmectlError as error:
            failed = Failed(error.message, error.hint, None)
            return CertificateResult(wish.spec.label, failed, None, None, running_out=False)

    def _adopt(self, spec: CertificateSpec, installed: Installed | None) -> None:
        """Where it is not known what was asked for (the state database was lost), what is wanted now is compared with from now on."""
        if installed is not None and self._memory.issuance(installed) is None:
            self._memory.save_issuance(
                Issuance(
                    spec.label,
                    installed.generation,
                    installed.fingerprint,
                    self._directory_url,
                    spec.profile,
                    spec.names,
                )
            )

    def _still_waiting(self, spec: CertificateSpec, next_look_at: datetime) -> Waiting:
        """What the CA said when it was last asked."""
        from acmectl.follower.issuing import Waiting

        order = self._memory.follower_order(spec.label)
        assert order is not None  # noqa: S101  # the next look comes from it
        since = order.waiting_since or order.first_seen_at
        names = tuple(sorted(order.missing))
        return Waiting(names, since, order.account_url, self._directory_url, next_look_at=next_look_at)

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
        if (limited := self._limited.get(wish.spec.account)) is not None:
            return self._failed(label, limited, failure, at=limited.at)
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
                directory_url=self._directory_url,
                grace=self._settings.grace,
            )
            outcome = issuer.issue()
        except AcmectlError as error:
            if isinstance(error, RateLimited) and _is_about_account(error, wish.spec):
                limited = self._limited[wish.spec.account] = _AccountLimited(error, wish.spec.account, self._clock())
                return self._failed(label, limited, failure, at=limited.at)
            return self._failed(label, error, failure, at=self._clock())
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

    def _failed(self, label: str, error: AcmectlError, previous: Failure | None, *, at: datetime) -> Failed:
        if not isinstance(error, CAError):  # a person mends this, and the next run is to go on at once
            self._event(label, "failed", error.message)
            return Failed(error.message, error.hint, None)
        failure = self._failure(label, error, previous, at)
        self._memory.save_failure(failure)
        self._event(label, "failed", error.message)
        return Failed(error.message, error.hint, failure.retry_at, unreachable=isinstance(error, CAUnreachable))

    def _failure(self, label: str, error: CAError, previous: Failure | None, now: datetime) -> Failure:
        reason = error.message
        if isinstance(error, CAUnreachable):
            return backoff.outage(
                previous, kind="certificate", key=label, reason=reason, now=now, retry_after=error.retry_after
            )
        retry_after = error.retry_after if isinstance(error, CARefused) else None
        return backoff.failed(
            previous,
            kind="certificate",
            key=label,
            reason=reason,
            now=now,
            retry_after=retry_after,
            paused=isinstance(error, RateLimited) and retry_after is None and not isinstance(error, _AccountLimited),
        )

    def _await(
        self, wishes: Sequence[Wish], results: dict[str, CertificateResult], wait: timedelta, *, forced: bool
    ) -> None:
        from acmectl.follower.issuing import Waiting

        until, interval = self._clock() + wait, FIRST_WAIT
        while True:
            outcomes = {w: results[w.spec.label].outcome for w in wishes}
            waiting = [
                w
                for w, o in outcomes.items()
                if isinstance(o, Waiting) or (isinstance(o, Failed) and _is_worth_waiting_for(o, until))
            ]
            left = (until - self._clock()).total_seconds()
            if not waiting or left <= 0:
                return
            self._pause(min(interval, left))
            interval = min(2 * interval, LONGEST_WAIT)
            at_once = {w for w in waiting if getattr(outcomes[w], "attempted", True)}
            results |= {w.spec.label: self._serve(w, forced=forced, at_once=w in at_once, look=True) for w in waiting}

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
                done += deployer.add(installed, directory, wish.targets, forced=at_once)
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


def _is_worth_waiting_for(failed: Failed, until: datetime) -> bool:
    """Whether the CA was away just now, or an earlier failure's pause ends in the time that `--wait` has."""
    return failed.unreachable or (not failed.attempted and failed.retry_at is not None and failed.retry_at < until)


def _is_about_account(error: RateLimited, spec: CertificateSpec) -> bool:
    """Whether a limit ends all orders of the account: it says so, and names none of ours (a paused name's 429 does both)."""
    detail = error.problem.detail
    return "account" in detail and not any(name.value.removeprefix("*.") in detail for name in spec.names)
