"""The members of a CA's JSON, each read as what it should be; every surprise is named with its URL and member.

What comes out is fit for a terminal and a log: texts are one line without control characters, and tokens cannot name
another file than their own.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from acmectl.errors import CAProtocolError

if TYPE_CHECKING:
    from enum import StrEnum

    from requests import Response

    Status = TypeVar("Status", bound=StrEnum)

_TOKEN = re.compile(r"[A-Za-z0-9_-]*")
_QUOTED = 2000  # characters of somebody else's words that a message carries


class Fields:
    """The members of one JSON object, each read as what it should be.

    Every method raises CAProtocolError with the URL that answered and the member that is missing or odd.
    """

    def __init__(self, members: object, source: str, path: str = "") -> None:
        """`members` came in the answer of the URL `source`, at `path` in it (empty: the whole answer)."""
        self._source = source
        self._path = path
        if not isinstance(members, dict):
            raise self._odd(None, f"is {_kind(members)} instead of an object")
        self._members: dict[str, Any] = members

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the members, as the CA wrote them."""
        return tuple(self._members)

    def text(self, name: str) -> str:
        """A member that must be a text, and not an empty one."""
        value = self.optional_text(name)
        if not value:
            raise self._odd(name, "is missing")
        return value

    def optional_text(self, name: str) -> str | None:
        """A text, made printable, or None where the member is missing or null."""
        value = self._members.get(name)
        if value is None:
            return None
        if isinstance(value, str):
            return printable(value)
        raise self._odd(name, f"is {_kind(value)} instead of a text")

    def url(self, name: str) -> str:
        """A member that must be a URL."""
        value = self.text(name)
        if not self.has_url(name):
            raise self._odd(name, f"is no URL: `{value}`")
        return value

    def has_url(self, name: str) -> bool:
        """Whether the member is a URL (directories also carry others)."""
        return is_url(self._members.get(name))

    def urls(self, name: str) -> tuple[str, ...]:
        """A list of URLs."""
        values = self._list(name)
        if not all(is_url(value) for value in values):
            raise self._odd(name, "has an entry that is no URL")
        return tuple(values)

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts."""
        values = self._list(name)
        if not all(isinstance(value, str) for value in values):
            raise self._odd(name, "has an entry that is no text")
        return tuple(printable(value) for value in values)

    def moment(self, name: str) -> datetime | None:
        """An RFC 3339 moment in UTC, or None where the member is missing."""
        value = self.optional_text(name)
        if not value:
            return None
        try:
            moment = datetime.fromisoformat(value.upper())
            if moment.tzinfo is None:
                raise self._odd(name, f"has no time zone: `{value}`")
            return moment.astimezone(UTC)
        except (ValueError, OverflowError) as cause:
            raise self._odd(name, f"is no moment (RFC 3339): `{value}`") from cause

    def token(self, name: str) -> str:
        """The token of a challenge, empty where it has none; other characters than these could name another file."""
        value = self.optional_text(name) or ""
        if not _TOKEN.fullmatch(value):
            raise self._odd(name, "has characters that no token may have (RFC 8555 section 8.3)")
        return value

    def flag(self, name: str) -> bool:
        """Whether the member is true."""
        return self._members.get(name) is True

    def status(self, name: str, statuses: type[Status]) -> Status:
        """One of the states that RFC 8555 section 7.1.6 knows."""
        value = self.text(name)
        try:
            return statuses(value)
        except ValueError as cause:
            raise self._odd(name, f"is no state that RFC 8555 knows: `{value}`") from cause

    def object(self, name: str) -> Fields:
        """A member that must be an object."""
        if self._members.get(name) is None:
            raise self._odd(name, "is missing")
        return Fields(self._members[name], self._source, self._member(name))

    def optional_object(self, name: str) -> Fields:
        """An object, an empty one where the member is missing or null."""
        value = self._members.get(name)
        return Fields({} if value is None else value, self._source, self._member(name))

    def objects(self, name: str) -> tuple[Fields, ...]:
        """A list of objects."""
        return tuple(
            Fields(value, self._source, f"{self._member(name)}[{number}]")
            for number, value in enumerate(self._list(name))
        )

    def _list(self, name: str) -> list[Any]:
        value = self._members.get(name)
        if value is None:
            raise self._odd(name, "is missing")
        if not isinstance(value, list):
            raise self._odd(name, f"is {_kind(value)} instead of a list")
        return value

    def _member(self, name: str) -> str:
        return f"{self._path}.{name}" if self._path else name

    def _odd(self, name: str | None, what: str) -> CAProtocolError:
        path = self._path if name is None else self._member(name)
        return CAProtocolError(f"the answer of `{self._source}` cannot be used: {f'`{path}`' if path else 'it'} {what}")


def read_object(response: Response) -> Fields:
    """The JSON object that is the body of `response`; raises CAProtocolError where it is none."""
    source = str(response.url)
    try:
        members = json.loads(response.content)
    except (ValueError, RecursionError) as cause:
        found = "a web page" if is_web_page(response) else "no JSON, or cut off"
        raise CAProtocolError(f"the answer of `{source}` cannot be used: it is {found}") from cause
    return Fields(members, source)


def is_web_page(response: Response) -> bool:
    """Whether somebody (a portal, a proxy, a wrong URL) answered with HTML."""
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return kind in {"text/html", "application/xhtml+xml"} or response.content.lstrip()[:1] == b"<"


def is_url(value: object) -> bool:
    """Whether `value` is a text that can be asked."""
    return isinstance(value, str) and value.startswith(("https://", "http://")) and value.isprintable()


def printable(text: str) -> str:
    """Somebody else's words, fit for a terminal and a log: one line, no control characters, not endless."""
    line = " ".join(text.split())
    shown = "".join(c if c.isprintable() else "?" for c in line)
    return shown if len(shown) <= _QUOTED else f"{shown[:_QUOTED]}..."


def _kind(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a truth value"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case list():
            return "a list"
        case _:
            return "an object"
