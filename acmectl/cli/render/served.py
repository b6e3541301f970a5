"""Words about what services serve: a line for each place that was looked at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from acmectl.cli.render.words import GREEN, RED, YELLOW, hint, iso, moment, say, span, table, until

if TYPE_CHECKING:
    from acmectl.app.served import Seen, SeenTarget
    from acmectl.deploy.wire.looking import Sighting

_Row = list[tuple[str, str | None]]


def seen(all_seen: Sequence[Seen], now: datetime) -> None:
    """A line for each place; what was not looked at, what ends soon, and what to do on stderr."""
    table([row for one in all_seen for target in one.targets for row in _rows(one, target, now)])
    _hints(all_seen)
    for one in all_seen:
        if one.error:
            say("error", f"{one.spec.title}: {one.error}", RED)
        elif not one.targets:
            say("warning", f"{one.spec.title}: nothing to look at: no target of it has a `verify`", YELLOW)
        if one.installed and one.has_ended:
            say(
                "error", f"{one.spec.title}: ended {moment(one.installed.not_after)}, and should have been renewed", RED
            )
        elif one.installed and one.ends_soon:
            left = one.installed.not_after - now
            say("warning", f"{one.spec.title}: ends in {span(left)}, and should have been renewed", YELLOW)


def _hints(all_seen: Sequence[Seen]) -> None:
    """Each once, with the targets that it is for: they belong to lines of the table."""
    places: dict[str, dict[str, None]] = {}
    for one in all_seen:
        for target in one.targets:
            for text in (s.fault.hint for s in target.sightings if s.fault and s.fault.hint):
                places.setdefault(text, {})[f"{one.spec.title} {target.name}"] = None
    for text, whose in places.items():
        hint(f"{', '.join(whose)}: {text}")


def _rows(one: Seen, target: SeenTarget, now: datetime) -> Iterator[_Row]:
    for sighting in target.sightings:
        said, colour = _outcome(one, sighting, now)
        yield [(one.spec.title, None), (target.name, None), (sighting.place_and_name, None), (said, colour)]


def _outcome(one: Seen, sighting: Sighting, now: datetime) -> tuple[str, str]:
    if sighting.fault:
        return sighting.fault.words, RED
    ends = until(one.installed.not_after, now) if one.installed else ""
    said = f"serves it {ends}, {' and '.join(reversed(sighting.versions))}"
    return "; ".join([said, *sighting.notes]), YELLOW if one.ends_soon else GREEN


def seen_json(one: Seen) -> dict[str, Any]:
    """A certificate, and every place that was looked at."""
    have = one.installed
    return {
        "label": one.spec.label,
        "serial": have.serial if have else None,
        "fingerprint_sha256": have.fingerprint if have else None,
        "not_after": iso(have.not_after) if have else None,
        "ends_soon": one.ends_soon,
        "has_ended": one.has_ended,
        "served": one.is_served,
        "error": one.error,
        "places": [_place_json(target, sighting) for target in one.targets for sighting in target.sightings],
    }


def _place_json(target: SeenTarget, sighting: Sighting) -> dict[str, Any]:
    endpoint, fault = sighting.endpoint, sighting.fault
    return {
        "target": target.name,
        "host": endpoint.address,
        "address": sighting.address,
        "port": endpoint.port,
        "protocol": endpoint.protocol.value,
        "name": sighting.name,
        "served": fault is None,
        "versions": list(sighting.versions),
        "error": fault.words if fault else None,
        "hint": fault.hint if fault else None,
        "notes": list(sighting.notes),
    }
