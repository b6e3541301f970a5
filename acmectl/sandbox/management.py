"""A rehearsal's knobs, as JSON over HTTP: the clock, and everything that a CA can do to its clients.

No signature is asked for: only this host reaches the sandbox, and nobody relies on it. GET shows, POST turns.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from acmectl.errors import Problem
from acmectl.model.orders import AuthorizationStatus
from acmectl.options import format_duration, parse_duration
from acmectl.policy.ca_rules import Limit, Limits
from acmectl.sandbox import documents
from acmectl.sandbox.jws import load_object
from acmectl.sandbox.problems import refuse
from acmectl.sandbox.replies import Reply
from acmectl.sandbox.state import Window

if TYPE_CHECKING:
    from acmectl.sandbox.authority import Authority
    from acmectl.sandbox.counts import Counts

_KNOBS = {
    "clock": 'GET, or POST {"advance": "30d"} or {"set": "2027-02-10T00:00:00Z"}',
    "counts": "GET requests by kind and by User-Agent, or POST {} to start again from nothing",
    "forget": 'POST {"accounts": false}: lose all orders and authorizations (and accounts)',
    "authorizations": 'POST {"names": ["a.example"], "status": "revoked" or "expired"}',
    "validations": 'POST {"name": "a.example", "fail": "why", "type": "unauthorized"}, or {"name": ..., "fail": null}',
    "reject": 'POST {"name": "a.example", "reason": "why"}, or {"name": ..., "reason": null}',
    "caa": 'POST {"name": "a.example", "order": "ready" or "invalid"}, or {"name": ..., "order": null}',
    "pause": 'POST {"name": "a.example", "paused": true}',
    "renewal": 'POST {"name": "a.example", "start": "2027-02-10T00:00:00Z", "end": ..., "url": "why"}, or {"name": ..., '
    '"start": null}',
    "limits": 'GET, or POST {"failed_validations": {"count": 5, "per": "1h"}, ...}, {"off": true} or {"reset": true}',
}
_FAILURES = {"unauthorized": 403, "connection": 400, "dns": 400, "caa": 403, "rateLimited": 429}


_Value = TypeVar("_Value")


class Management:
    """Turns one knob a request; wrong values are refused with what is accepted."""

    def __init__(self, authority: Authority, counts: Counts) -> None:
        self._authority = authority
        self._state = authority.state
        self._counts = counts
        self._shows: Mapping[str, Callable[[], dict[str, Any]]] = {
            "": lambda: dict(_KNOBS),
            "clock": self._show_clock,
            "counts": self._show_counts,
            "limits": self._show_limits,
        }
        self._turns: Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "clock": self._clock,
            "counts": self._reset_counts,
            "forget": self._forget,
            "authorizations": self._authorizations,
            "validations": self._validations,
            "reject": self._reject,
            "caa": self._caa,
            "pause": self._pause,
            "renewal": self._renewal,
            "limits": self._limits,
        }

    def turn(self, knob: str, method: str, body: bytes) -> Reply:
        """Show or turn a knob. Raises Refused."""
        if method != "POST":
            if knob not in self._shows:
                raise refuse("malformed", f"`{knob}` cannot be shown; knobs: {', '.join(_KNOBS)}", 404)
            return Reply(self._shows[knob]())
        if knob not in self._turns:
            raise refuse("malformed", f"no knob `{knob}`; knobs: {', '.join(_KNOBS)}", 404)
        fields = load_object(body or b"{}", "request")
        try:
            with self._state.lock:
                return Reply(self._turns[knob](fields))
        except (KeyError, TypeError, ValueError, OverflowError) as cause:
            raise refuse("malformed", f"`{knob}` takes {_KNOBS[knob]} ({cause})") from cause

    def _show_clock(self) -> dict[str, Any]:
        return {"now": documents.moment(self._state.clock.now())}

    def _clock(self, fields: dict[str, Any]) -> dict[str, Any]:
        if "set" in fields:
            self._state.clock.set(_moment(fields["set"]))
        else:
            self._state.clock.advance(parse_duration(fields["advance"]))
        return self._show_clock()

    def _show_counts(self) -> dict[str, Any]:
        agents: dict[str, dict[str, int]] = {}
        for seen, count in self._counts.snapshot():
            kinds = agents.setdefault(seen.user_agent, {})
            kinds[seen.kind] = kinds.get(seen.kind, 0) + count
        return {"by_kind": dict(self._counts.by_kind()), "by_user_agent": agents}

    def _reset_counts(self, _: dict[str, Any]) -> dict[str, Any]:
        self._counts.reset()
        return {}

    def _forget(self, fields: dict[str, Any]) -> dict[str, Any]:
        self._authority.forget(accounts=fields.get("accounts") is True)
        return {}

    def _authorizations(self, fields: dict[str, Any]) -> dict[str, Any]:
        status = AuthorizationStatus(fields["status"])
        if status not in {AuthorizationStatus.REVOKED, AuthorizationStatus.EXPIRED}:
            raise ValueError(f"not {status}")
        names = fields["names"]
        if not isinstance(names, list):
            raise TypeError("names is no list")
        return {"changed": self._authority.set_status(names, status)}

    def _validations(self, fields: dict[str, Any]) -> dict[str, Any]:
        kind = fields.get("type", "unauthorized")
        why = fields["fail"]
        problem = None if why is None else Problem(kind, str(why), _FAILURES[kind])
        return _inject(self._state.injections.failing, str(fields["name"]), problem)

    def _reject(self, fields: dict[str, Any]) -> dict[str, Any]:
        why = fields["reason"]
        return _inject(self._state.injections.rejected, str(fields["name"]), None if why is None else str(why))

    def _caa(self, fields: dict[str, Any]) -> dict[str, Any]:
        outcome = fields["order"]
        if outcome not in {"ready", "invalid", None}:
            raise ValueError(f"not {outcome}")
        return _inject(self._state.injections.caa, str(fields["name"]), outcome)

    def _pause(self, fields: dict[str, Any]) -> dict[str, Any]:
        name, paused = str(fields["name"]), self._state.injections.paused
        (paused.add if fields["paused"] else paused.discard)(name)
        return {"paused": sorted(paused)}

    def _renewal(self, fields: dict[str, Any]) -> dict[str, Any]:
        window = None
        if fields["start"] is not None:
            url = None if fields.get("url") is None else str(fields["url"])
            window = Window(_moment(fields["start"]), _moment(fields["end"]), url)
        return _inject(self._state.injections.windows, str(fields["name"]), window)

    def _show_limits(self) -> dict[str, Any]:
        limits = self._state.limits.limits
        if limits is None:
            return {"off": True}
        named = {field.name: getattr(limits, field.name) for field in dataclasses.fields(limits)}
        return {name: {"count": limit.count, "per": format_duration(limit.per)} for name, limit in named.items()}

    def _limits(self, fields: dict[str, Any]) -> dict[str, Any]:
        limits = self._state.limits
        if fields.pop("reset", False):
            limits.reset()
        if fields.pop("off", False):
            limits.limits = None
        if fields:
            given = {name: _limit(value) for name, value in fields.items()}
            limits.limits = dataclasses.replace(limits.limits or Limits(), **given)
        return self._show_limits()


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _limit(value: Any) -> Limit:
    count, per = int(value["count"]), parse_duration(value["per"])
    if count < 0 or per <= timedelta(0):
        raise ValueError("a limit has a count and a duration")
    return Limit(count, per)


def _inject(into: dict[str, _Value], name: str, value: _Value | None) -> dict[str, Any]:
    if value is None:
        into.pop(name, None)
    else:
        into[name] = value
    return {"names": sorted(into)}
