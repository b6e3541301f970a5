"""Targets that keep what they have for now, because validating clients would turn away from the key of the certificate in use.

A key is issued for only once clients accept it. It can still be one that a service must not get yet: the service moved here from
another certificate, a backup of the state was restored, or somebody took the record away. What holds a target is what it presents: a certificate that is
good, with another key that clients may accept. Where it presents nothing, something expired, a key that was revoked as compromised, or one
that clients turn away from as well, nothing is won by waiting. While nobody can see what the zone speaks of, services keep what clients
plausibly accept: a certificate of a CA, or one with a key that this host has published; not one that somebody made up.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING

from acmectl.errors import StorageError
from acmectl.follower.key_publishing import KeyNews
from acmectl.follower.presenting import with_another_key
from acmectl.follower.targets import behind
from acmectl.model.tlsa import Publication
from acmectl.policy import tlsa
from acmectl.policy.tlsa_keeping import is_worth_keeping

if TYPE_CHECKING:
    from acmectl.follower.key_publishing import KeyPublishing
    from acmectl.follower.means import Means
    from acmectl.follower.results import Wish
    from acmectl.model.certificates import Installed


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
        others = with_another_key(self._means, installed, wish.targets) if chosen else {}
        others = {name: one for name, one in others.items() if name in chosen}
        if not others:
            return frozenset()
        self._publishing.look_before_deploying([wish])
        looked, owners, ours = self._publishing.looked(spec.label), publisher.owners, self._ours()
        others = {
            name: one
            for name, one in others.items()
            if is_worth_keeping(
                one.spki, installed.spki, looked, owners, is_plausible=not one.is_self_issued or one.spki in ours
            )
        }
        if not others:
            return frozenset()
        self.holds = True
        presented = {one.spki for one in others.values()}
        unseen = ours if any(owner not in looked.sets for owner in owners) else frozenset()
        kept = frozenset(pin for pin in presented if pin in unseen or looked.speaks_of(pin, owners))
        self._keep_published(spec.label, owners, kept)
        waits_for = tlsa.wait_for(installed.spki, looked.known, follows=False)
        is_error = tlsa.ready_at(installed.spki, looked.known, follows=False) is None
        self._tell(wish, others, waits_for, by_hand=not publisher.may_update, is_error=is_error)
        return frozenset(others)

    def _ours(self) -> frozenset[str]:
        """The keys that this host has published, of whatever certificate: clients may accept them where nobody can look."""
        certificates = self._means.certificates
        known = (certificates.keys.published.known(label) for label in certificates.labels())
        return frozenset(publication.spki for one in known for publication in one.publications)

    def _tell(self, wish: Wish, names: Collection[str], waits_for: str, *, by_hand: bool, is_error: bool) -> None:
        """A failure, as for a key that waits to be issued for, where the zone as it is will never make clients accept it."""
        listed = ", ".join(f"`{name}`" for name in names)
        text = f"{listed} must wait for its key, from which clients would turn away: {waits_for}"
        hint = "a run after that deploys it"
        if by_hand:
            hint += f"; `acmectl cert tlsa {wish.spec.configured_label}` prints what the zone needs"
        self._publishing.tell(KeyNews(wish.spec.label, text, hint, is_error=is_error, is_urgent=True))

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
