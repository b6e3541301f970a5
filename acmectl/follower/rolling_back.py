"""Putting an older generation back into use, because a person found something wrong with the newer one.

It holds for a while: the next runs neither renew it away nor fight it, however old it is or whatever it lacks.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from acmectl.errors import KeyMaterialError, StorageError, UsageError
from acmectl.model.renewals import Rollback
from acmectl.policy import renewal, tlsa

if TYPE_CHECKING:
    from acmectl.follower.means import Means
    from acmectl.model.certificates import CertificateSpec, Installed


@dataclass(frozen=True, slots=True)
class RolledBack:
    """A generation is in use instead of `before` (None: there was none).

    It is held for a while, unless it is the newest that can be used: then everything is as usual again.
    """

    installed: Installed
    before: int | None
    is_newest: bool


@dataclass(frozen=True, slots=True)
class _Chosen:
    """What is to be in use instead of the generation `before`."""

    spec: CertificateSpec
    installed: Installed
    before: int | None


def roll_back(
    means: Means, specs: Iterable[CertificateSpec], *, to: int | None, expired: bool
) -> tuple[RolledBack, ...]:
    """Put generation `to` of each into use, or the newest one before that in use that can be used.

    All are found before the first is switched: the kinds of a certificate go back together, or none does. `expired` allows one that
    has expired. Raises UsageError, and StorageError.
    """
    chosen = [_found(means, spec, to=to, expired=expired) for spec in specs]
    return tuple(_switched(means, one) for one in chosen)


def _found(means: Means, spec: CertificateSpec, *, to: int | None, expired: bool) -> _Chosen:
    before = means.certificates.in_use(spec.label)
    number = _previous(means, spec, before) if to is None else _chosen(means, spec, to, before)
    return _Chosen(spec, _usable(means, spec, number, expired=expired), before)


def _switched(means: Means, chosen: _Chosen) -> RolledBack:
    """What is known of the rollback is remembered before the switch: killed between both, a run finds the old certificate in use, and nothing changed."""
    spec, installed, number = chosen.spec, chosen.installed, chosen.installed.generation
    newer = [n for n in means.certificates.generations(spec.label) if n > number]
    is_newest = all(_objection(means, spec, n) for n in newer)
    if not is_newest:
        means.memory.save_rollback(_hold(means, spec, installed))
    means.certificates.switch(spec.label, number)
    if is_newest:
        means.memory.forget_rollback(spec.label)
    means.memory.forget_parsed(spec.label, means.revocations.archive(spec.label, in_use=number))
    means.log(spec.label, "rolled back", f"generation {chosen.before or 'none'} -> {number}")
    return RolledBack(installed, chosen.before, is_newest)


def _hold(means: Means, spec: CertificateSpec, installed: Installed) -> Rollback:
    now = means.clock()
    try:
        imposed = means.certificates.keys.imposed(spec)
    except (KeyMaterialError, StorageError):  # a broken key file may be why a person goes back
        imposed = None
    wish = renewal.wish(spec, imposed, means.directory_url)
    return Rollback(spec.label, installed.fingerprint, wish, now, renewal.held_until(installed, now))


def _previous(means: Means, spec: CertificateSpec, before: int | None) -> int:
    """The newest generation before the one in use that nothing speaks against but its age."""
    older = [n for n in means.certificates.generations(spec.label) if before is None or n < before]
    objections = []
    for number in reversed(older):
        if (objection := _objection(means, spec, number)) is None:
            return number
        objections.append(f"generation {number} cannot be used: {objection}")
    raise UsageError(
        f"there is no generation of `{spec.title}` to go back to",
        hint=objections[0] if objections else f"`acmectl cert show {spec.configured_label}` shows which there are",
    )


def _chosen(means: Means, spec: CertificateSpec, to: int, before: int | None) -> int:
    there = means.certificates.generations(spec.label)
    if to not in there:
        raise UsageError(
            f"there is no generation {to} of `{spec.title}`", hint=f"there are {', '.join(map(str, there)) or 'none'}"
        )
    if to == before:
        raise UsageError(f"generation {to} of `{spec.title}` is in use already")
    if objection := _objection(means, spec, to):
        raise UsageError(f"generation {to} of `{spec.title}` cannot be used: {objection}")
    return to


def _objection(means: Means, spec: CertificateSpec, number: int) -> str | None:
    """Why a generation is never put back into use."""
    if revocation := means.revocations.of(spec.label, number):
        return f"it was revoked ({revocation.reason})"
    installed = means.certificates.installed(spec.label, number)
    if installed is None:
        return "its files are damaged"
    if installed.spki in means.certificates.keys.distrusted():
        return "its key was revoked as compromised"
    return _turned_away(means, spec, installed) if spec.pinned else None


def _turned_away(means: Means, spec: CertificateSpec, installed: Installed) -> str | None:
    """Why validating clients may come to turn away; they do not by the key in use, whatever name servers say."""
    in_use = means.certificates.current(spec.label)
    if in_use is not None and installed.spki == in_use.spki:
        return None
    if spec.configured_label not in means.publishers:
        return "the zone may speak of the key in use alone (TLSA), and is not looked at any more without `tlsa`"
    if not tlsa.is_published(installed.spki, means.certificates.keys.published.load(spec.label)):
        return "the DNS was not seen to speak of its key long enough (TLSA), so that validating clients would turn away"
    return None


def _usable(means: Means, spec: CertificateSpec, number: int, *, expired: bool) -> Installed:
    installed = means.certificates.installed(spec.label, number)
    assert installed is not None  # noqa: S101  # there is no objection to it
    if installed.not_after <= means.clock() and not expired:
        raise UsageError(
            f"generation {number} of `{spec.title}` expired at {installed.not_after:%Y-%m-%d %H:%M} UTC",
            hint="add `--expired` if it is to be used in spite of that",
        )
    return installed
