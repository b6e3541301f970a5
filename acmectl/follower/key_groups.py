"""Which certificates have their TLSA records changed together: those with services in common, however many others are in between.

Services whose records lie in one place, as CNAMEs lead there, count as one.

The first records of a service make clients strict: whose key they leave out is turned away, were it for a moment. So those of all its
certificates come in one change, which takes the same means for all of them.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from acmectl.model.certificates import title_of

if TYPE_CHECKING:
    from datetime import timedelta

    from acmectl.deploy.tlsa.publisher import Publisher
    from acmectl.errors import AcmectlError
    from acmectl.follower.results import Wish
    from acmectl.model.tlsa import PublishedKeys, TlsaRecord
    from acmectl.policy.tlsa import Keys


@dataclass(slots=True, eq=False)
class Kind:
    """One kind of a certificate while its records are looked at. `shared` are pins of keys that other hosts may have."""

    wish: Wish
    publisher: Publisher
    keys: Keys
    known: PublishedKeys
    is_due: bool
    shared: frozenset[str]

    @property
    def label(self) -> str:
        """That of the certificate."""
        return self.wish.spec.label

    @property
    def owners(self) -> tuple[str, ...]:
        """The owner names of its records."""
        return self.publisher.owners

    @property
    def is_behind(self) -> bool:
        """Whether a service may not have its key in use yet."""
        return self.keys.in_use is not None and not self.keys.deployed


@dataclass(frozen=True, slots=True)
class Waits:
    """Why the first records of an owner name wait: for certificates, by their labels. `apart` says that a person has to bring them together."""

    owner: str
    labels: tuple[str, ...]
    apart: bool

    @property
    def text(self) -> str:
        """A message."""
        titles = ", ".join(f"`{title_of(label)}`" for label in self.labels)
        return f"the first TLSA records of `{self.owner}` wait for {titles}: clients would turn away from a key that they leave out"

    @property
    def hint(self) -> str:
        """When they are published, and how."""
        if not self.apart:
            return "they are published when a run has all certificates of the service, deployed everywhere"
        return (
            "give `tlsa` of all certificates of the service the same `update`, `resolvers` and `servers`; "
            "or publish what `acmectl cert tlsa` prints of all of them by hand, in one change"
        )


@dataclass(frozen=True, slots=True)
class Group:
    """All kinds of certificates that have services in common, directly or by others in between; at least one.

    `present` are all kinds of one call by label, also those of other groups; one that cannot be read is not among them.
    `places` are where the records of owner names lie, for those that are known to lie elsewhere than at the name itself.
    """

    kinds: tuple[Kind, ...]
    present: Mapping[str, Kind]
    places: Mapping[str, str] = field(default_factory=dict)

    @property
    def publisher(self) -> Publisher:
        """Who looks, and removes: all have the same means."""
        return self.kinds[0].publisher

    @property
    def owners(self) -> tuple[str, ...]:
        """The owner names of all their records."""
        return tuple(dict.fromkeys(owner for kind in self.kinds for owner in kind.owners))

    def add(self, records: Iterable[TlsaRecord]) -> Mapping[TlsaRecord, AcmectlError]:
        """As `Publisher.add`: all records of an owner name at once, with the longest time to live that is configured for it.

        A record set has one only (RFC 2181 section 5.2).
        """
        by_ttl = {kind.publisher.ttl: kind.publisher for kind in self.kinds}
        listed: dict[timedelta, list[TlsaRecord]] = defaultdict(list)
        for record in records:
            place = _places([record.owner], self.places)
            near = (kind for kind in self.kinds if not place.isdisjoint(_places(kind.owners, self.places)))
            listed[max(kind.publisher.ttl for kind in near)].append(record)
        refused: dict[TlsaRecord, AcmectlError] = {}
        for ttl, some in listed.items():
            refused |= by_ttl[ttl].add(some)
        return refused

    def listing(
        self, owner: str, publishers: Mapping[str, Publisher], kinds: Mapping[str, Iterable[str]]
    ) -> Mapping[str, Kind | None]:
        """All kinds of the configured certificates of the service, by label; None for those of which this call knows nothing.

        `publishers` are those of all certificates by configured label, `kinds` the labels of all kinds of each.
        """
        place = _places([owner], self.places)
        configured = [o for o, p in publishers.items() if not place.isdisjoint(_places(p.owners, self.places))]
        return {kind: self.present.get(kind) for label in configured for kind in kinds.get(label, (label,))}

    def waits(
        self, owner: str, publishers: Mapping[str, Publisher], kinds: Mapping[str, Iterable[str]]
    ) -> Waits | None:
        """What its first records wait for: configured certificates of the service that are elsewhere, or not deployed everywhere."""
        found = self.listing(owner, publishers, kinds)
        lacking = tuple(o for o, kind in found.items() if kind is None or kind not in self.kinds or kind.is_behind)
        apart = any(kind is not None and kind not in self.kinds for kind in found.values())
        return Waits(owner, lacking, apart) if lacking else None


def grouped(kinds: Iterable[Kind], places: Mapping[str, str]) -> tuple[Group, ...]:
    """The kinds in as many groups as have nothing to do with each other; `places` as in `Group`."""
    listed = tuple(kinds)
    groups: list[tuple[Kind, ...]] = []
    for kind in listed:
        near = [group for group in groups if any(_belong_together(kind, other, places) for other in group)]
        groups = [group for group in groups if group not in near]
        groups.append((*itertools.chain.from_iterable(near), kind))
    present = {kind.label: kind for kind in listed}
    return tuple(Group(group, present, places) for group in groups)


def _belong_together(one: Kind, other: Kind, places: Mapping[str, str]) -> bool:
    shared = not _places(one.owners, places).isdisjoint(_places(other.owners, places))
    return shared and one.publisher.has_means_of(other.publisher)


def _places(owners: Iterable[str], places: Mapping[str, str]) -> frozenset[str]:
    return frozenset(places.get(owner, owner) for owner in owners)
