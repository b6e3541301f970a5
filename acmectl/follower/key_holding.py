"""Targets that keep what they have for now, because validating clients would turn away from the key of the certificate in use.

A key is issued for only once clients accept it. It can still be one that a service must not get yet: the service moved here from
another certificate, a backup of the state was restored, or somebody took the record away. What holds a target is what it presents: a certificate that is
good, with another key that clients may accept. Where it presents nothing, something expired, a key that was revoked as compromised, or one
that clients turn away from as well, nothing is won by waiting. While nobody can see what the zone speaks of, services keep what they have.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from acmectl.deploy.presented import Presented, presented
from acmectl.errors import StorageError
from acmectl.follower.key_publishing import KeyNews
from acmectl.follower.targets import Placed, behind, known
from acmectl.model.tlsa import Publication
from acmectl.policy import tlsa
from acmectl.policy.tlsa_keeping import is_worth_keeping

if TYPE_CHECKING:
    from acmectl.follower.key_publishing import KeyPublishing
    from acmectl.follower.means import Means
    from acmectl.follower.results import Wish
    from acmectl.model.certificates import Installed
    from acmectl.model.memory import Deployment


class KeyHolding:
    """Says which targets keep what they have; one instance serves one run."""

    def __init__(self, means: Means, publishing: KeyPublishing) -> None:
        """`publishing` looks at the zone."""
        self._means = means
        self._publishing = publishing
        self.holds = False
        """Whether any target was held so far."""

    def held(
        self, wish: Wish, installed: Installed, *, again: Collection[str] = (), only: bool = False
    ) -> frozenset[str]:
        """The targets that must not get `installed` yet, of those that are behind (unless `only`) or named in `again`.

        Asks the name servers if there may be any.
        """
        spec = wish.spec
        publisher = self._means.publishers.get(spec.configured_label)
        if publisher is None or not spec.pinned:
            return frozenset()
        missing = () if only else behind(self._means.memory, installed, wish.targets)
        chosen = {placed.name for placed, _ in missing}.union(again)
        others = self._with_another_key(installed, [placed for placed in wish.targets if placed.name in chosen])
        if not others:
            return frozenset()
        self._publishing.look_before_deploying([wish])
        looked, now = self._publishing.looked(spec.label), self._means.clock()
        others = {
            name: one
            for name, one in others.items()
            if is_worth_keeping(one.spki, installed.spki, looked, publisher.owners, now)
        }
        if not others:
            return frozenset()
        self.holds = True
        spoken_of = frozenset(one.spki for one in others.values() if looked.speaks_of(one.spki, publisher.owners))
        self._keep_published(spec.label, publisher.owners, spoken_of)
        waits_for = tlsa.wait_for(installed.spki, looked.known, follows=False)
        self._tell(wish, others, waits_for, by_hand=not publisher.may_update)
        return frozenset(others)

    def _tell(self, wish: Wish, names: Collection[str], waits_for: str, *, by_hand: bool) -> None:
        listed = ", ".join(f"`{name}`" for name in names)
        text = f"{listed} must wait for its key, from which clients would turn away: {waits_for}"
        hint = "a run after that deploys it"
        if by_hand:
            hint += f"; `acmectl cert tlsa {wish.spec.configured_label}` prints what the zone needs"
        self._publishing.tell(KeyNews(wish.spec.label, text, hint, is_urgent=True))

    def _with_another_key(self, installed: Installed, targets: Iterable[Placed]) -> Mapping[str, Presented]:
        """What those of the targets present that have another key, which clients may accept."""
        last = known(self._means.memory, installed.label)
        distrusted, now = self._means.certificates.keys.distrusted(), self._means.clock()
        found = {placed.name: self._presented(placed, last.get(placed.name), installed) for placed in targets}
        return {
            name: one
            for name, one in found.items()
            if one is not None
            and one.spki not in {installed.spki, *distrusted}
            and (one.not_after is None or one.not_after > now)
        }

    def _presented(self, placed: Placed, last: Deployment | None, following: Installed) -> Presented | None:
        """Of a command nobody knows more than for which certificate it was run last; if not even that, it is run."""
        if placed.target.copies:
            return presented(placed.target, brings_key=following.has_key)
        if last is None or last.error is not None:
            return None
        former = self._means.certificates.installed(last.label, last.generation)
        if former is None or former.fingerprint != last.fingerprint:
            return None
        return Presented(former.spki, former.not_after)

    def _keep_published(self, label: str, owners: Collection[str], pins: frozenset[str]) -> None:
        """The keys that are presented are former ones that a target still serves: nobody here takes their records away."""
        published = self._means.certificates.keys.published
        try:
            before = published.load(label)
            pairs = ((owner, pin) for owner in owners for pin in pins)
            new = tuple(Publication(*pair) for pair in pairs if before.find(*pair) is None)
            if new:
                published.save(label, replace(before, publications=(*before.publications, *new)))
        except StorageError as error:
            self._publishing.tell(KeyNews(label, error.message, error.hint, is_error=True))
