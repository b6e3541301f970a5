"""Whether the options of a solver lead to where they led when something was published."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

_HOW = frozenset(
    {
        *("propagation", "timeout", "ttl", "workers", "probe"),
        *("check", "check_address", "check_timeout", "mode", "owner", "group"),
        *("credentials", "tsig_key", "tsig_key_file"),
    }
)
"""Options that say how, with whose key, and how patiently, but not where. Of a plug-in's options the others count."""


def mark(type: str, options: Mapping[str, Any]) -> str:  # noqa: A002  # the key's name in the configuration
    """A digest of a solver's type and options, as they are written, without those that do not say where."""
    where = {key: value for key, value in options.items() if key not in _HOW}
    text = json.dumps([type, where], sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
