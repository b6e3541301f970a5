"""The types of values in a configuration, for every room (and plug-in) that has options of its own.

Values come from YAML as `Text`, strings that know in which file and line they were written; that is how a relative path is
relative to the file that names it, and how an error finds its line. Secrets are named by file, never written into the configuration.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from acmectl.errors import Place

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?[smhdw])+\Z")


class Text(str):
    """A string of the configuration that knows its place."""

    __slots__ = ("place",)
    place: Place

    def __new__(cls, value: str, place: Place) -> Self:
        """`value`, as written at `place`."""
        self = super().__new__(cls, value)
        self.place = place
        return self


class Options(BaseModel):
    """The base of every section's schema: unknown keys are refused, nothing is coerced, nothing can be changed."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, arbitrary_types_allowed=True)


def parse_duration(text: str) -> timedelta:
    """`90s`, `15m`, `12h`, `30d`, `1d12h` as a timedelta; raises ValueError with what is accepted."""
    if not isinstance(text, str) or not _DURATION.match(text):
        raise ValueError("not a duration: write a number and a unit, such as `90s`, `15m`, `12h` or `30d`")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in re.findall(r"([\d.]+)([smhdw])", text))
    return timedelta(seconds=seconds)


def format_duration(duration: timedelta) -> str:
    """The shortest text that `parse_duration` reads back: `1d12h`."""
    rest, parts = round(duration.total_seconds()), []
    for unit in ("d", "h", "m", "s"):
        count, rest = divmod(rest, _UNITS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def _duration(value: Any) -> timedelta:
    return value if isinstance(value, timedelta) else parse_duration(value)


def _path(value: Any) -> Path:
    if isinstance(value, Path):
        return value
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError("not a path")
    path = Path(value).expanduser()
    return value.place.file.parent.absolute() / path if isinstance(value, Text) else path


def _mode(value: Any) -> int:
    if isinstance(value, str) and re.fullmatch(r"0?[0-7]{3}", value):
        return int(value, 8)
    raise ValueError('not a file mode: write it in quotes, such as "0640" (YAML reads a bare 0640 as a number)')


def _argv(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        raise ValueError("a command is a list of words, such as `[systemctl, reload, postfix]`: no shell is involved")
    if not isinstance(value, Iterable) or not (words := tuple(value)) or not all(isinstance(w, str) for w in words):
        raise ValueError("a command is a list of words, none of them a number or a truth value (use quotes)")
    if not words[0] or any("\0" in word for word in words):
        raise ValueError("the first word of a command names a program")
    return tuple(str(word) for word in words)


Duration = Annotated[timedelta, BeforeValidator(_duration)]
ConfigPath = Annotated[Path, BeforeValidator(_path)]
Mode = Annotated[int, BeforeValidator(_mode)]
Argv = Annotated[tuple[str, ...], BeforeValidator(_argv)]
Port = Annotated[int, Field(ge=1, le=65535)]
