"""Keeps names authorized: orders, publishes, answers, and never finalizes (it has no way to: see the import contracts)."""

from __future__ import annotations

from acmectl.master.engine import Master
from acmectl.master.preflight import Step
from acmectl.master.report import Forgotten, Found, Looked, MasterReport, NameResult, Note, Outcome, Settings
from acmectl.master.trying import Trial

__all__ = [
    "Forgotten",
    "Found",
    "Looked",
    "Master",
    "MasterReport",
    "NameResult",
    "Note",
    "Outcome",
    "Settings",
    "Step",
    "Trial",
]
