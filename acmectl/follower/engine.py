"""A follower's run: which certificates are due, issue those whose names are authorized, deploy what is behind.

Nothing due means no request at all, but for the question about twice a day when the CA wants certificates renewed, and none of the
heavy libraries is even imported. One failing certificate never stops
the others.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from acmectl.errors import AcmectlError
from acmectl.follower import waiting
from acmectl.follower.advice import Advice
from acmectl.follower.attempts import Attempts
from acmectl.follower.awaiting import Awaiting
from acmectl.follower.handing_out import HandingOut
from acmectl.follower.key_holding import KeyHolding
from acmectl.follower.key_publishing import KeyNews, KeyPublishing
from acmectl.follower.means import Means, Sessions
from acmectl.follower.onchange import OF_ALL, Once
from acmectl.follower.outcomes import Issued
from acmectl.follower.results import CertificateResult, FollowerReport, Settings, Wish
from acmectl.follower.serving import Serving
from acmectl.follower.standing import CertificateStatus, Standing
from acmectl.follower.targets import DeployResult, last_of_each

if TYPE_CHECKING:
    from acmectl.ca.session import Session
    from acmectl.deploy.tlsa.publisher import Publisher
    from acmectl.follower.examining import CertificateView
    from acmectl.follower.revoking import Revoked, Target
    from acmectl.follower.rolling_back import RolledBack
    from acmectl.follower.settling import Unsettled
    from acmectl.keys import PrivateKey
    from acmectl.model.certificates import Installed
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
        attempts = Attempts(self._means, self._standing, self._advice, self._publishing)
        self._serving = Serving(self._means, self._standing, attempts, account_profile)
        self._awaiting = Awaiting(self._means, self._serving, self._publishing)
        self._handing_out = HandingOut(self._means)

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

    def unsettled(self, wishes: Sequence[Wish]) -> tuple[Unsettled, ...]:
        """What a run would begin with at places of none of the targets of `wishes`, whose `status` tells the rest; asks nobody."""
        return waiting.elsewhere(self._means, wishes)

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
            results = {w.spec.label: self._serving.held(w) for w in wishes if w.spec.label in held}
            others = [w for w in wishes if w.spec.label not in held]
            results |= {w.spec.label: self._serving.serve(w, forced=forced, at_once=at_once, look=look) for w in others}
            deployed = self._hand_out(wishes, results, at_once=at_once)
            if wait is not None and self._awaiting.order_again(others, results, wait, forced=forced):
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
