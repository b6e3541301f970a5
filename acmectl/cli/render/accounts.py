"""Words about accounts and the configuration as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from acmectl.cli.render.words import YELLOW, counted, hint, moment, say
from acmectl.errors import ConfigurationProblem
from acmectl.model.certificates import title_of
from acmectl.model.durations import format_duration

if TYPE_CHECKING:
    from acmectl.app.privilege import Excess
    from acmectl.config import Config
    from acmectl.model.memory import Event
    from acmectl.storage.accounts import StoredAccount


def problem_json(problem: ConfigurationProblem) -> dict[str, Any]:
    """One configuration problem."""
    return {
        "file": str(problem.place.file),
        "line": problem.place.line,
        "path": problem.path,
        "message": problem.message,
        "hint": problem.hint,
    }


def warnings(found: Iterable[ConfigurationProblem]) -> None:
    """What the configuration asks for, and this host does not have, or has and is not asked for, on stderr."""
    for one in found:
        say("warning", f"{one.place}: `{one.path}`: {one.message}", YELLOW)
        hint(one.hint)


def configuration(path: Path, config: Config) -> None:
    """What a configuration without problems asks for."""
    click.echo(f"{path}: no problems")
    click.echo(f"CA: {config.authority.directory_url}, profile {config.profile or 'none'}")
    click.echo(f"state: {config.state_directory}")
    if config.master is not None:
        names = sum(len(entry.names) for entry in config.master.authorize)
        kept = f"{counted(names, 'name')} authorized" if names else "records published"
        click.echo(f"master: keeps {kept}, every {format_duration(config.master.every)}")
    for label, certificate in config.certificates.items():
        targets = counted(len(certificate.deploy), "target")
        click.echo(f"certificate {label}: {', '.join(map(str, sorted(certificate.spec.names)))} ({targets})")


def account(stored: StoredAccount, done: str | None, status: str | None = None) -> None:
    """An account, without its key; `done` says what just happened to it."""
    click.echo(f"account {stored.name}" + (f": {done}" if done else ""))
    rows = [
        ("directory", stored.directory_url),
        ("URL", stored.account_url),
        ("thumbprint", stored.thumbprint),
        ("profile", stored.profile or "none"),
        ("contact", ", ".join(stored.contact) or "none"),
        *([("bound to", stored.kid)] if stored.kid else []),
        *([("at the CA", status)] if status else []),
    ]
    for word, value in rows:
        click.echo(f"  {word + ':':<12}{value}")
    if stored.next_key_pem is not None:
        say(
            "warning", f"the rollover of the key of `{stored.name}` is unfinished: the CA knows one of two keys", YELLOW
        )
        hint(f"`acmectl account rollover {stored.name}` finds out which, and finishes")


def account_json(stored: StoredAccount, status: str | None) -> dict[str, Any]:
    """An account, without its key."""
    return {
        "name": stored.name,
        "directory": stored.directory_url,
        "url": stored.account_url,
        "thumbprint": stored.thumbprint,
        "profile": stored.profile,
        "contact": list(stored.contact),
        "kid": stored.kid,
        "terms": stored.terms,
        "opens": None if stored.opens is None else list(stored.opens),
        "rollover_unfinished": stored.next_key_pem is not None,
        "status": status,
    }


def exported(stored: StoredAccount, file: Path, certificate_keys: Sequence[str], *, encrypted: bool) -> None:
    """Where a bundle lies, and what it opens."""
    click.echo(
        f"account {stored.name}: exported to {file} ({'encrypted' if encrypted else 'not encrypted'}, mode 0600)"
    )
    click.echo(f"  {'thumbprint:':<12}{stored.thumbprint}")
    if certificate_keys:
        click.echo(f"  {'with key of:':<12} {', '.join(map(title_of, certificate_keys))}")
    holder, option = (" and its passphrase", " --passphrase-file FILE") if encrypted else ("", "")
    power = "can get certificates for every name that the master keeps authorized"
    say("warning", f"whoever has `{file}`{holder} {power}", YELLOW)
    hint(f"on the follower: `acmectl account import {file.name}{option}`, then remove it on both hosts")


def handed_over(stored: StoredAccount, client: str, directory: Path) -> None:
    """Where another client finds the account, and what it opens."""
    click.echo(f"account {stored.name}: exported for {client} to {directory} (not encrypted, mode 0600)")
    click.echo(f"  {'thumbprint:':<12}{stored.thumbprint}")
    power = "can get certificates for every name that the master keeps authorized"
    say("warning", f"whoever has the key in `{directory}` {power}", YELLOW)
    if stored.profile is not None:
        hint(f"{client} must ask for profile `{stored.profile}` too, or the CA reuses nothing")


def terms_changed(terms: str | None) -> None:
    """The CA has other terms of service than those that were agreed to."""
    say("warning", f"the CA's terms of service changed: {terms or 'it names none now'}", YELLOW)
    hint("read them, and agree with `acmectl account update --agree-tos`")


def void(exports: Sequence[Event]) -> None:
    """Which copies of an account's old key are worth nothing now."""
    say("warning", "every other host with this account has a key now that the CA does not know", YELLOW)
    for event in exports:
        say("warning", f"void: the copy of {moment(event.at)} {event.text}", YELLOW)


def other_hosts(stored: StoredAccount, bundle: Path | None, *, encrypted: bool) -> None:
    """What the other hosts of an account need after a rollover."""
    option = " --passphrase-file FILE" if encrypted else ""
    if bundle is None:
        hint(
            f"`acmectl account export FILE --account {stored.name}`, and on each of them `acmectl account import FILE --replace`"
        )
    else:
        hint(f"on each of them: `acmectl account import {bundle.name} --replace{option}`, then remove `{bundle}`")


def deactivated(stored: StoredAccount, archived: Path) -> None:
    """An account that is no more."""
    click.echo(f"account {stored.name}: deactivated")
    click.echo(f"  {'URL:':<12}{stored.account_url}")
    click.echo(f"  {'archived:':<12}{archived}")
    hint("`acmectl account register` makes another; certificates are issued again when its names were proven")


def keys_will_change(labels: Sequence[str]) -> None:
    """Keys that were exported to be shared, and that this host will not keep."""
    for label in labels:
        say(
            "warning",
            f"this host makes another key for `{title_of(label)}` at its next renewal: it is shared no more then",
            YELLOW,
        )
        hint("`reuse_key: true` for this certificate keeps it")


def placed_keys(labels: Sequence[str]) -> None:
    """Keys that came with an account, and when they are used."""
    for label in labels:
        click.echo(f"certificate {title_of(label)}: its key was placed; the next run issues a certificate for it")


_FEW = 5  # names that a warning lists
_OWN_ACCOUNT = (
    "give this host an account of its own: on the master one more under `accounts`, with only this host's names under "
    "`master.authorize`; register and export it there, and import it here with `--replace`"
)


def excess(found: Iterable[Excess]) -> None:
    """Accounts that open more names than this host needs."""
    for one in found:
        say("warning", _opens(one), YELLOW)
        hint(_OWN_ACCOUNT)


def excess_json(one: Excess) -> dict[str, Any]:
    """An account that opens more names than this host needs."""
    return {"message": _opens(one), "hint": _OWN_ACCOUNT, "account": one.account, "names": list(one.names)}


def _opens(one: Excess) -> str:
    more = f" and {len(one.names) - _FEW} more" if len(one.names) > _FEW else ""
    return (
        f"whoever steals the key of the account `{one.account}` from this host can get certificates for names that none of "
        f"its certificates needs: {', '.join(one.names[:_FEW])}{more} (as of the export)"
    )
