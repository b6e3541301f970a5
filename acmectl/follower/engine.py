"""A follower's run: which certificates are due, issue those whose names are authorized, deploy what is behind.

Nothing due means no request at all, and none of the heavy libraries is even imported. One failing certificate never stops
the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from acmectl.errors import AcmectlError
from acmectl.follower.advice import Advice
from acmectl.follower.attempts import Attempts
from acmectl.follower.deploying import Deployer, DeployResult
from acmectl.follower.means import Means, Sessions
from acmectl.follower.results import CertificateResult, Failed, FollowerReport, Settings, Wish
from acmectl.follower.standing import CertificateStatus, Standing
from acmectl.policy import backoff
from acmectl.policy.renewal import Due, NotDue

if TYPE_CHECKING:
    from acmectl.ca.session import Session
    from acmectl.follower.issuing import Waiting
    from acmectl.model.certificates import CertificateSpec
    from acmectl.storage.certificates import Certificates
    from acmectl.storage.clock import CAClock
    from acmectl.storage.memory import Memory
    from acmectl.storage.revocations import Revocations

FIRST_WAIT = 5.0  # seconds between two newOrders of `--wait`, doubled each time
LONGEST_WAIT = 120.0


class Follower:
    """Issues and deploys the certificates of this host; one instance serves one run."""

    def __init__(
        self,
        *,
        connect: Callable[[str], Session],
        certificates: Certificates,
        revocations: Revocations,
        memory: Memory,
        clock: CAClock,
        pause: Callable[[float], None],
        directory_url: str,
        settings: Settings,
    ) -> None:
        """`connect` opens a session for an account by name with the CA at `directory_url`; `pause` sleeps for seconds."""
        sessions = Sessions(connect)
        self._means = Means(certificates, revocations, memory, clock, pause, directory_url, settings, sessions)
        self._standing = Standing(self._means)
        self._advice = Advice(self._means, self._standing)
        self._attempts = Attempts(self._means, self._standing, self._advice)

    def status(self, wish: Wish, *, forced: bool = False) -> CertificateStatus:
        """How one certificate stands, and whether a run would issue it now; asks nobody."""
        return self._standing.status(wish, forced=forced)

    def take_advice(self, wishes: Sequence[Wish]) -> None:
        """Ask the CA when to renew what is not due, if that was not asked for half a day; `run` does so too."""
        self._means.clock.review()
        self._advice.refresh(wishes)

    def run(
        self, wishes: Sequence[Wish], *, forced: bool = False, at_once: bool = False, wait: timedelta | None = None
    ) -> FollowerReport:
        """Issue what is due and authorized, deploy what is behind.

        `at_once` tries again what failed before its pause is over (a person asked); `forced` does so too, and issues
        also what is not due; `wait` orders again, at growing intervals, until nothing waits any more or the time is over.
        Without any of them, what waits for the master is asked for only when `order_flow.next_look` says so.
        """
        at_once = at_once or forced
        look = at_once or wait is not None
        sessions = self._means.sessions
        try:
            self.take_advice(wishes)
            results = {w.spec.label: self._serve(w, forced=forced, at_once=at_once, look=look) for w in wishes}
            if wait is not None:
                self._await(wishes, results, wait, forced=forced)
            deployed = self._deploy(wishes, results, at_once=at_once)
            return FollowerReport(deployed, sessions.counts(), sessions.clock_offset())
        finally:
            sessions.close()

    def _serve(self, wish: Wish, *, forced: bool, at_once: bool, look: bool) -> CertificateResult:
        try:
            status = self.status(wish, forced=forced)
            if isinstance(status.decision, NotDue):
                return CertificateResult(wish.spec.label, status.decision, None, status.installed, running_out=False)
            if status.next_look_at is not None and not look:
                waiting = self._still_waiting(wish.spec, status.next_look_at)
                due = status.decision.reason
                return CertificateResult(wish.spec.label, waiting, due, status.installed, status.running_out)
            return self._issue(wish, status, status.decision, forced=forced, at_once=at_once)
        except AcmectlError as error:
            failed = Failed(error.message, error.hint, None)
            return CertificateResult(wish.spec.label, failed, None, None, running_out=False)

    def _still_waiting(self, spec: CertificateSpec, next_look_at: datetime) -> Waiting:
        """What the CA said when it was last asked."""
        from acmectl.follower.issuing import Waiting

        order = self._means.memory.follower_order(spec.label)
        assert order is not None  # noqa: S101  # the next look comes from it
        since = order.waiting_since or order.first_seen_at
        names = tuple(sorted(order.missing))
        return Waiting(names, since, order.account_url, self._means.directory_url, next_look_at=next_look_at)

    def _issue(
        self, wish: Wish, status: CertificateStatus, due: Due, *, forced: bool, at_once: bool
    ) -> CertificateResult:
        from acmectl.follower.issuing import Issued, Waiting

        failure, label = status.failure, wish.spec.label
        if failure is not None and not at_once and not backoff.may_try(failure, self._means.clock()):
            left_alone = Failed(failure.reason, None, failure.retry_at, attempted=False)
            return CertificateResult(label, left_alone, due.reason, status.installed, status.running_out)
        outcome = self._attempts.make(wish, failure, forced=forced)
        if isinstance(outcome, NotDue):
            return CertificateResult(label, outcome, None, status.installed, running_out=False)
        if isinstance(outcome, Issued):
            return CertificateResult(label, outcome, due.reason, outcome.installed, running_out=False)
        since = outcome.since if isinstance(outcome, Waiting) else failure.first_at if failure else None
        running_out = self._standing.is_running_out(status.installed, since)
        return CertificateResult(label, outcome, due.reason, status.installed, running_out)

    def _await(
        self, wishes: Sequence[Wish], results: dict[str, CertificateResult], wait: timedelta, *, forced: bool
    ) -> None:
        until, interval = self._means.clock() + wait, FIRST_WAIT
        while True:
            waiting = [w for w in wishes if _is_worth_waiting(results[w.spec.label])]
            left = (until - self._means.clock()).total_seconds()
            if not waiting or left <= 0:
                return
            self._means.pause(min(interval, left))
            interval = min(2 * interval, LONGEST_WAIT)
            results |= {w.spec.label: self._serve(w, forced=forced, at_once=True, look=True) for w in waiting}

    def _deploy(
        self, wishes: Sequence[Wish], results: Mapping[str, CertificateResult], *, at_once: bool
    ) -> tuple[CertificateResult, ...]:
        deployer = Deployer(self._means.memory, self._means.clock)
        done: list[DeployResult] = []
        for wish in wishes:
            installed = results[wish.spec.label].installed
            if installed is not None:
                directory = self._means.certificates.current_directory(wish.spec.label)
                done += deployer.add(installed, directory, wish.targets, forced=at_once)
        done += deployer.run()
        for result in done:
            self._means.log(result.label, "not deployed" if result.error else "deployed", result.error or result.target)
        by_label = {label: tuple(d for d in done if d.label == label) for label in results}
        return tuple(replace(r, deployments=by_label[label]) for label, r in results.items())


def _is_worth_waiting(result: CertificateResult) -> bool:
    from acmectl.follower.issuing import Waiting

    return isinstance(result.outcome, Waiting) or (isinstance(result.outcome, Failed) and result.outcome.unreachable)
