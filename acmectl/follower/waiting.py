"""What targets wait for that do not have the certificate in use, where nothing has failed that is remembered with them; nobody is asked.

A run says it while it is made; this is how the same is known afterwards, or before.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING

from acmectl.follower import presenting, settling, targets
from acmectl.follower.targets import Wait
from acmectl.policy import tlsa

if TYPE_CHECKING:
    from acmectl.follower.means import Means
    from acmectl.follower.results import Wish
    from acmectl.follower.settling import Unsettled
    from acmectl.follower.targets import Placed
    from acmectl.model.certificates import Installed
    from acmectl.model.memory import Deployment

_AFTER_THE_TARGETS = "it waits until every target has the certificate"


def waits(
    means: Means, wish: Wish, installed: Installed | None, behind: Collection[str], failed: Collection[str]
) -> Mapping[str, Wait]:
    """What the targets and commands of one certificate wait for, by their names: of those that are `behind`, and of those that a killed run left.

    `failed` are those of which a failure is remembered.
    """
    found = dict(_held(means, wish, installed)) if installed and behind else {}
    found |= _unfinished(settling.unsettled(means.previous_files), wish)
    lacking = [placed.name for placed in wish.targets if placed.name in behind or placed.name in found]
    if lacking:
        is_left = all(name in found and found[name].is_left for name in lacking)
        commands = {placed.name for placed in wish.onchange if placed.name in behind}.difference(failed)
        found |= dict.fromkeys(sorted(commands), Wait(_AFTER_THE_TARGETS, is_left=is_left))
    return found


def elsewhere(means: Means, wishes: Iterable[Wish]) -> tuple[Unsettled, ...]:
    """What killed runs left at places of none of the targets of `wishes`, or what nobody knows whose it is."""
    configured = list(wishes)
    return tuple(
        one
        for one in settling.unsettled(means.previous_files)
        if not any(_concerns(one, wish, placed) for wish in configured for placed in wish.targets)
    )


def _held(means: Means, wish: Wish, installed: Installed) -> Mapping[str, Wait]:
    """Targets that keep what they have while clients would turn away from the key, by what was seen at the last look; a run looks again.

    None that a run tried to give it, and failed: that run saw that nothing is won by waiting.
    """
    spec = wish.spec
    if not spec.pinned or spec.configured_label not in means.publishers:
        return {}
    known, pin = means.certificates.keys.published.known(spec.label), installed.spki
    if tlsa.is_published(pin, known):
        return {}
    lacking = targets.behind(means.memory, installed, wish.targets)
    untried = {placed.name for placed, last in lacking if not _failed(last, installed)}
    others = presenting.with_another_key(means, installed, wish.targets) if untried else {}
    reason = (
        f"it keeps what it has, as clients would turn away from the new key: {tlsa.wait_for(pin, known, follows=False)}"
    )
    is_failure = tlsa.ready_at(pin, known, follows=False) is None
    return dict.fromkeys(sorted(untried.intersection(others)), Wait(reason, is_failure=is_failure, is_left=True))


def _failed(last: Deployment | None, installed: Installed) -> bool:
    return last is not None and last.error is not None and last.fingerprint == installed.fingerprint


def _unfinished(unsettled: Collection[Unsettled], wish: Wish) -> Mapping[str, Wait]:
    """Also what is about another target that has, or had, the same places: nothing is put there before that is settled."""
    return {placed.name: one.wait for one in unsettled for placed in wish.targets if _concerns(one, wish, placed)}


def _concerns(one: Unsettled, wish: Wish, placed: Placed) -> bool:
    if one.label == wish.spec.label and one.target in {"", placed.name}:
        return True
    return not one.places.isdisjoint(settling.real(path) for path in placed.target.copies)
