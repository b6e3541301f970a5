"""One certificate in one run: whether it is to be ordered now, and what came of it.

Whatever is wrong with one is a result of its own, so that the others are served nevertheless.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from acmectl.errors import AcmectlError
from acmectl.follower.outcomes import Issued, Waiting
from acmectl.follower.results import CertificateResult, Failed, Wish
from acmectl.follower.shared_waiting import SharedWaiting
from acmectl.model.certificates import Issuance
from acmectl.policy import backoff
from acmectl.policy.renewal import Due, NotDue

if TYPE_CHECKING:
    from acmectl.follower.attempts import Attempts
    from acmectl.follower.means import Means
    from acmectl.follower.standing import CertificateStatus, Standing
    from acmectl.model.certificates import CertificateSpec, Installed


class Serving:
    """Serves certificates one by one; one instance serves one run."""

    def __init__(
        self, means: Means, standing: Standing, attempts: Attempts, account_profile: Callable[[str], str | None]
    ) -> None:
        """`account_profile` tells the profile under which an account was registered or exported, where that is known."""
        self._means = means
        self._standing = standing
        self._attempts = attempts
        self._account_profile = account_profile
        self._kinds = SharedWaiting(means.memory)

    def serve(self, wish: Wish, *, forced: bool, at_once: bool, look: bool) -> CertificateResult:
        """Order it if it is due, and nothing says to leave it alone; with `look` also where the CA was asked a short while ago."""
        result = self._serve_one(wish, forced=forced, at_once=at_once, look=look)
        if isinstance(result.outcome, Waiting):
            profile = self._account_profile(wish.spec.account)
            result = replace(result, outcome=replace(result.outcome, account_profile=profile))
        self._kinds.note(wish.spec, result.outcome)
        return result

    def _serve_one(self, wish: Wish, *, forced: bool, at_once: bool, look: bool) -> CertificateResult:
        try:
            status = self._standing.status(wish, forced=forced)
            if status.key_error is not None:
                failed = Failed(status.key_error.message, status.key_error.hint, None)
                return CertificateResult(wish.spec.label, failed, None, status.installed, running_out=False)
            if isinstance(status.decision, NotDue):
                self._keep_prepared(wish.spec)
                self._adopt(wish.spec, status.installed)
                return CertificateResult(wish.spec.label, status.decision, None, status.installed, running_out=False)
            if status.next_look_at is not None and not look:
                waiting = self._still_waiting(wish.spec, status.next_look_at)
                due = status.decision.reason
                return CertificateResult(wish.spec.label, waiting, due, status.installed, status.running_out)
            if (shared := self._kinds.waits_with(wish.spec)) is not None:
                running_out = self._standing.is_running_out(status.installed, shared.since)
                return CertificateResult(wish.spec.label, shared, status.decision.reason, status.installed, running_out)
            return self._issue(wish, status, status.decision, forced=forced, at_once=at_once)
        except AcmectlError as error:
            failed = Failed(error.message, error.hint, None)
            return CertificateResult(wish.spec.label, failed, None, None, running_out=False)

    def _keep_prepared(self, spec: CertificateSpec) -> None:
        """See to the key for the next key change, where one is wanted."""
        if spec.prepare_key:
            from acmectl.follower import key_making

            key_making.keep_prepared(self._means.certificates, spec)

    def _adopt(self, spec: CertificateSpec, installed: Installed | None) -> None:
        """Where it is not known what was asked for (the state database was lost), what is wanted now is compared with from now on."""
        memory = self._means.memory
        if installed is not None and memory.issuance(installed) is None:
            asked = (self._means.directory_url, spec.profile, spec.names)
            memory.save_issuance(Issuance(spec.label, installed.generation, installed.fingerprint, *asked))

    def _still_waiting(self, spec: CertificateSpec, next_look_at: datetime) -> Waiting:
        """What the CA said when it was last asked."""
        order = self._means.memory.follower_order(spec.label)
        assert order is not None  # noqa: S101  # the next look comes from it
        since = order.waiting_since or order.first_seen_at
        return Waiting(
            tuple(sorted(order.missing)),
            since,
            order.account_url,
            self._means.directory_url,
            next_look_at=next_look_at,
            profile=order.profile,
        )

    def _issue(
        self, wish: Wish, status: CertificateStatus, due: Due, *, forced: bool, at_once: bool
    ) -> CertificateResult:
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

    def held(self, wish: Wish) -> CertificateResult:
        """How one stands that is not to be ordered."""
        status = self._standing.status(wish)
        return CertificateResult(wish.spec.label, None, None, status.installed, status.running_out)
