"""Words about what a run did with a follower's certificates."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from acmectl.cli.render.certificate_standing import due
from acmectl.cli.render.deployments import at_once, configured, deployments
from acmectl.cli.render.tlsa import key_news
from acmectl.cli.render.words import RED, YELLOW, clock_warning, hint, moment, requests, say, valid
from acmectl.model.certificates import title_of

if TYPE_CHECKING:
    from acmectl.config import Config
    from acmectl.follower import CertificateResult, FollowerReport, Waiting
    from acmectl.model.certificates import Installed
    from acmectl.model.names import Identifier


def follower_report(report: FollowerReport, config: Config, now: datetime, *, talks: bool) -> None:
    """What a run did with each certificate; what needs a person on stderr in any case."""
    clock_warning(report.clock_offset)
    for alike in _failed_alike(report.results):
        _failed_certificates(alike, now)
    for result in report.results:
        _certificate_result(result, config, now, talks=talks)
        deployments(result.deployments, talks=talks)
    deployments(report.onchange, talks=talks)
    key_news(report.key_news, talks=talks)
    if talks:
        click.echo(requests(report.requests))


def _certificate_result(result: CertificateResult, config: Config, now: datetime, *, talks: bool) -> None:
    from acmectl.follower import Issued, KeyWaits, Waiting
    from acmectl.policy.renewal import NotDue

    outcome = result.outcome
    if isinstance(outcome, NotDue) and talks and result.installed:
        click.echo(f"{title_of(result.label)}: {valid(result.installed.not_after, now)}; {due(outcome)}")
    elif isinstance(outcome, Issued) and talks:
        new = outcome.installed
        click.echo(f"{title_of(result.label)}: issued ({result.due}), generation {new.generation}, serial {new.serial}")
        click.echo(f"  {valid(new.not_after, now)}")
    if isinstance(outcome, Issued) and outcome.warning:
        say("warning", f"certificate `{title_of(result.label)}`: {outcome.warning}", YELLOW)
    if isinstance(outcome, Waiting) and (talks or result.running_out):
        _waiting(result, outcome, config, now)
    if isinstance(outcome, KeyWaits) and result.running_out:
        say("error", f"certificate `{title_of(result.label)}`: {outcome.reason}, and its time is running out", RED)
    elif isinstance(outcome, KeyWaits) and talks:
        click.echo(f"{title_of(result.label)}: {outcome.reason} ({result.due})")


def _waiting(result: CertificateResult, waiting: Waiting, config: Config, now: datetime) -> None:
    """The expected outcome of an early follower, with all that the master's admin needs to know."""
    names = ", ".join(map(str, waiting.names))
    if result.running_out:
        say("error", f"certificate `{title_of(result.label)}` waits for the master, and its time is running out", RED)
    lines = [
        f"{title_of(result.label)}: not authorized yet: {names}",
        f"  waiting since {moment(waiting.since)} ({result.due})",
        *_stuck(result.label, waiting, now),
        f"  account {waiting.account_url} at {waiting.directory_url}, profile {waiting.profile or 'none'}",
        *_other_profile(waiting),
        f"  {_installed_left(result.installed, now)}",
        *(_for_the_master(waiting.names) if config.master is None else ()),
    ]
    click.echo("\n".join(lines), err=result.running_out)


def _other_profile(waiting: Waiting) -> Iterable[str]:
    """The likely cause, where the master proves under another profile."""
    if waiting.is_under_another_profile:
        yield (
            f"  the account came with profile {waiting.account_profile}, and the CA reuses nothing across profiles: this is the likely "
            f"cause; set `profile: {waiting.account_profile}`, or change it on the master too"
        )


def _for_the_master(names: Iterable[Identifier]) -> Iterable[str]:
    """What the admin of the master can paste; a host that is its own master has it."""
    yield "  the master must list, for this account and profile:"
    yield "    authorize:"
    yield f"      - names: [{', '.join(_yaml(str(name)) for name in names)}]"
    yield "        solver: ..."


def _stuck(label: str, waiting: Any, now: datetime) -> list[str]:
    """When the CA is asked again; that the names may be authorized by now, and only the order is in the way."""
    if waiting.next_look_at is not None:
        when = moment(waiting.next_look_at)
        at_once = f"`acmectl follower run {configured(label)}` at once"
        return [f"  asked a short while ago; a run after {when} asks again, {at_once}"]
    if waiting.given_up_at is None:
        return []
    when = f"at {moment(waiting.given_up_at)}" if waiting.given_up_at > now else "by a later run"
    return [f"  the CA hands out the order of an earlier run again; if this goes on, it is given up {when}"]


def _yaml(name: str) -> str:
    return f'"{name}"' if name.startswith("*") else name


def _installed_left(installed: Installed | None, now: datetime) -> str:
    if installed is None:
        return "no certificate is installed"
    return f"the installed certificate {'is ' if installed.not_after > now else ''}{valid(installed.not_after, now)}"


def _failed_alike(results: Iterable[CertificateResult]) -> Iterable[list[CertificateResult]]:
    """The certificates that failed, those with the same reason together."""
    from acmectl.follower import Failed

    groups: dict[Failed, list[CertificateResult]] = {}
    for result in results:
        if isinstance(result.outcome, Failed):
            groups.setdefault(result.outcome, []).append(result)
    return groups.values()


def _failed_certificates(alike: list[CertificateResult], now: datetime) -> None:
    failed: Any = alike[0].outcome
    again = f"; next attempt after {moment(failed.retry_at)}" if failed.retry_at else ""
    labels = ", ".join(f"`{title_of(result.label)}`" for result in alike)
    one = len(alike) == 1
    was, left = ("was", "is") if one else ("were", "are")
    verb = f"{was} not issued" if failed.attempted else f"{left} left alone after an earlier failure"
    say("error", f"certificate{'' if one else 's'} {labels} {verb}: {failed.reason}{again}", RED)
    hint(failed.hint if failed.attempted else at_once(result.label for result in alike))
    for result in alike:
        if result.running_out:
            left_now = _installed_left(result.installed, now)
            say("error", f"certificate `{title_of(result.label)}`: time is running out: {left_now}", RED)
