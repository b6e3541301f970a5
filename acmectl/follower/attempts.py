"""One attempt to issue a certificate, and what is remembered of it when it fails.

A failure is remembered with the moment of the next attempt, and leaves the other certificates alone; only where the CA limits the
account as a whole are the others of this run not even sent.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from acmectl.errors import AcmectlError, CAError, CARefused, CAUnreachable, RateLimited
from acmectl.follower.outcomes import Issued, KeyNotAccepted, KeyWaits, Waiting
from acmectl.follower.results import Failed, Wish
from acmectl.policy import backoff
from acmectl.policy.renewal import NotDue

if TYPE_CHECKING:
    from acmectl.ca.session import Session
    from acmectl.follower.advice import Advice
    from acmectl.follower.key_publishing import KeyPublishing
    from acmectl.follower.means import Means
    from acmectl.follower.standing import Standing
    from acmectl.model.certificates import CertificateSpec
    from acmectl.model.memory import Failure

_NOTICEABLE = timedelta(minutes=1)  # of difference between two clocks


class _AccountLimited(RateLimited):
    """No order of the account has a chance at the moment: the others of this run are not even sent."""

    def __init__(self, refusal: RateLimited, account: str, at: datetime) -> None:
        doing = f"orders of the account `{account}`"
        super().__init__(refusal.problem, doing=doing, hint=refusal.hint, retry_after=refusal.retry_after)
        self.at = at


class Attempts:
    """The attempts of one run."""

    def __init__(self, means: Means, standing: Standing, advice: Advice, publishing: KeyPublishing) -> None:
        """`standing` judges again where the CA's clock turns out to be another one than ours; `publishing` looks at published keys."""
        self._means = means
        self._advice = advice
        self._standing = standing
        self._publishing = publishing
        self._limited: dict[str, _AccountLimited] = {}

    def make(
        self, wish: Wish, failure: Failure | None, *, forced: bool
    ) -> Issued | Waiting | KeyWaits | Failed | NotDue:
        """Issue, or say what it waits for, or why it failed; `failure` is the one before."""
        label = wish.spec.label
        if (limited := self._limited.get(wish.spec.account)) is not None:
            return self._failed(label, limited, failure, at=limited.at)
        try:
            outcome = self._issue(wish, forced=forced)
        except KeyNotAccepted as error:
            if error.until is None:
                return self._failed(label, error, failure, at=self._means.clock())
            self._means.log(label, "waiting", error.message)
            return KeyWaits(error.message, error.until)
        except AcmectlError as error:
            now = self._means.clock()
            if isinstance(error, RateLimited) and _is_about_account(error, wish.spec):
                error = self._limited[wish.spec.account] = _AccountLimited(error, wish.spec.account, now)
            return self._failed(label, error, failure, at=now)
        if not isinstance(outcome, NotDue):
            self._settle(label, outcome)
        return outcome

    def _issue(self, wish: Wish, *, forced: bool) -> Issued | Waiting | NotDue:
        from acmectl.follower.issuing import Issuer

        means = self._means
        session = means.sessions.of(wish.spec.account)
        was_wrong = self._was_wrong_about_time(session)
        self._publishing.look_before_use(wish, again=was_wrong)
        if was_wrong:
            decision = self._standing.status(wish, forced=forced).decision
            if isinstance(decision, NotDue):
                return decision
        issuer = Issuer(
            wish.spec,
            session=session,
            certificates=means.certificates,
            memory=means.memory,
            clock=means.clock,
            pause=means.pause,
            directory_url=means.directory_url,
            grace=means.settings.grace,
            replaces=self._advice.replaced_id(session, wish.spec),
        )
        return issuer.issue()

    def _settle(self, label: str, outcome: Issued | Waiting) -> None:
        self._means.memory.clear_failure("certificate", label)
        if isinstance(outcome, Issued):
            issued = outcome.installed
            self._advice.expect(issued)
            self._means.memory.forget_parsed(label, self._means.revocations.archive(label, in_use=issued.generation))
            self._means.certificates.prune(label, self._means.settings.keep_generations)
            self._means.log(label, "issued", f"generation {issued.generation}, serial {issued.serial}")
        else:
            self._means.log(label, "waiting", ", ".join(map(str, outcome.names)))

    def _was_wrong_about_time(self, session: Session) -> bool:
        """Learn the CA's time before anything is asked for; whether it is another one than the decision was made by."""
        before = self._means.clock()
        session.directory  # noqa: B018  # the first answer brings the CA's time
        self._means.clock.learn(session.clock_offset)
        return abs(self._means.clock() - before) > _NOTICEABLE

    def _failed(self, label: str, error: AcmectlError, previous: Failure | None, *, at: datetime) -> Failed:
        if not isinstance(error, CAError):  # a person mends this, and the next run is to go on at once
            self._means.log(label, "failed", error.message)
            return Failed(error.message, error.hint, None)
        failure = _failure(label, error, previous, at)
        self._means.memory.save_failure(failure)
        self._means.log(label, "failed", error.message)
        return Failed(error.message, error.hint, failure.retry_at, unreachable=isinstance(error, CAUnreachable))


def _failure(label: str, error: CAError, previous: Failure | None, now: datetime) -> Failure:
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


def _is_about_account(error: RateLimited, spec: CertificateSpec) -> bool:
    """Whether a limit ends all orders of the account: it says so, and names none of ours (a paused name's 429 does both)."""
    detail = error.problem.detail
    return "account" in detail and not any(name.value.removeprefix("*.") in detail for name in spec.names)
