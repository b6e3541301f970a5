"""A name whose exact set has had its certificates of the week can be ordered in company: with one that is valid, it is another set.

The limit is by exact set, and followers can use it up for a single name. The company has nothing to prove, and loses nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from acmectl.errors import CARefused
from acmectl.model.names import Identifier
from acmectl.model.orders import Order
from acmectl.policy import batching

COMPANIONS = 2
"""Names that are tried, one after the other, to make another set."""

_Set = tuple[str | None, frozenset[Identifier]]


class Company:
    """Opens the orders of one account in one run."""

    def __init__(
        self,
        new_order: Callable[[str | None, frozenset[Identifier]], Order],
        usable: Callable[[str | None], Iterable[Identifier]],
    ) -> None:
        """`usable` gives the names that a new order under a profile surely finds valid, those that stay so for longest first."""
        self._new_order = new_order
        self._usable = usable
        self._found: dict[_Set, Identifier] = {}

    def order(self, profile: str | None, names: frozenset[Identifier]) -> Order:
        """An order for `names`, of which one that is alone may come in company; raises what the CA said of the name alone."""
        known = self._found.get((profile, names))
        if known is not None and known in self._usable(profile):
            return self._new_order(profile, names | {known})
        try:
            return self._new_order(profile, names)
        except CARefused as refusal:
            if len(names) > 1 or not batching.is_about_set(refusal.problem):
                raise
            return self._accompanied(profile, names, refusal)

    def _accompanied(self, profile: str | None, names: frozenset[Identifier], refusal: CARefused) -> Order:
        for other in self._fitting(profile, names)[:COMPANIONS]:
            try:
                order = self._new_order(profile, names | {other})
            except CARefused as again:
                if not batching.is_about_set(again.problem):
                    raise refusal from again
            else:
                self._found[profile, names] = other
                return order
        raise refusal

    def _fitting(self, profile: str | None, names: Iterable[Identifier]) -> Sequence[Identifier]:
        """CAs refuse a wildcard together with a name that it covers."""
        return [u for u in self._usable(profile) if not any(u == n or u.covers(n) or n.covers(u) for n in names)]
