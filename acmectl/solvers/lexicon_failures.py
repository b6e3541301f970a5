"""What went wrong at a hosted provider, as the process that calls dns-lexicon tells it: by kind, in its words, without secrets."""

from __future__ import annotations

import base64
import json
import re
import urllib.parse
from collections.abc import Iterable, Mapping
from typing import Any

_TROUBLE = {500, 502, 503, 504}
_TOO_MANY = 429
_A_LINE = 8  # characters of a line of a key that is a secret as well
_LONGEST = 400  # characters of what a provider says

Failure = Mapping[str, Any]
"""`kind` is one of those in `LexiconSolver._error`, `text` the provider's words, without secrets.

`is_untouched` is there, and true, where no change was even asked for; `after` has the seconds of a Retry-After.
"""


class NotDone(Exception):
    """The provider did something else than it was asked for. `kind` as in `Failure`."""

    def __init__(self, kind: str, text: str = "") -> None:
        super().__init__(text)
        self.kind = kind


def failure_of(error: BaseException, secrets: Iterable[str], *, is_opening: bool = False) -> Failure:
    """What went wrong, in the provider's words without secrets. What is not found while opening is the zone."""
    if isinstance(error, NotDone):
        return {"kind": error.kind, "text": str(error)}
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    names = {kind.__name__ for kind in type(error).__mro__}
    kind = "error"
    if "AuthenticationError" in names or status in {401, 403} or (is_opening and status in {404, 422}):
        kind = "credentials"
    elif status == _TOO_MANY:
        kind = "limited"
    elif status in _TROUBLE:
        kind = "trouble"
    elif names & {"ConnectionError", "Timeout", "TimeoutError", "URLError", "gaierror"}:
        kind = "unreachable"
    said, reason = (redacted(text, secrets) for text in (str(error), _reason(response)))
    words = (type(error).__name__, said, reason if reason not in said else "")
    failure = {"kind": kind, "text": ": ".join(word for word in words if word)}
    after = str(getattr(response, "headers", {}).get("Retry-After", "")) if kind == "limited" else ""
    return {**failure, "after": float(after)} if after.isascii() and after.isdigit() else failure


def _reason(response: object) -> str:
    """What a server says beside its status, where it is meant for people: short, and no page."""
    text = getattr(response, "text", "")
    return text if isinstance(text, str) and len(text) <= _LONGEST and not text.lstrip().startswith("<") else ""


def redacted(text: str, secrets: Iterable[str]) -> str:
    """`text` on one line, without the secrets in any form that requests have, and without the query of URLs, where some providers put them."""
    text = re.sub(r"\?[^\s'\")]+", "?...", text)
    parts = {part for secret in secrets for part in (secret, *(s for s in secret.splitlines() if len(s) >= _A_LINE))}
    for form in sorted({form for part in parts for form in _forms(part)}, key=len, reverse=True):
        text = text.replace(form, "...")
    return "".join(c if c.isprintable() else " " for c in text).strip()[:_LONGEST]


def _forms(secret: str) -> tuple[str, ...]:
    """How a secret looks in URLs, JSON, Python's words and HTTP headers."""
    if not secret:
        return ()
    encoded = base64.b64encode(secret.encode()).decode("ascii")
    quoted = (urllib.parse.quote(secret), urllib.parse.quote(secret, safe=""), urllib.parse.quote_plus(secret))
    return (secret, *quoted, json.dumps(secret)[1:-1], repr(secret)[1:-1], encoded)
