"""`acmectl forecast`: this host's schedule, played against a CA's rules before the CA does it."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from acmectl.cli.context import Context, DurationType, as_json, pass_context
from acmectl.cli.render import forecast as forecast_
from acmectl.cli.render import words
from acmectl.errors import StorageError, UsageError
from acmectl.policy import batching, ca_rules, forecast, lifetimes, terms
from acmectl.policy.health import ExitStatus

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from acmectl.app import Host
    from acmectl.model.memory import RememberedAuthorization
    from acmectl.policy.terms import Terms

Warned = forecast.Shortfall | forecast.Crowd

_CLASSIC = ca_rules.LETS_ENCRYPT["classic"]
_FIXED = {
    "classic": _CLASSIC[0][1],
    "classic-2027": _CLASSIC[1][1],
    "classic-2028": _CLASSIC[2][1],
    "tlsserver": ca_rules.LETS_ENCRYPT["tlsserver"][0][1],
    "shortlived": ca_rules.LETS_ENCRYPT["shortlived"][0][1],
}


@click.command("forecast")
@click.option("--days", type=click.IntRange(1, 3660), default=365, show_default=True, help="For so many days from now.")
@click.option(
    "--every", type=DurationType(), metavar="DURATION", help="Runs so far apart; `master.every` if not given."
)
@click.option(
    "--ca",
    type=click.Choice([*_FIXED, "observed", "calendar"]),
    help="Whose rules: a row of Let's Encrypt's for the whole time, starting from nothing; as they were `observed` at the "
    "CA; or by the `calendar` of what Let's Encrypt has announced (the default there, elsewhere `observed`).",
)
@click.option("--refresh", type=click.Choice(["early", "lapse"]), help="Refresh so, whatever `master.refresh` says.")
@as_json
@pass_context
def forecast_command(
    context: Context, days: int, every: timedelta | None, ca: str | None, refresh: str | None, *, json: bool
) -> int:
    """Say how much of the time followers can issue.

    The schedule of this host's master is played: the runs decide as the real ones do, and the CA answers by its
    published or observed rules. Nobody is asked. Every validation is taken to succeed. Exit status 1 when a name stays unauthorized for longer than a validation takes.
    """
    with context.reading() as host:
        master = host.config.master
        if master is None:
            raise UsageError("this host is no master", hint="its configuration has no `master:`")
        if every is not None and every < timedelta(minutes=1):
            raise UsageError("runs are at least a minute apart", hint="`--every 1m`, or more")
        schedule = lifetimes.Schedule(
            every or master.every, early=refresh == "early" if refresh else master.refreshes_early
        )
        rules = ca or ("calendar" if is_lets_encrypt(host) else "observed")
        start = host.master().now
        remembered = host.state.memory.authorizations()
        conditions = {profile: _terms(host, profile, rules) for profile in {w.profile for w in host.wanted}}
        played = forecast.play(
            host.wanted,
            () if rules in _FIXED else remembered,
            conditions,
            forecast.Setting(schedule, new_orders=master.new_orders, workers=master.workers),
            start=start,
            until=start + timedelta(days=days),
        )
        shortfalls = [
            s for s in _too_short(host, conditions, schedule, start) if s.since is None or s.since < played.until
        ]
    if json:
        words.json_out({"forecast": forecast_.forecast_json(played, rules, shortfalls)})
    else:
        forecast_.forecast(played, rules, shortfalls, is_terminal=sys.stdout.isatty())
    return ExitStatus.AS_WANTED if played.holds else ExitStatus.FAILED


def shortfalls(host: Host) -> tuple[Warned, ...]:
    """What the configured schedule cannot hold, by what is known of the CA: published, else observed, else nothing."""
    master = host.config.master
    if master is None:
        return ()
    schedule, now = lifetimes.Schedule(master.every, early=master.refreshes_early), host.clock()
    conditions = {profile: _known(host, profile) for profile in dict.fromkeys(w.profile for w in host.wanted)}
    return _too_short(host, {profile: t for profile, t in conditions.items() if t}, schedule, now)


def _too_short(
    host: Host, conditions: Mapping[str | None, Terms], schedule: lifetimes.Schedule, now: datetime
) -> tuple[Warned, ...]:
    """What a schedule cannot hold for any name, and then what it cannot hold for so many."""
    master = host.config.master
    if master is None:
        return ()
    setting = forecast.Setting(schedule, new_orders=master.new_orders, workers=master.workers)
    names = [w for w in host.wanted if w.profile in conditions]
    short = [s for t in conditions.values() for s in forecast.shortfalls(t, schedule, now)]
    return (*short, *forecast.crowds(names, conditions, setting, now))


def _known(host: Host, profile: str | None) -> Terms | None:
    """The rules that are published, else observed; without what was learned where the state cannot be read.

    Whoever checks a configuration need not be root.
    """
    is_published = is_lets_encrypt(host) and (profile or ca_rules.DEFAULT_PROFILE) in ca_rules.LETS_ENCRYPT
    try:
        return _calendar(host, profile) if is_published else _observed(host, profile)
    except StorageError:
        return terms.published(profile or ca_rules.DEFAULT_PROFILE) if is_published else None


def is_lets_encrypt(host: Host) -> bool:
    """Whether the rules of the configured authority are published."""
    from acmectl.app import LETS_ENCRYPT

    return host.config.authority.directory_url in LETS_ENCRYPT


def _terms(host: Host, profile: str | None, rules: str) -> Terms:
    """The rules that a person chose; raises UsageError where there are none of that kind."""
    if rules in _FIXED:
        return terms.constant(_FIXED[rules])
    if rules == "observed":
        known = _observed(host, profile)
        if known is None:
            raise UsageError(
                "no lifetime of an authorization has been seen yet at this CA",
                hint="do a first `acmectl master run`, or choose rules: `acmectl forecast --ca classic`",
            )
        return known
    name = profile or ca_rules.DEFAULT_PROFILE
    if name not in ca_rules.LETS_ENCRYPT:
        raise UsageError(
            f"Let's Encrypt has announced nothing for a profile `{name}`",
            hint="`acmectl forecast --ca observed`, or a row such as `--ca classic`",
        )
    return _calendar(host, profile)


def _calendar(host: Host, profile: str | None) -> Terms:
    """What is published, and what the master has learned besides."""
    master = host.master()
    told = terms.published(profile or ca_rules.DEFAULT_PROFILE)
    return told.learned(max_names=master.learned_limit(profile), knowledge=master.knowledge(profile))


def _observed(host: Host, profile: str | None) -> Terms | None:
    """L as it was last seen, and C from above; None where nothing was seen."""
    seen: Mapping[datetime, RememberedAuthorization] = {
        a.seen_at: a for a in host.state.memory.authorizations() if a.profile == profile and a.lifetime
    }
    lifetime = seen[max(seen)].lifetime if seen else None
    if lifetime is None:
        return None
    known = host.master().knowledge(profile)
    cutoff = lifetimes.cutoff_from_above(known=known.cutoff, span=known.span, lifetime=lifetime)
    names = terms.published(profile or "classic").at(host.clock()).max_names if known.cutoff else batching.MAX_NAMES
    rules = terms.observed(lifetime=lifetime, cutoff=cutoff, max_names=names, published=known.cutoff is not None)
    return rules.learned(max_names=host.master().learned_limit(profile), knowledge=known)
