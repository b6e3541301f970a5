"""What every message is made of: data on stdout, all else on stderr; `error:` then `hint:`, understandable without colour."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from acmectl.errors import AcmectlError, ConfigurationError

if TYPE_CHECKING:
    from acmectl.model.memory import Failure

Line = tuple[str, str | None]
"""A text, and its colour, if it has one."""

SCHEMA_VERSION = 1
_CLOCK_TOLERANCE = timedelta(minutes=1)
GREEN, YELLOW, RED = "green", "yellow", "red"


def json_out(document: Mapping[str, Any]) -> None:
    """One JSON document on stdout."""
    click.echo(json.dumps({"schema_version": SCHEMA_VERSION, **document}, indent=2, ensure_ascii=False))


def error(failure: AcmectlError) -> None:
    """What ended the run, and what to do about it."""
    if isinstance(failure, ConfigurationError):
        for problem in failure.problems:
            click.echo(str(problem), err=True)
    say("error", failure.message, RED)
    hint(failure.hint)


def misuse(refusal: click.ClickException) -> None:
    """A command line that click refuses, in our voice; a group alone shows its help."""
    if isinstance(refusal, click.exceptions.NoArgsIsHelpError):
        refusal.show()
        return
    near = getattr(refusal, "possibilities", None)
    text = re.sub(r"'([^']*)'", r"`\1`", refusal.message if near else refusal.format_message()).removesuffix(".")
    context = refusal.ctx if isinstance(refusal, click.UsageError) else None
    with context.scope(cleanup=False) if context else contextlib.nullcontext():  # it knows whether in colour
        say("error", text[:1].lower() + text[1:], RED)
        if near:
            hint(f"did you mean {' or '.join(f'`{word}`' for word in near)}?")
        elif context:
            hint(f"`{context.command_path} --help` shows how it is used")


def interrupted() -> None:
    """Ctrl-C, SIGTERM or SIGHUP."""
    say("error", "interrupted", RED)


def say(word: str, text: str, colour: str) -> None:
    """`word:` in colour and bold, then the text, on stderr."""
    click.echo(f"{click.style(f'{word}:', fg=colour, bold=True)} {text}", err=True)


def hint(text: str | None) -> None:
    """What to do, if anything is known."""
    if text:
        say("hint", text, "cyan")


def hanging(text: str, margin: int = 0) -> str:
    """Words of several lines, as a service's own can be: those after the first stand to the right of `margin`, where the first begins."""
    first, *others = text.split("\n")
    return "\n".join([first, *(f"{' ' * (margin + 4)}{line}".rstrip() for line in others)])


def lines(found: Iterable[Line], *, margin: int = 0) -> None:
    """Lines of (text, colour), which begin at `margin`."""
    for text, colour in found:
        shown = hanging(text, margin)
        click.echo(f"{' ' * margin}{click.style(shown, fg=colour) if colour else shown}")


def table(rows: Sequence[Sequence[tuple[str, str | None]]]) -> None:
    """Columns of (text, colour), as wide as they need to be."""
    widths = [max(len(cell[0]) for cell in column) for column in zip(*rows, strict=True)]
    widths[-1:] = [0]  # nothing follows, and colour would keep the spaces from being stripped
    for row in rows:
        cells = [(hanging(text).ljust(width), colour) for (text, colour), width in zip(row, widths, strict=True)]
        click.echo("  ".join(click.style(text, fg=colour) if colour else text for text, colour in cells).rstrip())


def moment(at: datetime | None) -> str:
    """A moment for people, in UTC to the minute."""
    return at.strftime("%Y-%m-%d %H:%M UTC") if at else "unknown"


def span(duration: timedelta) -> str:
    """A duration for people: its two largest units."""
    minutes = max(0, round(duration.total_seconds())) // 60
    if not minutes:
        return "less than a minute"
    days, hours, left = minutes // 1440, minutes // 60 % 24, minutes % 60
    parts = [(days, "day"), (hours, "hour"), (left, "minute")]
    shown = [f"{count} {unit}{'s' * (count != 1)}" for count, unit in parts if count][:2]
    return " ".join(shown)


def until(at: datetime | None, now: datetime) -> str:
    """When something ends, and how long that is."""
    if at is None:
        return "end unknown"
    left = at - now
    return f"until {moment(at)} ({span(left)} left)" if left > timedelta() else f"ended {moment(at)}"


def valid(not_after: datetime, now: datetime) -> str:
    """Whether a certificate is, and how long: `valid until 2026-12-01 10:00 UTC (9 days left)`, or `ended ...`."""
    return f"valid {until(not_after, now)}" if not_after > now else until(not_after, now)


def iso(at: datetime | None) -> str | None:
    """A moment for programs: ISO 8601 with its offset."""
    return at.isoformat(timespec="seconds") if at else None


def counted(number: int, word: str) -> str:
    """A number with its noun."""
    return f"{number} {word}{'s' * (number != 1)}"


def clock_warning(offset: timedelta | None) -> None:
    """Say when this host's clock and the CA's differ by more than a minute."""
    if offset is not None and abs(offset) > _CLOCK_TOLERANCE:
        direction = "behind" if offset > timedelta() else "ahead of"
        minutes = timedelta(minutes=round(abs(offset) / timedelta(minutes=1)))
        say("warning", f"the clock of this host is {span(minutes)} {direction} the CA's", YELLOW)
        hint("set it, for example by `timedatectl set-ntp true`: lifetimes are judged by it")


def failure_json(failure: Failure | None) -> dict[str, Any] | None:
    """What is remembered of failures in a row."""
    if failure is None:
        return None
    return {
        "count": failure.count,
        "first": iso(failure.first_at),
        "last": iso(failure.last_at),
        "retry": iso(failure.retry_at),
        "reason": failure.reason,
    }


def requests(counts: Mapping[str, int]) -> str:
    """How often the CA was asked for what."""
    if not counts:
        return "asked nothing of the CA"
    listed = ", ".join(f"{count} {kind}" for kind, count in counts.items())
    return f"{counted(sum(counts.values()), 'request')} to the CA: {listed}"
