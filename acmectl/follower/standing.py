"""How each certificate stands, from what is remembered and what lies on the disk; nobody is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from acmectl.errors import AcmectlError, KeyMaterialError, StorageError
from acmectl.follower import announcing, onchange, targets, waiting
from acmectl.model.orders import AuthorizationStatus
from acmectl.policy import health, key_choice, order_flow, renewal, tlsa
from acmectl.policy.health import ExitStatus
from acmectl.policy.key_choice import KeyChange, KeysAtHand
from acmectl.policy.renewal import Due, NotDue

if TYPE_CHECKING:
    from acmectl.follower.announcing import Announced
    from acmectl.follower.means import Means
    from acmectl.follower.results import Wish
    from acmectl.follower.targets import Wait
    from acmectl.model.certificates import CertificateSpec, ImposedKey, Installed
    from acmectl.model.memory import Deployment, Failure, RememberedOrder
    from acmectl.model.tlsa import PublishedKeys


@dataclass(frozen=True, slots=True)
class CertificateStatus:
    """What is remembered of one certificate, without asking anybody.

    `behind` are targets that do not hold it, `changed` those of them that did, until somebody changed their files, `waits` says
    what they wait for, where nothing failed, and what killed runs left in the places of whatever target; `next_look_at` is when a plain run will ask the CA again, None for at once.
    `key_error` says why the key or CSR that a person gave it cannot be used, `account_error` why its account cannot: then a run
    fails once the certificate is due. `announced` are the TLSA records of its keys, as far as they are known; `published_error` says why
    what is known of them cannot be read, so that no key may change. `key_ready_at` is when the key can be used that a new certificate
    waits for, where that is all.
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
    key_error: AcmectlError | None = None
    account_error: AcmectlError | None = None
    announced: tuple[Announced, ...] = ()
    changed: frozenset[str] = frozenset()
    published_error: AcmectlError | None = None
    key_ready_at: datetime | None = None
    waits: Mapping[str, Wait] = field(default_factory=dict)

    def health(self, now: datetime) -> ExitStatus:
        """What monitoring should make of it."""
        if self.key_error is not None or (self.account_error is not None and isinstance(self.decision, Due)):
            return ExitStatus.RUNNING_OUT if self.running_out else ExitStatus.FAILED
        return health.of_certificate(
            self.installed,
            self.failure,
            [name for name in self.behind if name not in self.waits],
            waiting=(self.waiting_since is not None or self.key_ready_at is not None) and self.damage is None,
            running_out=self.running_out,
            now=now,
            damaged=self.published_error is not None or any(wait.is_failure for wait in self.waits.values()),
        )


