"""When a certificate is due: a fraction of its lifetime, or the configuration asks for another one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from acmectl.model.certificates import CertificateSpec, ImposedKey, Installed, Issuance
from acmectl.policy import key_choice

SHORT = timedelta(days=10)  # lifetimes below this are renewed at half, not at a third left


@dataclass(frozen=True, slots=True)
class Due:
    """The certificate is to be issued now, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class NotDue:
    """The certificate is as wanted; it will be due at `at`."""

    at: datetime


def renew_at(installed: Installed) -> datetime:
    """When two thirds of the lifetime have passed, or half of one under ten days (as Let's Encrypt advises)."""
    fraction = 1 / 2 if installed.lifetime < SHORT else 2 / 3
    return installed.not_before + fraction * installed.lifetime


def due(
    spec: CertificateSpec,
    installed: Installed | None,
    damage: str | None,
    *,
    now: datetime,
    directory_url: str,
    issuance: Issuance | None,
    imposed: ImposedKey | None = None,
    forced: bool = False,
) -> Due | NotDue:
    """Whether `spec` needs a new certificate of the CA at `directory_url`.

    `damage` says what is wrong with the installed files, if anything; `issuance` what was asked for when the installed
    certificate was issued. Where that is not known (the state database was lost), it is taken to be what is wanted now. `imposed` is
    the key that a person wants it to have.
    """
    if installed is None:
        return Due(damage or "no certificate yet")
    if damage:
        return Due(damage)
    if forced:
        return Due("asked for")
    changed = _names_changed(spec, installed, issuance) or _terms_changed(
        spec, installed, issuance, imposed, directory_url
    )
    if changed:
        return Due(changed)
    at = renew_at(installed)
    return NotDue(at) if now < at else Due(f"expires at {installed.not_after:%Y-%m-%d %H:%M} UTC")


def _names_changed(spec: CertificateSpec, installed: Installed, issuance: Issuance | None) -> str | None:
    """A name that the CA added by itself is no change; one that was asked for and is not wanted any more is."""
    asked = issuance.names if issuance else installed.names
    added = [f"+{name}" for name in sorted(spec.names - installed.names)]
    gone = [f"-{name}" for name in sorted(asked - spec.names)]
    return f"names changed: {' '.join(added + gone)}" if added or gone else None


def _terms_changed(
    spec: CertificateSpec,
    installed: Installed,
    issuance: Issuance | None,
    imposed: ImposedKey | None,
    directory_url: str,
) -> str | None:
    if changed := key_choice.key_changed(spec, installed, imposed):
        return changed
    if issuance is not None and issuance.directory_url != directory_url:
        return f"CA changed: {issuance.directory_url} -> {directory_url}"
    if issuance is not None and issuance.profile != spec.profile:
        return f"profile changed: {issuance.profile or 'none'} -> {spec.profile or 'none'}"
    return None
