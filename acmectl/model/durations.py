"""How people write lengths of time, in a configuration and on the command line: `90s`, `15m`, `12h`, `30d`.

Apart from the schema of options, because a command line that only shows its help must not pay for pydantic.
"""

from __future__ import annotations

import re
from datetime import timedelta

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?[smhdw])+\Z")


def parse_duration(text: str) -> timedelta:
    """`90s`, `15m`, `12h`, `30d`, `1d12h` as a timedelta; raises ValueError with what is accepted."""
    if not isinstance(text, str) or not _DURATION.match(text):
        raise ValueError("not a duration: write a number and a unit, such as `90s`, `15m`, `12h` or `30d`")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in re.findall(r"([\d.]+)([smhdw])", text))
    if seconds > 100 * 366 * 86400:
        raise ValueError("longer than a hundred years")
    return timedelta(seconds=seconds)


def format_duration(duration: timedelta) -> str:
    """The shortest text that `parse_duration` reads back: `1d12h`."""
    rest, parts = round(duration.total_seconds()), []
    for unit in ("d", "h", "m", "s"):
        count, rest = divmod(rest, _UNITS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"
