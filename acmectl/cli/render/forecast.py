"""Words about schedules: what a forecast found, and what a schedule cannot hold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from acmectl.cli.render.words import GREEN, RED, YELLOW, counted, hint, iso, moment, say, span, table
from acmectl.model.durations import format_duration
from acmectl.policy.ca_rules import LETS_ENCRYPT_LIMITS
from acmectl.policy.forecast import TOLERANCE, VALIDATION, Crowd, Shortfall

if TYPE_CHECKING:
    from acmectl.policy.forecast import Forecast, Gap, Window

    Warned = Shortfall | Crowd

_WORST = 8  # windows that are listed one by one
_COLUMNS = 60
_OPEN, _HALF, _SHUT, _BEFORE = "█", "▄", "·", " "
_RULES = {"calendar": "what Let's Encrypt has announced, by its dates", "observed": "as observed at the CA"}


def forecast(played: Forecast, rules: str, shortfalls: Sequence[Warned], *, is_terminal: bool) -> None:
    """A forecast, in words and numbers; on a terminal with a timeline."""
    names = sum(len(w.names) for w in played.windows)
    mode = "early" if played.schedule.early else "lapse"
    click.echo(
        f"{counted(names, 'name')}, a run every {format_duration(played.schedule.every)}, `refresh: {mode}`, "
        f"{span(played.until - played.start)} from {moment(played.start)}"
    )
    click.echo(f"rules: {_RULES.get(rules, f'`{rules}` for the whole time, starting from nothing')}")
    click.echo()
    table([_row(window) for window in played.windows[:_WORST]])
    if len(played.windows) > _WORST:
        rest = played.windows[_WORST:]
        longest = max(_length(w.longest) for w in rest)
        count = counted(sum(len(w.names) for w in rest), "name")
        click.echo(f"and {count} with other histories, whose longest gap is {span(longest)}")
    if is_terminal:
        _timeline(played)
    _whole(played)
    _verdict(played, shortfalls)


def _row(window: Window) -> list[tuple[str, str | None]]:
    if window.since is None:
        return [(_listed(window), None), ("never authorized", RED), ("", None)]
    gap = window.longest
    colour = RED if _is_long(_length(gap)) else GREEN
    text = "no gap" if gap is None else f"longest gap {span(gap.length)}, from {moment(gap.start)}"
    if len(window.gaps) > 1:
        text += f"; {len(window.gaps)} gaps"
    return [(_listed(window), None), (f"open {_percent(window.share)} of the time", colour), (text, None)]


def _listed(window: Window) -> str:
    first, others = window.names[0].identifier.value, len(window.names) - 1
    if window.names[0].account != "default":
        first += f" ({window.names[0].account})"
    return f"{first} and {counted(others, 'other')}" if others else first


def _percent(share: float) -> str:
    """Never rounded up to 100 %."""
    return "100 %" if share >= 1 else f"{int(share * 10000) / 100:.2f} %"


def _length(gap: Gap | None) -> timedelta:
    return gap.length if gap else timedelta()


def _is_long(length: timedelta) -> bool:
    return length > VALIDATION + TOLERANCE


def _timeline(played: Forecast) -> None:
    """A row of blocks for each window; what is shut is lower or a dot, and red."""
    step = (played.until - played.start) / _COLUMNS
    width = max(len(_listed(w)) for w in played.windows[:_WORST])
    click.echo()
    for window in played.windows[:_WORST]:
        blocks = "".join(_block(mark) for mark in _marks(window, played.start, step))
        click.echo(f"{_listed(window):<{width}}  {blocks}")
    dates = f"{played.start:%Y-%m-%d}{played.until:%Y-%m-%d}"
    click.echo(f"{'':<{width}}  {dates[:10]}{dates[10:]:>{_COLUMNS - 10}}")
    click.echo(
        f"{'':<{width}}  a block is {span(step)}: {_OPEN} open, {_HALF} shut for a part of it, {_SHUT} shut for most of it"
    )


def _block(mark: str) -> str:
    return click.style(mark, fg={_OPEN: GREEN, _HALF: RED, _SHUT: RED}.get(mark)) if mark != _BEFORE else mark


def _marks(window: Window, start: datetime, step: timedelta) -> Iterable[str]:
    """One mark for each column; gaps that a validation makes do not show."""
    shut = [timedelta()] * _COLUMNS
    for gap in window.gaps:
        if not _is_long(gap.length):
            continue
        for column in range(int((gap.start - start) / step), min(_COLUMNS, int((gap.end - start) / step) + 1)):
            begin = start + column * step
            shut[column] += max(timedelta(), min(gap.end, begin + step) - max(gap.start, begin))
    for column, length in enumerate(shut):
        if window.since is None or window.since >= start + (column + 1) * step:
            yield _BEFORE
        else:
            yield _OPEN if not length else _HALF if length < step / 2 else _SHUT


def _whole(played: Forecast) -> None:
    costs = played.costs
    click.echo()
    click.echo(f"followers can issue {_percent(played.share)} of the time; the longest gap is {span(played.longest)}")
    click.echo(
        f"each day: {_number(played.per_day(costs.orders))} newOrders, "
        f"{_number(played.per_day(costs.validations))} validations, {_number(played.per_day(costs.requests))} requests"
    )
    click.echo(
        f"at most {counted(costs.peak, 'newOrder')} in three hours, of {played.new_orders} that an account may send"
    )
    if costs.put_off:
        verb = "waits" if costs.put_off == 1 else "wait"
        click.echo(
            f"up to {counted(costs.put_off, 'name')} {verb} for a later run at once, because no newOrder is left"
        )


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _verdict(played: Forecast, shortfalls: Sequence[Warned]) -> None:
    if played.holds:
        click.echo("this schedule holds: no gap is longer than a validation takes")
        return
    click.echo("this schedule does not hold")
    warnings(shortfalls)
    if not shortfalls:
        hint("run it more often (`--every`), or divide the names among accounts: the rules alone would allow it")


def warnings(shortfalls: Iterable[Warned]) -> None:
    """What a schedule cannot hold, and what would, on stderr."""
    for shortfall in shortfalls:
        say("warning", _sentence(shortfall), YELLOW)
        hint(_remedy(shortfall))


def _sentence(shortfall: Warned) -> str:
    when = f"from {shortfall.since:%Y-%m-%d} on, " if shortfall.since else ""
    if isinstance(shortfall, Crowd):
        return when + _crowd(shortfall)
    schedule, rules = shortfall.schedule, shortfall.rules
    if shortfall.every is None:
        return (
            f"{when}the CA reuses no authorization: they live for {span(rules.reuse)}, and are not reused in their last "
            f"{span(rules.cutoff)}; followers cannot issue"
        )
    mode = "" if schedule.early else " with `refresh: lapse`"
    return (
        f"{when}runs every {format_duration(schedule.every)}{mode} leave names unauthorized for {span(shortfall.gap)} "
        f"of every {span(shortfall.of).removeprefix('1 ')}"
    )


def _crowd(crowd: Crowd) -> str:
    length = "for ever" if crowd.gap is None else f"for up to {span(crowd.gap)}"
    return (
        f"{counted(crowd.names, 'name')} of an account, with runs every {format_duration(crowd.setting.schedule.every)}, take more than "
        f"{counted(crowd.setting.new_orders, 'newOrder')} in three hours: some stay unauthorized {length}"
    )


def _remedy(shortfall: Warned) -> str:
    if isinstance(shortfall, Crowd):
        most = LETS_ENCRYPT_LIMITS.new_orders.count
        more = (
            f"raise `master.new_orders` (Let's Encrypt takes {most}), " if shortfall.setting.new_orders < most else ""
        )
        return f"{more}{'or ' if more else ''}divide the names among `accounts:`"
    if shortfall.every is None:
        return "no schedule helps; another profile of the CA may"
    every = format_duration(_round(min(shortfall.every, shortfall.schedule.every)))
    if shortfall.schedule.early:
        return f"`every: {every}` would hold, with cron to match"
    return f"`refresh: early` with `every: {every}` would hold"


def _round(every: timedelta) -> timedelta:
    """Down to whole days, hours or minutes."""
    units = (timedelta(days=1), timedelta(hours=1), timedelta(minutes=1))
    unit = next((unit for unit in units if every >= unit), timedelta(seconds=1))
    return every // unit * unit


def warning_json(shortfall: Warned) -> dict[str, Any]:
    """One thing that a schedule cannot hold; what a crowd of names lacks is no matter of the interval."""
    of = None if isinstance(shortfall, Crowd) else shortfall.of
    every = None if isinstance(shortfall, Crowd) or shortfall.every is None else _round(shortfall.every)
    return {
        "message": _sentence(shortfall),
        "hint": _remedy(shortfall),
        "from": iso(shortfall.since),
        "gap_seconds": _seconds(shortfall.gap),
        "of_seconds": _seconds(of),
        "holding_every_seconds": _seconds(every),
    }


def _seconds(length: timedelta | None) -> int | None:
    return None if length is None else int(length.total_seconds())


def forecast_json(played: Forecast, rules: str, shortfalls: Sequence[Warned]) -> dict[str, Any]:
    """A forecast."""
    costs = played.costs
    return {
        "rules": rules,
        "from": iso(played.start),
        "until": iso(played.until),
        "every_seconds": int(played.schedule.every.total_seconds()),
        "refresh": "early" if played.schedule.early else "lapse",
        "holds": played.holds,
        "share": played.share,
        "longest_gap_seconds": int(played.longest.total_seconds()),
        "per_day": {
            "new_orders": played.per_day(costs.orders),
            "validations": played.per_day(costs.validations),
            "requests": played.per_day(costs.requests),
        },
        "new_orders_in_3h": {"most": costs.peak, "limit": played.new_orders},
        "names_put_off": costs.put_off,
        "names": [_window_json(w) for w in played.windows],
        "warnings": [warning_json(s) for s in shortfalls],
    }


def _window_json(window: Window) -> dict[str, Any]:
    """Names with one history."""
    gap = window.longest
    return {
        "names": [w.identifier.value for w in window.names],
        "account": window.names[0].account,
        "profile": window.names[0].profile,
        "counted_from": iso(window.since),
        "share": window.share,
        "gaps": len(window.gaps),
        "longest_gap": None if gap is None else {"from": iso(gap.start), "seconds": int(gap.length.total_seconds())},
    }
