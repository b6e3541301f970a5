"""A follower's run: which certificates are due, issue those whose names are authorized, deploy what is behind.

Nothing due means no request at all, but for the question about twice a day when the CA wants certificates renewed, and none of the
heavy libraries is even imported. One failing certificate never stops
the others.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from acmectl.errors import AcmectlError
from acmectl.follower.advice import Advice
from acmectl.follower.attempts import Attempts
from acmectl.follower.handing_out import HandingOut
from acmectl.follower.key_holding import KeyHolding
from acmectl.follower.key_publishing import KeyNews, KeyPublishing
from acmectl.follower.means import Means, Sessions
from acmectl.follower.onchange import OF_ALL, Once
from acmectl.follower.outcomes import Issued, KeyWaits, Waiting
from acmectl.follower.results import CertificateResult, Failed, FollowerReport, Settings, Wish
from acmectl.follower.shared_waiting import SharedWaiting
from acmectl.follower.standing import CertificateStatus, Standing
from acmectl.follower.targets import DeployResult, last_of_each
from acmectl.model.certificates import Issuance
from acmectl.policy import backoff, order_flow
from acmectl.policy.renewal import Due, NotDue

if TYPE_CHECKING:
    from acmectl.ca.session import Session
    from acmectl.deploy.tlsa.publisher import Publisher
    from acmectl.follower.examining import CertificateView
    from acmectl.follower.revoking import Revoked, Target
    from acmectl.follower.rolling_back import RolledBack
    from acmectl.keys import PrivateKey
    from acmectl.model.certificates import CertificateSpec, Installed
    from acmectl.model.renewals import Reason
    from acmectl.storage.certificates import Certificates
    from acmectl.storage.clock import CAClock
    from acmectl.storage.memory import Memory
    from acmectl.storage.previous_files import PreviousFiles
    from acmectl.storage.revocations import Revocations


class Follower:
    """Issues and deploys the certificates of this host; one instance serves one run."""

    def __init__(
        self,
        *,
        connect: Callable[[str], Session],
        certificates: Certificates,
        revocations: Revocations,
        previous_files: PreviousFiles,
        memory: Memory,
        clock: CAClock,
        pause: Callable[[float], None],
        directory_url: str,
        settings: Settings,
        account_profile: Callable[[str], str | None] = lambda _: None,
        account_error: Callable[[str], AcmectlError | None] = lambda _: None,
        publishers: Mapping[str, Publisher] | None = None,
        kinds: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        """`connect` opens a session for an account by name with the CA at `directory_url`; `pause` sleeps for seconds.

        `account_profile` tells the profile under which an account was registered or exported, `account_error` why it cannot be used.
        `publishers` publish the keys of certificates, by configured label; `kinds` are the labels of all kinds of each.
        """
        sessions = Sessions(connect)
        self._means = Means(
            certificates,
            revocations,
            previous_files,
            memory,
            clock,
            pause,
            directory_url,
            settings,
            sessions,
            account_error,
            publishers or {},
            kinds or {},
        )
        self._standing = Standing(self._means)
        self._advice = Advice(self._means, self._standing)
        self._publishing = KeyPublishing(self._means, self._standing)
        self._holding = KeyHolding(self._means, self._publishing)
        self._attempts = Attempts(self._means, self._standing, self._advice, self._publishing)
        self._kinds = SharedWaiting(memory)
        self._handing_out = HandingOut(self._means)
        self._account_profile = account_profile

    def status(self, wish: Wish, *, forced: bool = False) -> CertificateStatus:
        """How one certificate stands, and whether a run would issue it now; asks nobody."""
        return self._standing.status(wish, forced=forced)

    def examine(self, wish: Wish) -> CertificateView:
        """Everything that is known of one certificate; asks nobody. Raises StorageError, KeyMaterialError."""
        from acmectl.follower.examining import examine

        return examine(self._means, self.status(wish))

    def roll_back(
        self, wishes: Sequence[Wish], *, to: int | None = None, expired: bool = False
    ) -> tuple[RolledBack, ...]:
        """Put generation `to` of each into use, or the one before that in use; all, or none. `deploy` is next. Raises UsageError, StorageError.

        Where keys are published, the name servers are asked first.
        """
        from acmectl.follower.rolling_back import roll_back

        self._publishing.look(wishes)
        return roll_back(self._means, [wish.spec for wish in wishes], to=to, expired=expired)

    def revocable(self, wish: Wish, generation: int | None = None) -> Target:
        """What `revoke` would revoke: the generation in use if none is named. Raises UsageError, StorageError."""
        from acmectl.follower import revoking

        return revoking.target(self._means, wish.spec, generation)

    def revoke(
        self,
        wish: Wish,
        target: Target,
        reason: Reason,
        *,
        by_own_key: Callable[[PrivateKey], Session] | None = None,
    ) -> Revoked:
        """Revoke one certificate, by its account, or by its own key in a session that `by_own_key` opens for it.

        Raises CAError, KeyMaterialError, StorageError.
        """
        from acmectl.follower import revoking

        means, spec = self._means, wish.spec
        if by_own_key is None:
            session = means.sessions.of(spec.account)
        else:
            session = by_own_key(revoking.own_key(means, spec, target))
        try:
            return revoking.revoke(means, spec, target, reason, session=session, by_own_key=by_own_key is not None)
        finally:
            session.close()

    def deploy(
        self, wishes: Sequence[Wish], *, again: Collection[str] = (), only: bool = False
    ) -> tuple[DeployResult, ...]:
        """Deploy what is in use wherever it is behind, at once; asks no CA.

        To the targets named in `again` it is deployed in any case, and with `only` to no others; but to none whose clients would turn
        away from its key, which `key_news` tells.
        """
        unsettled = self.settle()
        in_use = {w.spec.label: self.status(w).installed for w in wishes}
        held = self._held_targets(wishes, in_use, again=again, only=only)
        return (*unsettled, *self._handing_out.deploy(wishes, in_use, at_once=True, again=again, only=only, held=held))

    def settle(self) -> tuple[DeployResult, ...]:
        """Undo what killed runs left half done in the places of targets; what could not be undone. `deploy` and `run` begin with it."""
        return self._handing_out.begin()

    @property
    def key_news(self) -> tuple[KeyNews, ...]:
        """What happened to published keys so far; `run` reports it, too."""
        return self._publishing.news

    def onchange(self, wishes: Sequence[Wish], in_use: Mapping[str, Installed | None]) -> tuple[Once, ...]:
        """How the commands stand that are run once for all certificates: `wishes`, and what of each is in use, by label."""
        return self._handing_out.once(wishes, in_use)

    @property
    def is_holding(self) -> bool:
        """Whether a service did not get its certificate so far, because clients would turn away from its key; `key_news` tells of it."""
        return self._holding.holds

    def publish_keys(self, wishes: Sequence[Wish]) -> None:
        """Have the DNS speak of keys, and find out which of them clients accept by now, which may make a certificate due; `run` does so too."""
        self._publishing.refresh(wishes)

    def ask_for_new_keys(self, wishes: Sequence[Wish]) -> None:
        """Remember that a person wants other keys in place of those in use: they are changed by the first run that may; all of them, or none.

        Raises UsageError for a certificate whose key is a person's own; StorageError, KeyMaterialError.
        """
        from acmectl.follower import key_making

        key_making.leave(self._means.certificates, [wish.spec for wish in wishes])

    def take_advice(self, wishes: Sequence[Wish]) -> None:
        """Ask the CA when to renew what is not due, if that was not asked for half a day; `run` does so too."""
        self._means.clock.review()
        self._advice.refresh(wishes)

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
        also what is not due; `wait` orders again, at growing intervals, until nothing waits any more or the time is over: what is in use
        is deployed before that, and what was issued meanwhile after it.
        Without any of them, what waits for the master is asked for only when `order_flow.next_look` says so. The labels in
        `held` are not ordered, only deployed.
        """
        at_once = at_once or forced
        look = at_once or wait is not None
        sessions = self._means.sessions
        try:
            self._means.clock.review()
            unsettled = self.settle()
            self._publishing.refresh(wishes)
            if not forced:
                self._advice.refresh(wishes)
            results = {w.spec.label: self._held(w) for w in wishes if w.spec.label in held}
            others = [w for w in wishes if w.spec.label not in held]
            results |= {w.spec.label: self._serve(w, forced=forced, at_once=at_once, look=look) for w in others}
            deployed = self._hand_out(wishes, results, at_once=at_once)
            if wait is not None and self._await(others, results, wait, forced=forced):
                deployed = last_of_each(deployed, self._hand_out(wishes, results, at_once=at_once))
            deployed = (*unsettled, *deployed)
            told = (
                replace(r, deployments=tuple(d for d in deployed if d.label == label)) for label, r in results.items()
            )
            once = tuple(d for d in deployed if d.label == OF_ALL or d.label not in results)
            return FollowerReport(tuple(told), sessions.counts(), sessions.clock_offset(), once, self._publishing.news)
        finally:
            sessions.close()

    def _hand_out(
        self, wishes: Sequence[Wish], results: Mapping[str, CertificateResult], *, at_once: bool
    ) -> tuple[DeployResult, ...]:
        """Deploy what is in use wherever it is behind; what the DNS is to say of keys follows from that."""
        in_use = {label: result.installed for label, result in results.items()}
        self._look_before_deploying([wish for wish in wishes if in_use[wish.spec.label] is not None])
        without = self._held_targets(wishes, in_use)
        deployed = self._handing_out.deploy(wishes, in_use, at_once=at_once, held=without)
        if deployed or any(isinstance(result.outcome, Issued) for result in results.values()):
            # all of them: the first records of a service have the keys of all its certificates
            self._publishing.refresh(wishes, again=True)
        return deployed

    def _look_before_deploying(self, wishes: Sequence[Wish]) -> None:
        """No target gets a published key by what was seen in an earlier run: the state may be a backup that was restored."""
        self._publishing.look_before_deploying(w for w in wishes if w.spec.pinned and self.status(w).behind)

    def _held_targets(
        self,
        wishes: Sequence[Wish],
        in_use: Mapping[str, Installed | None],
        *,
        again: Collection[str] = (),
        only: bool = False,
    ) -> Mapping[str, Collection[str]]:
        """The targets that must not get a certificate yet, because clients would turn away, by its label."""
        have = [(wish, installed) for wish in wishes if (installed := in_use[wish.spec.label]) is not None]
        return {w.spec.label: self._holding.held(w, installed, again=again, only=only) for w, installed in have}

    def _held(self, wish: Wish) -> CertificateResult:
        status = self.status(wish)
        return CertificateResult(wish.spec.label, None, None, status.installed, status.running_out)

    def _serve(self, wish: Wish, *, forced: bool, at_once: bool, look: bool) -> CertificateResult:
        result = self._serve_one(wish, forced=forced, at_once=at_once, look=look)
        if isinstance(result.outcome, Waiting):
            profile = self._account_profile(wish.spec.account)
            result = replace(result, outcome=replace(result.outcome, account_profile=profile))
        self._kinds.note(wish.spec, result.outcome)
        return result

    def _serve_one(self, wish: Wish, *, forced: bool, at_once: bool, look: bool) -> CertificateResult:
        try:
            status = self.status(wish, forced=forced)
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

    def _await(
        self, wishes: Sequence[Wish], results: dict[str, CertificateResult], wait: timedelta, *, forced: bool
    ) -> bool:
        """Order what waits again and again, until nothing does or the time is over; whether any other certificate is in use then."""
        before = {label: result.installed for label, result in results.items()}
        until = self._means.clock() + wait
        for looks in itertools.count():
            outcomes = {w: results[w.spec.label].outcome for w in wishes}
            waiting = [w for w, outcome in outcomes.items() if _is_worth_waiting_for(outcome, until)]
            left = until - self._means.clock()
            if not waiting or left <= timedelta():
                break
            sets = {(w.spec.names, w.spec.account, w.spec.profile) for w in waiting}
            self._means.pause(min(order_flow.pause_while_waiting(looks, len(sets)), left).total_seconds())
            self._publishing.refresh(waiting, again=True)
            at_once = {w for w in waiting if getattr(outcomes[w], "attempted", True)}
            results |= {w.spec.label: self._serve(w, forced=forced, at_once=w in at_once, look=True) for w in waiting}
        return before != {label: result.installed for label, result in results.items()}


def _is_worth_waiting_for(outcome: object, until: datetime) -> bool:
    """Whether it waits for the master, the CA was away just now, or what else it waits for ends in the time of `--wait`."""
    if isinstance(outcome, KeyWaits):
        return outcome.until < until
    if not isinstance(outcome, Failed):
        return isinstance(outcome, Waiting)
    return outcome.unreachable or (not outcome.attempted and outcome.retry_at is not None and outcome.retry_at < until)
