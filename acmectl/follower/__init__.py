"""Issues from what is authorized. It never answers a challenge, and has no way to: see the import contracts."""

from __future__ import annotations

from acmectl.follower.engine import Follower
from acmectl.follower.outcomes import Issued, KeyWaits, Waiting
from acmectl.follower.results import CertificateResult, Failed, FollowerReport, Settings, Wish
from acmectl.follower.standing import CertificateStatus

__all__ = [
    "CertificateResult",
    "CertificateStatus",
    "Failed",
    "Follower",
    "FollowerReport",
    "Issued",
    "KeyWaits",
    "Settings",
    "Waiting",
    "Wish",
]
