"""One TXT value at a hosted provider, added or taken away; what others have there is left, or put back.

Ninety providers are ninety people's code: what they are asked for is looked at before and after.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from acmectl.solvers.lexicon_failures import NotDone, failure_of

if TYPE_CHECKING:
    from lexicon.interfaces import Provider

PAUSES = (0.5, 1.0, 2.0)  # seconds, after trouble of the provider's server


def publish(provider: Provider, owner: str, value: str, begin: Callable[[bool], None] = lambda _: None) -> None:
    """Add one value. Raises NotDone, and whatever the provider raises; `begin` is called when it was looked and not yet changed.

    It is told whether others have values there.

    That `create_record` does nothing for what exists already is promised by lexicon, and not kept by all of its providers.
    """
    before = _look(provider, owner)
    begin(bool((before or set()) - {value}))
    if before and value in before:
        return
    if provider.create_record("TXT", owner, value) is False:
        raise NotDone("refused")
    if before:
        _put_back(provider, owner, before - values_at(provider, owner))


def remove(provider: Provider, owner: str, value: str, begin: Callable[[bool], None] = lambda _: None) -> None:
    """Take one value away, if it is there, and see that it is gone. Raises as `publish` does."""
    before = _look(provider, owner)
    begin(bool((before or set()) - {value}))
    if before is not None and value not in before:
        return
    if provider.delete_record(rtype="TXT", name=owner, content=value) is False:
        raise NotDone("refused")
    if before is not None:
        _put_back(provider, owner, before - {value} - _values_without(provider, owner, value))


def values_at(provider: Provider, owner: str) -> set[str]:
    """The TXT values at `owner`; some providers answer with the quotes of a zone file, and not all obey the filter for a name."""
    found = provider.list_records("TXT", owner) or []
    names = {owner, owner.removesuffix(f".{provider.domain}")}
    return {str(r.get("content", "")).strip('"') for r in found if str(r.get("name", owner)).rstrip(".") in names}


def _look(provider: Provider, owner: str) -> set[str] | None:
    """The values before a change; None where the provider cannot say: that of `ddns` in dns-lexicon 3.25 fails on the first record it finds."""
    try:
        return values_at(provider, owner)
    except Exception as error:
        if failure_of(error, ())["kind"] != "error":
            raise
        return None


def _values_without(provider: Provider, owner: str, value: str) -> set[str]:
    """The values once `value` is gone, for which a provider's list may take a moment; NotDone if it does not go."""
    for pause in (0.0, *PAUSES):
        time.sleep(pause)
        if value not in (after := values_at(provider, owner)):
            return after
    raise NotDone("kept")


def _put_back(provider: Provider, owner: str, lost: set[str]) -> None:
    """A provider may replace a whole set, or have room for one value: what it took away from others is put back, and told."""
    if lost:
        for value in sorted(lost):
            provider.create_record("TXT", owner, value)
        left = lost - values_at(provider, owner)
        raise NotDone("others", f"{len(left)} of {len(lost)}" if left else "")