class Standing:
    """Judges certificates by the policy."""

    def __init__(self, means: Means) -> None:
        """Whatever a follower has."""
        self._means = means

    def status(self, wish: Wish, *, forced: bool = False) -> CertificateStatus:
        """How one certificate stands, and whether a run would issue it now. Raises StorageError."""
        means, label = self._means, wish.spec.label
        damage = means.certificates.damage(label)
        installed = means.certificates.current(label) if damage is None else None
        imposed, key_error = self._imposed(wish.spec)
        decision = self._decision(wish.spec, installed, damage, imposed, forced=forced)
        order = means.memory.follower_order(label)
        failure = means.memory.failures("certificate").get(label)
        since = (order.waiting_since if order else None) or (failure.first_at if failure else None)
        behind = self._behind(wish, installed) if installed else ()
        deployments = self._deployments(wish)
        return CertificateStatus(
            spec=wish.spec,
            installed=installed,
            damage=damage,
            decision=decision,
            waiting_since=order.waiting_since if order else None,
            failure=failure,
            behind=behind,
            changed=self._changed(wish, installed) if installed and behind else frozenset(),
            deployments=deployments,
            running_out=isinstance(decision, Due) and self.is_running_out(installed, since),
            next_look_at=None if forced or order is None else self._next_look_at(wish.spec, order),
            key_error=key_error,
            account_error=means.account_error(wish.spec.account),
            announced=self._announced(wish) if key_error is None else (),
            published_error=self._published_error(wish.spec),
            key_ready_at=self._key_ready_at(wish.spec) if key_error is None else None,
            waits=waiting.waits(means, wish, installed, behind, {d.target for d in deployments if d.error is not None}),
        )

    def _key_ready_at(self, spec: CertificateSpec) -> datetime | None:
        if not spec.pinned:
            return None
        keys = self._means.certificates.keys
        try:
            at_hand = keys.at_hand(spec)
        except (KeyMaterialError, StorageError):  # told where it is used
            return None
        pin, known = key_choice.waits(at_hand), keys.published.known(spec.label)
        return tlsa.ready_at(pin, known, follows=at_hand.serving is not None) if pin is not None else None

    def _published_error(self, spec: CertificateSpec) -> AcmectlError | None:
        if spec.pinned:
            try:
                self._means.certificates.keys.published.load(spec.label)
            except StorageError as error:
                return error
        return None

    def _announced(self, wish: Wish) -> tuple[Announced, ...]:
        """The records of its keys, as far as they are known, where it has any."""
        publishers = self._means.publishers
        if wish.spec.configured_label not in publishers:
            return ()
        try:
            return announcing.announced(
                self._means.certificates, self._means.memory, publishers, [wish], self._means.clock()
            )
        except (KeyMaterialError, StorageError):  # told where it is used
            return ()

    def _deployments(self, wish: Wish) -> tuple[Deployment, ...]:
        """What is known of its targets and commands; of one that is not configured any more, of the targets that it had."""
        memory, label = self._means.memory, wish.spec.label
        found, present = memory.deployments(label), {placed.name for placed in wish.targets}
        if not (wish.targets or wish.onchange):
            return tuple(d for d in found if not onchange.is_key(d.target))
        commands = onchange.remembered(memory, label, wish.onchange)
        return (*(d for d in found if d.target in present), *commands.values())

    def _changed(self, wish: Wish, installed: Installed) -> frozenset[str]:
        last = targets.known(self._means.memory, installed.label) if wish.targets else {}
        return frozenset(p.name for p in wish.targets if targets.changed(last.get(p.name), p, installed))

    def _behind(self, wish: Wish, installed: Installed) -> tuple[str, ...]:
        memory = self._means.memory
        found = targets.behind(memory, installed, wish.targets)
        found += onchange.missing(memory, installed, wish.onchange)
        return tuple(placed.name for placed, _ in found)

    def is_running_out(self, installed: Installed | None, since: datetime | None) -> bool:
        """Whether a certificate that waits, or fails, since `since` has waited too long."""
        settings = self._means.settings
        return health.is_running_out(
            installed,
            since,
            now=self._means.clock(),
            alarm_at=settings.alarm_at,
            no_certificate_alarm=settings.no_certificate_alarm,
        )

    def _imposed(self, spec: CertificateSpec) -> tuple[ImposedKey | None, AcmectlError | None]:
        """The key that the certificate must have; one that cannot be used is told with the certificate, and stops no other."""
        try:
            return self._means.certificates.keys.imposed(spec), None
        except (KeyMaterialError, StorageError) as error:
            return None, error

    def _decision(
        self,
        spec: CertificateSpec,
        installed: Installed | None,
        damage: str | None,
        imposed: ImposedKey | None,
        *,
        forced: bool,
    ) -> Due | NotDue:
        memory = self._means.memory
        return renewal.due(
            spec,
            installed,
            damage,
            now=self._means.clock(),
            directory_url=self._means.directory_url,
            issuance=memory.issuance(installed) if installed else None,
            imposed=imposed,
            advice=memory.renewal_info(spec.label),
            rollback=memory.rollback(spec.label),
            revocation=self._means.revocations.of(spec.label, installed.generation) if installed else None,
            distrusted=self._means.certificates.keys.distrusted(),
            key_change=self._key_change(spec),
            forced=forced,
        )

    def _key_change(self, spec: CertificateSpec) -> KeyChange | None:
        """Whether another key was asked for, and what it waits for where keys are published."""
        keys = self._means.certificates.keys
        known = keys.published.known(spec.label)
        if known.left is None and not spec.pinned:
            return None
        try:
            at_hand = keys.at_hand(spec)
        except (KeyMaterialError, StorageError):  # told as the error of an imposed key
            return None
        return KeyChange(key_choice.is_left(at_hand), _waits_for(at_hand, known))

    def _next_look_at(self, spec: CertificateSpec, order: RememberedOrder) -> datetime | None:
        """When to ask the CA again for an order that waits; None for at once."""
        now = self._means.clock()
        if order_flow.first_step(order, spec) is not order_flow.Step.ORDER or order_flow.may_look(order, now):
            return None
        proven = {  # by this host itself, in the meantime
            a.identifier
            for a in self._means.memory.authorizations(spec.account)
            if a.status is AuthorizationStatus.VALID and a.expires_at is not None and a.expires_at > now
        }
        return None if order.missing and order.missing <= proven else order.next_look_at


def _waits_for(at_hand: KeysAtHand, known: PublishedKeys) -> str | None:
    """What the key after the one in use waits for, in words; None where it can be used."""
    following = at_hand.following
    if at_hand.usable is None or (following is not None and at_hand.is_accepted(following)):
        return None
    if following is None:
        return "the next key is not made yet"
    return tlsa.wait_for(following, known, follows=at_hand.serving is not None)
