"""Issues from what is authorized. It never answers a challenge, and has no way to: see the import contracts."""

from __future__ import annotations

from acmectl.follower.engine import CertificateResult, Follower, FollowerReport, Settings, Wish
from acmectl.follower.issuing import Issued, Waiting

__all__ = ["CertificateResult", "Follower", "FollowerReport", "Issued", "Settings", "Waiting", "Wish"]
