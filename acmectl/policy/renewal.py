"""When a certificate is due: a fraction of its lifetime, or the configuration asks for another one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from acmectl.model.certificates import CertificateSpec, Installed

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
    spec: CertificateSpec, installed: Installed | None, damage: str | None, *, now: datetime, forced: bool = False
) -> Due | NotDue:
    """Whether `spec` needs a new certificate; `damage` says what is wrong with the installed files, if anything."""
    if installed is None:
        return Due(damage or "no certificate yet")
    if damage:
        return Due(damage)
    if forced:
        return Due("asked for")
    if installed.names != spec.names:
        return Due(_changed(spec, installed))
    if installed.key_type is not spec.key_type:
        return Due(f"key type changed: {installed.key_type or 'unknown'} -> {spec.key_type}")
    at = renew_at(installed)
    return NotDue(at) if now < at else Due(f"expires at {installed.not_after:%Y-%m-%d %H:%M} UTC")


def _changed(spec: CertificateSpec, installed: Installed) -> str:
    added = [f"+{name}" for name in sorted(spec.names - installed.names)]
    gone = [f"-{name}" for name in sorted(installed.names - spec.names)]
    return f"names changed: {' '.join(added + gone)}"
