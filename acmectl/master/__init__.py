"""Keeps names authorized: orders, publishes, answers, and never finalizes (it has no way to: see the import contracts)."""

from __future__ import annotations

from acmectl.master.engine import Master, MasterReport, NameResult, Outcome, Settings

__all__ = ["Master", "MasterReport", "NameResult", "Outcome", "Settings"]
