"""The keys of certificates in the DNS, run by run: the next key made and published, seen, waited for; a former one removed at last.

Each step can be interrupted and done again: what is to be added is remembered before it is, a record counts from when it was seen, and
nothing else than looking makes a key usable. Where nothing changes, the name servers are asked twice a day.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from acmectl.errors import AcmectlError, StorageError
from acmectl.follower import presenting
from acmectl.follower.announcing import keys_of, left_behind, recalled, vouched_for
from acmectl.follower.key_groups import Group, Kind, grouped
from acmectl.model.tlsa import KeptSet, PublishedKeys, RecordSet, TlsaRecord, association
from acmectl.policy import posing, tlsa, tlsa_records
from acmectl.policy.renewal import Due
from acmectl.policy.tlsa_keeping import Looked
from acmectl.storage.clock import uptime
from acmectl.workers import each

if TYPE_CHECKING:
    from acmectl.deploy.tlsa.publisher import Publisher
    from acmectl.follower.means import Means
    from acmectl.follower.results import Wish
    from acmectl.follower.standing import Standing

    Pins = Sequence[tuple[str, str]]  # owner names, each with the pin of a key

log = logging.getLogger(__name__)

_WORKERS = 8


@dataclass(frozen=True, slots=True)
class KeyNews:
    """What became of the published keys of a certificate: something done, or `error`, or what a person has to do (`is_urgent`)."""

    label: str
    text: str
    hint: str | None = None
    is_error: bool = False
    is_urgent: bool = False


class KeyPublishing:
    """Publishes and looks, for certificates that have `tlsa`; one instance serves one run."""

    def __init__(self, means: Means, standing: Standing) -> None:
        """`standing` says whether a certificate is due, and deployed everywhere."""
        self._means = means
        self._standing = standing
        self._news: dict[KeyNews, None] = {}
        self._waiting: dict[tuple[str, str], KeyNews] = {}
        self._refreshed: set[str] = set()
        self._looked: set[str] = set()
        self._last: dict[str, Looked] = {}
        self._places: Mapping[str, str] | None = None

    @property
    def news(self) -> tuple[KeyNews, ...]:
        """What happened so far, and what waits at the end, without repetitions."""
        return tuple(dict.fromkeys([*self._news, *self._waiting.values()]))

    def look_before_use(self, wish: Wish, *, again: bool = False) -> None:
        """Before a certificate is issued: no key is chosen by what was seen in an earlier run, or (`again`) by another clock.

        Raises StorageError where what is seen cannot be remembered.
        """
        if wish.spec.pinned and (again or wish.spec.label not in self._looked):
            for group in self._groups(self._kinds([wish])):
                self._bring_on(group)

    def look_before_deploying(self, wishes: Iterable[Wish]) -> None:
        """The same, before targets get the keys; what fails is told, and holds up no other certificate."""
        for wish in wishes:
            try:
                self.look_before_use(wish)
            except AcmectlError as error:
                self._tell(wish.spec.label, error.message, error.hint, is_error=True)

    def look(self, wishes: Sequence[Wish]) -> None:
        """Find out which keys clients accept, and change nothing. Raises StorageError where that cannot be remembered."""
        for group in self._groups(self._kinds(wishes)):
            self._look(group)

    def refresh(self, wishes: Sequence[Wish], *, again: bool = False) -> None:
        """Bring the records of these certificates nearer to what they should be, and find out which keys can be used now.

        Once in a run, unless something has changed since (`again`). What fails is told, and holds up no other certificate.
        """
        wanted = [wish for wish in wishes if again or wish.spec.label not in self._refreshed]
        self._refreshed |= {wish.spec.label for wish in wanted}
        if again:
            self._looked -= {wish.spec.label for wish in wanted}
            self._places = None
        kinds = self._kinds(wanted)
        due = [kind for kind in kinds if self._needs_look(kind)]
        for group in self._groups(kinds) if due else ():
            if not set(due).isdisjoint(group.kinds):
                try:
                    self._bring_on(group)
                except AcmectlError as error:
                    self._tell(group.kinds[0].label, error.message, error.hint, is_error=True)

    def looked(self, label: str) -> Looked:
        """What the last look of this run at the records of one certificate came to, whether it could be remembered or not."""
        return self._last.get(label, Looked())

    def tell(self, news: KeyNews) -> None:
        """Have something told with the rest."""
        self._news[news] = None

    def _kinds(self, wishes: Iterable[Wish]) -> Sequence[Kind]:
        kinds: list[Kind] = []
        for wish in wishes:
            publisher = self._means.publishers.get(wish.spec.configured_label)
            if publisher is None:
                if wish.spec.pinned:
                    text, hint = left_behind(self._means.certificates, wish.spec.label)
                    self._tell(wish.spec.label, text, hint, is_urgent=True)
                continue
            try:
                kinds.append(self._kind(wish, publisher))
            except AcmectlError as error:
                self._tell(wish.spec.label, error.message, error.hint, is_error=True)
        return kinds

    def _groups(self, kinds: Sequence[Kind]) -> tuple[Group, ...]:
        """Asks once in a run where the records of all certificates lie, also of those that are not among these."""
        if kinds and self._places is None:
            publishers = self._means.publishers
            found, _ = each(publishers, lambda label: publishers[label].places(), workers=_WORKERS)
            self._places = {owner: place for places in found.values() for owner, place in places.items()}
        return grouped(kinds, self._places or {})

    def _kind(self, wish: Wish, publisher: Publisher) -> Kind:
        """Raises StorageError, KeyMaterialError."""
        from acmectl.follower import key_making

        means, spec = self._means, wish.spec
        key_making.keep_prepared(means.certificates, spec)
        status, at_hand = self._standing.status(wish), means.certificates.keys.at_hand(spec)
        keys = keys_of(at_hand, status.installed, deployed=bool(status.installed and not status.behind))
        known = means.certificates.keys.published.load(spec.label)
        known = recalled(means.certificates, means.memory, wish, publisher.owners, known)
        keys = replace(keys, served=tlsa.still_served(known, keys))
        is_due = isinstance(status.decision, Due) or (keys.in_use is not None and keys.in_use == known.left)
        shared = frozenset({at_hand.imposed.spki} if at_hand.imposed else ())
        return Kind(wish, publisher, keys, known, is_due, shared)

    def _needs_look(self, kind: Kind) -> bool:
        return tlsa.needs_look(kind.known, kind.keys, kind.owners, self._means.clock(), due=kind.is_due)

    def _bring_on(self, group: Group) -> None:
        sets = self._look(group)
        added = self._add(group, sets)
        removed = self._remove(group, sets)
        if added or removed:
            sets = self._look(group)
        for kind in group.kinds:
            for record in posing.vouching(kind.keys, kind.owners, sets):
                self._tell(kind.label, *vouched_for(record), is_urgent=True)

    def _look(self, group: Group) -> Mapping[str, RecordSet]:
        """See what all name servers have, and remember it."""
        owners = dict.fromkeys([*group.owners, *(p.owner for k in group.kinds for p in k.known.publications)])
        sets, failed = group.publisher.look(tuple(owners))
        for owner, error in failed.items():  # what is left of a former service is nobody's trouble but that of `check`
            self._tell(group.kinds[0].label, error.message, error.hint, is_error=owner in group.owners)
        run_for, now = uptime(), self._means.clock()
        before = [tlsa.rebased(kind.known, run_for, now) for kind in group.kinds]
        earlier = self._kept_sets(group, before)
        for kind, known in zip(group.kinds, before, strict=True):
            ttl = kind.publisher.ttl
            seen = tlsa.observe(known, kind.keys, kind.owners, sets, ttl=ttl, now=now, earlier=earlier)
            seen = self._forget_lost(kind, replace(seen, uptime=run_for), sets)
            self._last[kind.label] = Looked(seen, sets)
            self._log_news(kind, seen)
            self._save(kind, seen)
            self._looked.add(kind.label)
        return sets

    def _forget_lost(self, kind: Kind, seen: PublishedKeys, sets: Mapping[str, RecordSet]) -> PublishedKeys:
        """What is known, without what is left at former services whose name servers are gone for good."""
        if any(owner not in sets for owner in kind.owners):  # perhaps it is our own network
            return seen
        lost = tlsa_records.out_of_reach(seen, kind.owners, sets, self._means.clock())
        for publication in lost:
            record = f"{publication.owner} {publication.record.association}"
            self._means.log(kind.label, "forgot", f"TLSA record {record}")
            self._tell(
                kind.label,
                f"a TLSA record of a former service is forgotten, as its name servers do not answer: {record}",
                is_urgent=True,
            )
        return replace(seen, publications=tuple(p for p in seen.publications if p not in lost))

    def _kept_sets(self, group: Group, before: Sequence[PublishedKeys]) -> tuple[KeptSet, ...]:
        """What is known of sets that resolvers may have; what is new here takes over what other certificates know."""
        known = list(before)
        if any(one.looked_at is None for one in before):
            certificates, present = self._means.certificates, {kind.label for kind in group.kinds}
            known += [certificates.keys.published.known(o) for o in certificates.labels() if o not in present]
        return tuple(kept for one in known for kept in one.sets)

    def _add(self, group: Group, sets: Mapping[str, RecordSet]) -> bool:
        """Add what is missing, where this host may; whether anything was added."""
        missing = self._without_first(
            group, {k.label: tlsa_records.to_add(k.keys, k.owners, sets) for k in group.kinds}, sets
        )
        if not group.publisher.may_update:
            for kind in group.kinds:
                self._tell_missing(kind, missing[kind.label], sets)
            return False
        changed = {owner for pairs in missing.values() for owner, _ in pairs}
        for kind in group.kinds:
            sent = [(o, pin) for o in kind.owners if o in changed for pin in kind.keys.needed]
            sent = [(o, pin) for o, pin in sent if pin not in kind.keys.distrusted]
            self._save(kind, tlsa_records.announced(kind.known, sent, sets, shared=kind.shared))
        records = {TlsaRecord(o, association(pin)): kind for kind in group.kinds for o, pin in missing[kind.label]}
        beside = [tlsa_records.to_send([kind.keys], changed.intersection(kind.owners)) for kind in group.kinds]
        refused = group.add(frozenset(records).union(*beside)) if records else {}
        refused = {record: error for record, error in refused.items() if record in records}
        for record, kind in records.items():
            self._tell_change(kind, record, refused.get(record), "published")
        return len(refused) < len(records)

    def _without_first(
        self, group: Group, missing: Mapping[str, Pins], sets: Mapping[str, RecordSet]
    ) -> Mapping[str, Pins]:
        """Without the first records at owner names that have another key in use of which this call knows nothing, or which is not everywhere.

        First records make clients strict: whose key they leave out is turned away.
        """
        means = self._means
        bare = [owner for owner in group.owners if owner in sets and not sets[owner].anywhere]
        waits = {owner: group.waits(owner, means.publishers, means.kinds) for owner in bare}
        for kind in group.kinds:
            for owner in kind.owners:
                self._waiting.pop((kind.label, owner), None)
            for owner in {owner for owner, _ in missing[kind.label]}:
                waiting = waits.get(owner)
                if waiting is not None and (waiting.apart or group.publisher.may_update):
                    news = KeyNews(kind.label, waiting.text, waiting.hint, is_urgent=waiting.apart)
                    self._waiting[kind.label, owner] = news
        return {label: tuple(pair for pair in pairs if not waits.get(pair[0])) for label, pairs in missing.items()}

    def _remove(self, group: Group, sets: Mapping[str, RecordSet]) -> bool:
        """Remove what serves nobody any more, where this host may; whether anything was removed."""
        if not group.publisher.may_update:
            return False
        try:
            others = {kind.label: self._wanted_by_others(kind) for kind in group.kinds}
        except StorageError as error:  # nothing is removed while it is not known who else needs it
            self._tell(group.kinds[0].label, error.message, error.hint, is_error=True)
            return False
        own = {record for kind in group.kinds for record in _wanted(kind)}
        over = {
            record: kind
            for kind in group.kinds
            for record in tlsa_records.to_remove(
                kind.known,
                kind.keys,
                kind.owners,
                sets,
                wanted_elsewhere=own | others[kind.label],
                now=self._means.clock(),
            )
        }
        over = {record: kind for record, kind in over.items() if not self._may_be_presented(record, kind, group)}
        over = self._spare(group, over, own.union(*others.values()))
        refused = group.publisher.remove(over) if over else {}
        for record, kind in over.items():
            self._tell_change(kind, record, refused.get(record), "removed")
        return len(refused) < len(over)

    def _may_be_presented(self, record: TlsaRecord, kind: Kind, group: Group) -> bool:
        """Whether a certificate of the service has a target with the key, be it that the service moved there, and nothing is issued for it yet.

        So may one that this call knows nothing of. A compromised key is not waited for.
        """
        if record.association in map(association, kind.keys.distrusted):
            return False
        listing = group.listing(record.owner, self._means.publishers, self._means.kinds).values()
        return any(
            one is None or record.association in map(association, presenting.pins(one.wish.targets)) for one in listing
        )

    def _spare(
        self, group: Group, over: Mapping[TlsaRecord, Kind], wanted: Collection[TlsaRecord]
    ) -> dict[TlsaRecord, Kind]:
        """Without the records that are needed under another owner name, which a CNAME leads to the same place: these are given up."""
        now = self._means.clock()
        needed = frozenset(wanted).union(*(tlsa_records.unfinished(kind.known, kind.keys, now) for kind in group.kinds))
        spared = group.publisher.same_places(over, needed) if over else frozenset()
        for kind in group.kinds:
            self._save(kind, tlsa_records.given_up(kind.known, spared))
        return {record: kind for record, kind in over.items() if record not in spared}

    def _wanted_by_others(self, kind: Kind) -> set[TlsaRecord]:
        """The records of other certificates of this host, which may have the same services and the same keys. Raises StorageError."""
        certificates, found = self._means.certificates, set[TlsaRecord]()
        for label in certificates.labels():
            if label.partition("+")[0] != kind.wish.spec.configured_label:
                found |= {
                    p.record for p in certificates.keys.published.load(label).publications if p.retired_at is None
                }
        return found

    def _save(self, kind: Kind, known: PublishedKeys) -> None:
        if known != kind.known:
            self._means.certificates.keys.published.save(kind.label, known)
            kind.known = known

    def _log_news(self, kind: Kind, seen: PublishedKeys) -> None:
        """A key that clients accept from now on is an event, as a key that they do not accept any more is."""
        if kind.keys.following in seen.usable - kind.known.usable:
            self._means.log(kind.label, "accepted", "the next key can be used: every client accepts it")

    def _tell_change(self, kind: Kind, record: TlsaRecord, error: AcmectlError | None, what: str) -> None:
        if error is not None:
            text = f"the TLSA record of {record.owner} was not {what}: {error.message}"
            self._tell(kind.label, text, error.hint, is_error=True)
            return
        self._means.log(kind.label, what, f"TLSA record {record.owner} {record.association}")
        self._tell(kind.label, f"{what} the TLSA record {record.owner} {record.association}")

    def _tell_missing(self, kind: Kind, missing: Sequence[tuple[str, str]], sets: Mapping[str, RecordSet]) -> None:
        """What a person has to publish; at once where clients turn away from the key in use."""
        hint = f"`acmectl cert tlsa {kind.wish.spec.configured_label}` prints the records"
        for owner, pin in missing:
            if pin == kind.keys.in_use and sets[owner].anywhere:
                text = f"validating clients turn away: not every name server of `{owner}` has the TLSA record of the key in use"
                self._tell(kind.label, text, hint, is_urgent=True)
        if missing and kind.keys.in_use is not None and kind.keys.in_use == kind.known.left:
            text = (
                "TLSA records are missing in the zone: the key that was asked for waits until somebody publishes them"
            )
            self._tell(kind.label, text, hint, is_urgent=True)
        elif missing:
            self._tell(kind.label, "TLSA records are missing in the zone", hint)
        for error in kind.publisher.obstacles({owner for owner, _ in missing}).values() if missing else ():
            self._tell(kind.label, error.message, error.hint, is_urgent=True)

    def _tell(
        self, label: str, text: str, hint: str | None = None, *, is_error: bool = False, is_urgent: bool = False
    ) -> None:
        if is_error:
            self._means.log(label, "TLSA failed", text)
        self.tell(KeyNews(label, text, hint, is_error, is_urgent))


def _wanted(kind: Kind) -> Iterator[TlsaRecord]:
    for owner in kind.owners:
        for pin in kind.keys.wanted:
            yield TlsaRecord(owner, association(pin))
