"""When a certificate is due: the CA's advice or a fraction of its lifetime, or the configuration asks for another one.

Every way leaves time for a master that is down: a third of the lifetime (30 days of 90), half of a short one (80 of 160
hours). Advice of the CA that would leave less than half of that is followed up to there: 15 days of 90, 40 of 160 hours.

Time alone never asks for another certificate right after one was issued: a short one that the CA dated back can be past its
moment already, and a CA can ask for renewal for ever. Either would have each run issue another one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeGuard

from acmectl.model.certificates import CertificateSpec, ImposedKey, Installed, Issuance
from acmectl.model.renewals import RenewalInfo, Revocation, Rollback
from acmectl.policy import key_choice, renewal_advice
from acmectl.policy.key_choice import KeyChange

SHORT = timedelta(days=10)  # lifetimes below this are renewed at half, not at a third left
LONGEST_HOLD = timedelta(days=7)  # of a certificate that a person put back into use
_HOLD_OF_EXPIRED = timedelta(days=1)
_REST = timedelta(hours=1)
_USEFUL = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Due:
    """The certificate is to be issued now, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class NotDue:
    """The certificate is as wanted; it will be due at `at`. `held` says why it is not due already, if anything but time does."""

    at: datetime
    held: str | None = None


def renew_at(installed: Installed, advice: RenewalInfo | None = None) -> datetime:
    """When the CA advises; without advice when two thirds of the lifetime have passed, or half of one under ten days.

    Those fractions are Let's Encrypt's. Advice that leaves less than half of the rest is cut there.
    """
    left = (1 / 2 if installed.lifetime < SHORT else 1 / 3) * installed.lifetime
    advised = renewal_advice.moment_in(advice, installed) if advice else None
    if advised is None:
        return installed.not_after - left
    return min(advised, installed.not_after - left / 2)


def rests_until(installed: Installed, issuance: Issuance | None, now: datetime) -> datetime:
    """Until when time is no reason to replace it: a third of what was left when it was issued, at least an hour.

    One with less than two hours left then rests for half of that; one that was of no use from the beginning, for an hour. Where the moment of
    issue is not known, or after `now` (a clock was wrong), it does not rest.
    """
    issued_at = issuance.issued_at if issuance else None
    if issued_at is None or issued_at > now:
        return installed.not_before
    left = installed.not_after - issued_at
    return issued_at + (min(max(left / 3, _REST), left / 2) if left >= _USEFUL else _REST)


def is_hurried(installed: Installed, issuance: Issuance | None, advice: RenewalInfo | None, now: datetime) -> bool:
    """Whether `installed` is replaced while it rests, because the CA asks for it."""
    return renew_at(installed, advice) <= now < rests_until(installed, issuance, now)


def held_until(installed: Installed, now: datetime) -> datetime:
    """Until when a certificate that was put back into use at `now` is not renewed: a week, or half of what is left of it.

    One that has expired is held for a day: whoever wants it must have a reason, and will be done with it soon.
    """
    left = installed.not_after - now
    return now + (min(LONGEST_HOLD, left / 2) if left > timedelta() else _HOLD_OF_EXPIRED)


def wish(spec: CertificateSpec, imposed: ImposedKey | None, directory_url: str) -> str:
    """What the configuration asks for, in a form to compare with what it asked for before."""
    names = " ".join(sorted(map(str, spec.names)))
    key = imposed.spki if imposed else spec.key_type
    return f"{names} {key} {spec.profile or '-'} {spec.account} {directory_url}"


