"""What a request is answered with, before it becomes HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any


@dataclass(frozen=True, slots=True)
class Reply:
    """A JSON document, or text of another type."""

    body: Mapping[str, Any] | str
    status: int = 200
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    links: tuple[str, ...] = ()
    retry_after: timedelta | None = None
