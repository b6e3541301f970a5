"""The newOrders of one account in one run: opened and noted, and what they tell of the CA.

Each counts against a limit that all hosts of the account share, so what orders are sent for anyway has to show how long they live, and
whether valid authorizations are put into new ones; only `probe` sends some just for that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from acmectl.errors import CAError
from acmectl.master.attempts import Proven
from acmectl.master.books import Books
from acmectl.master.company import Company
from acmectl.master.ordering import Batch
from acmectl.master.report import Settings
from acmectl.master.reuse import Reuse
from acmectl.master.sending import Sending
from acmectl.model.names import Identifier
from acmectl.model.orders import AuthorizationStatus, Order
from acmectl.policy import refresh
from acmectl.policy.refresh import Knowledge, Wanted

if TYPE_CHECKING:
    from acmectl.ca.session import Session

PROBES = 2  # newOrders by which `--verify` looks whether the CA reuses authorizations


class NewOrders:
    """Opens orders of one account, over one session."""

    def __init__(
        self,
        session: Session,
        account: str,
        *,
        sending: Sending,
        books: Books,
        reuse: Reuse,
        settings: Settings,
        knowledge: Callable[[str | None], Knowledge],
        max_names: Callable[[str | None], int],
        now: Callable[[], datetime],
    ) -> None:
        """`knowledge` and `max_names` are what is known of the CA, by profile; `now` gives the CA's time."""
        self._session = session
        self._account = account
        self._sending = sending
        self._books = books
        self._reuse = reuse
        self._settings = settings
        self._knowledge = knowledge
        self._max_names = max_names
        self._now = now
        self._asked: set[tuple[str | None, frozenset[Identifier]]] = set()
        self._company = Company(self._new_order, self._usable)
        self._new_sets: set[str] = set()

    def limit(self, profile: str | None) -> int:
        """How many names one order may have."""
        return min(self._max_names(profile), self._books.lore.learned_limit(profile, self._now()))

    def open(self, profile: str | None, identifiers: frozenset[Identifier]) -> Order:
        """An order for these names; one that is alone may come in company. Raises CAError, Unordered."""
        order = self._company.order(profile, identifiers)
        self._asked.add((profile, identifiers))
        return order

    def parts(self, profile: str | None, names: Iterable[Wanted]) -> list[list[Wanted]]:
        """Sets of `names` for which this run got an order, the largest first; names that are in none are left out."""
        left, parts = {w.identifier: w for w in names}, []
        for identifiers in sorted((ids for p, ids in self._asked if p == profile), key=len, reverse=True):
            if left.keys() >= identifiers:
                parts.append([left[identifier] for identifier in sorted(identifiers)])
                left = {identifier: w for identifier, w in left.items() if identifier not in identifiers}
        return parts

    def expected(self, profile: str | None, names: Sequence[Wanted]) -> frozenset[Wanted]:
        """The names by which the CA shows whether it reuses anything, as long as that is not known."""
        known = self._knowledge(profile)
        if known.cutoff is not None or self._reuse.is_proven(profile):
            return frozenset()
        return self._reuse.expected(names, {profile: known}, self._now())

    def learn(
        self,
        profile: str | None,
        orders: Sequence[tuple[Order, Batch]],
        proven: Mapping[Wanted, Proven],
        expected: frozenset[Wanted],
    ) -> None:
        """What the orders tell of the CA: how long orders live, and whether valid authorizations are put into new ones."""
        for order, names in orders:
            if order.expires_at and names and all(w in proven and proven[w].fresh for w in names):
                self._books.lore.learn_span(profile, self._knowledge(profile).cutoff, order.expires_at - self._now())
            surely = [w for w in names if w in expected and w in proven]
            if surely and order.url in self._new_sets:
                reused = any(not proven[w].fresh for w in surely)
                self._reuse.learn(profile, [w.identifier for w in names], reused=reused)

    def probe(self, names: Sequence[Wanted]) -> None:
        """Find out whether the CA reuses authorizations, if that is not known: order names together as never before."""
        for profile in dict.fromkeys(w.profile for w in names):
            expected = sorted(
                self.expected(profile, [w for w in names if w.profile == profile]), key=lambda w: w.identifier
            )
            for _ in range(PROBES):
                chosen = self._reuse.probe(self._account, expected[: self.limit(profile)])
                if chosen is None or self._reuse.is_proven(profile) or self._reuse.never_happens(profile):
                    break
                self._look_for_reuse(profile, chosen)

    def _look_for_reuse(self, profile: str | None, names: Sequence[Wanted]) -> None:
        from acmectl.ca.orders import fetch_authorization

        try:
            order = self._new_order(profile, frozenset(w.identifier for w in names))
        except CAError as error:
            raise self._sending.stopped(error) from error
        states = {fetch_authorization(self._session, url).status for url in order.authorization_urls}
        self._reuse.learn(profile, order.identifiers, reused=AuthorizationStatus.VALID in states)

    def _usable(self, profile: str | None) -> list[Identifier]:
        """What a new order surely finds valid; what stays so for longest first."""
        known, schedule = self._knowledge(profile), self._settings.schedule
        usable = [
            (ends.cutoff_at, a.identifier)
            for a in self._books.authorizations(self._account, profile)
            if (ends := refresh.horizon(a, known, schedule)) and self._now() < ends.cutoff_at
        ]
        return [identifier for _, identifier in sorted(usable, key=lambda pair: pair[0], reverse=True)]

    def _new_order(self, profile: str | None, identifiers: frozenset[Identifier]) -> Order:
        from acmectl.ca.orders import new_order

        said = self._session.directory.profile_for(profile)  # read first: the answer brings the CA's time
        is_new = self._reuse.is_new(self._account, profile, identifiers)
        order = self._sending.persist(lambda: new_order(self._session, identifiers, profile=said, repeatable=False))
        self._books.order(self._account, profile, order, now=self._now())
        if is_new:
            self._new_sets.add(order.url)
        return order