def due(
    spec: CertificateSpec,
    installed: Installed | None,
    damage: str | None,
    *,
    now: datetime,
    directory_url: str,
    issuance: Issuance | None,
    imposed: ImposedKey | None = None,
    advice: RenewalInfo | None = None,
    rollback: Rollback | None = None,
    revocation: Revocation | None = None,
    distrusted: frozenset[str] = frozenset(),
    key_change: KeyChange | None = None,
    forced: bool = False,
) -> Due | NotDue:
    """Whether `spec` needs a new certificate of the CA at `directory_url`.

    `damage` says what is wrong with the installed files, if anything; `issuance` what was asked for when the installed
    certificate was issued. Where that is not known (the state database was lost), it is taken to be what is wanted now: names that
    the certificate has beyond that may be the CA's own. `imposed` is the key that a person wants it to have.

    `advice` is the CA's, `revocation` what is known of the installed certificate, `distrusted` are pins of keys that were revoked as
    compromised; a `rollback` holds back all that is no necessity. `key_change` says whether another key was asked for, and whether the
    key may change now: as long as it may not, that is no reason.
    """
    if installed is None:
        return Due(damage or "no certificate yet")
    if need := _need(damage, revocation, is_distrusted=installed.spki in distrusted, forced=forced):
        return Due(need)
    key, waits_for = _key_changed(spec, installed, imposed, key_change or KeyChange())
    changed = _names_changed(spec, installed, issuance) or key or _terms_changed(spec, issuance, directory_url)
    at = _due_at(installed, issuance, advice, now)
    reason = changed or (_time_is_up(installed, advice) if at <= now else None)
    if reason is None:
        return NotDue(at, waits_for)
    if _holds(rollback, installed, wish(spec, imposed, directory_url), now):
        return NotDue(rollback.held_until, "rolled back")
    return Due(reason)


def _due_at(installed: Installed, issuance: Issuance | None, advice: RenewalInfo | None, now: datetime) -> datetime:
    """When time alone makes it due. Early advice is followed at once, as certificates may be about to be revoked, but not twice in a row."""
    at = renew_at(installed, advice)
    if at < renew_at(installed) and issuance is not None and not issuance.hurried:
        return at
    return max(at, rests_until(installed, issuance, now))


def _need(damage: str | None, revocation: Revocation | None, *, is_distrusted: bool, forced: bool) -> str | None:
    """What no rollback holds back."""
    if damage:
        return damage
    if revocation is not None:
        return f"revoked ({revocation.reason})"
    if is_distrusted:
        return "its key was revoked as compromised"
    return "asked for" if forced else None


def _holds(rollback: Rollback | None, installed: Installed, wanted: str, now: datetime) -> TypeGuard[Rollback]:
    """Whether a rollback is still what the person wants, and its time is not over."""
    return (
        rollback is not None
        and (rollback.fingerprint, rollback.wish) == (installed.fingerprint, wanted)
        and now < rollback.held_until <= now + LONGEST_HOLD
    )


def _time_is_up(installed: Installed, advice: RenewalInfo | None) -> str:
    """Why a certificate is due by time: the CA says so, earlier than its lifetime would, or its lifetime does."""
    ends = f"expires at {installed.not_after:%Y-%m-%d %H:%M} UTC"
    if advice is None or renew_at(installed, advice) >= renew_at(installed):
        return ends
    explained = f", see {advice.explanation_url}" if advice.explanation_url else ""
    return f"the CA asks for renewal{explained}; {ends}"


def _names_changed(spec: CertificateSpec, installed: Installed, issuance: Issuance | None) -> str | None:
    """A name that the CA added by itself is no change; one that was asked for and is not wanted any more is."""
    asked = issuance.names if issuance else installed.names
    added = [f"+{name}" for name in sorted(spec.names - installed.names)]
    if issuance is None and not added:
        return None
    gone = [f"-{name}" for name in sorted(asked - spec.names)]
    return f"names changed: {' '.join(added + gone)}" if added or gone else None


def _key_changed(
    spec: CertificateSpec, installed: Installed, imposed: ImposedKey | None, change: KeyChange
) -> tuple[str | None, str | None]:
    """Why another key is due now, and what a change of the key waits for."""
    reason = key_choice.key_changed(spec, installed, imposed) or ("another key was asked for" if change.asked else None)
    if reason is None or change.waits_for is None:
        return reason, None
    return None, f"{reason}; {change.waits_for}"


def _terms_changed(spec: CertificateSpec, issuance: Issuance | None, directory_url: str) -> str | None:
    if issuance is not None and issuance.directory_url != directory_url:
        return f"CA changed: {issuance.directory_url} -> {directory_url}"
    if issuance is not None and issuance.profile != spec.profile:
        return f"profile changed: {issuance.profile or 'none'} -> {spec.profile or 'none'}"
    return None
