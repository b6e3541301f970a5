"""What a CA promises under one profile, now and later: the rules that a forecast plays against."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from acmectl.policy.ca_rules import LETS_ENCRYPT, ProfileRules
from acmectl.policy.refresh import Knowledge

_ALWAYS = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Terms:
    """What a CA does under one profile: rules with the moments from which they hold, earliest first.

    `published` says that the master knows C from the CA's documentation; else it takes C from above, by L. `seen` is what it has
    learned of C besides.
    """

    eras: tuple[tuple[datetime, ProfileRules], ...]
    published: bool = True
    seen: Knowledge | None = None

    def learned(self, *, max_names: int, knowledge: Knowledge) -> Terms:
        """The same for a master that knows orders to take `max_names` names at most, and has seen how long they live."""
        eras = tuple((since, replace(rules, max_names=min(rules.max_names, max_names))) for since, rules in self.eras)
        return replace(self, eras=eras, seen=knowledge)

    def at(self, when: datetime) -> ProfileRules:
        """The rules at a moment."""
        return [rules for since, rules in self.eras if since <= when][-1]

    def only(self, when: datetime) -> Terms:
        """The rules of a moment for the whole time."""
        return replace(self, eras=((_ALWAYS, self.at(when)),))

    def knowledge(self, when: datetime) -> Knowledge:
        """What a master knows of C at a moment."""
        if not self.published:
            return Knowledge()
        cutoff = self.at(when).cutoff
        # what was seen holds under the rules that it was seen under
        return self.seen if self.seen is not None and self.seen.cutoff == cutoff else Knowledge(cutoff)

    def changes_after(self, when: datetime) -> datetime | None:
        """The next moment at which other rules hold."""
        return next((since for since, _ in self.eras if since > when), None)

    def closes_at(self, expires_at: datetime, since: datetime) -> datetime:
        """The first moment from `since` on at which newOrder does not reuse an authorization that ends at `expires_at`."""
        begin = since
        while (change := self.changes_after(begin)) is not None and expires_at - self.at(begin).cutoff >= change:
            begin = change
        return max(begin, expires_at - self.at(begin).cutoff)


def constant(rules: ProfileRules) -> Terms:
    """The same rules for the whole time."""
    return Terms(((_ALWAYS, rules),))


def published(profile: str) -> Terms:
    """Let's Encrypt's rules for `profile`, changing on their published dates; KeyError for a profile it does not have."""
    return Terms(LETS_ENCRYPT[profile])


def observed(*, lifetime: timedelta, cutoff: timedelta, max_names: int, published: bool) -> Terms:
    """A CA of which only L and C are known (C from 1 h to 24 h, as `cutoff_from_above` gives it)."""
    order = 8 * cutoff  # the lifetime of orders that has this cutoff
    return Terms(((_ALWAYS, ProfileRules("", lifetime, order, order, max_names, lifetime)),), published)
