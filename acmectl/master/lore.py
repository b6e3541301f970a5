"""What a master learned of its CA and remembers: how long orders live, how many names one takes, whether newAuthz works."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from acmectl.errors import AcmectlError
from acmectl.model.memory import Event
from acmectl.policy import batching
from acmectl.policy.refresh import Knowledge

if TYPE_CHECKING:
    from acmectl.storage.memory import Memory

_LIMIT_BELIEVED = timedelta(days=90)


class Lore:
    """What is known of one CA."""

    def __init__(self, memory: Memory, directory_url: str) -> None:
        self._memory = memory
        self._directory_url = directory_url

    def knowledge(self, profile: str | None, published: timedelta | None) -> Knowledge:
        """C as `published`, and the longest span of a wholly new order of the profile, seen while just that was published.

        When a CA changes its rules (Let's Encrypt: on announced days), what was seen under the old ones says nothing any more.
        """
        span = self._memory.fact(self._span_key(profile, published))
        return Knowledge(published, timedelta(seconds=float(span)) if span else None)

    def learn_span(self, profile: str | None, published: timedelta | None, span: timedelta) -> None:
        """An order all of whose authorizations were new was seen to live for `span`, while C was published as it is."""
        key = self._span_key(profile, published)
        if span.total_seconds() > float(self._memory.fact(key) or 0):
            self._memory.set_fact(key, str(span.total_seconds()))

    def learned_limit(self, profile: str | None, now: datetime) -> int:
        """How many names the CA has shown to take in one order; asked again after 90 days, since limits are raised as well."""
        learned_at = float(self._memory.fact(self._key("max-names-at", profile)) or now.timestamp())
        if now.timestamp() - learned_at > _LIMIT_BELIEVED.total_seconds():
            return batching.MAX_NAMES
        return int(self._memory.fact(self._key("max-names", profile)) or batching.MAX_NAMES)

    def learn_limit(self, profile: str | None, limit: int, now: datetime) -> None:
        """The CA refused an order as too large, and named the limit."""
        self._memory.set_fact(self._key("max-names", profile), str(limit))
        self._memory.set_fact(self._key("max-names-at", profile), str(now.timestamp()))

    @property
    def new_authz_works(self) -> bool:
        """Whether newAuthz, where the directory has it, has not refused."""
        return self._memory.fact(self._key("new-authz-refused")) is None

    def new_authz_refused(self, error: AcmectlError, now: datetime) -> None:
        """The resource is advertised, and not offered."""
        self._memory.set_fact(self._key("new-authz-refused"), error.message)
        self._memory.add_event(Event(now, "newAuthz", "refused", error.message))

    def _span_key(self, profile: str | None, published: timedelta | None) -> str:
        return f"{self._key('order-span', profile)}/{published.total_seconds() if published else ''}"

    def _key(self, kind: str, profile: str | None = None) -> str:
        """Where a fact about this CA lies: another CA has its own."""
        return f"{kind}/{self._directory_url}/{profile or ''}"
