"""Words about solvers: the types there are, and what came of trying names."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from acmectl.cli.render.options import option_json
from acmectl.cli.render.options import options as options_
from acmectl.cli.render.words import GREEN, RED, YELLOW, counted, hint, say, table

if TYPE_CHECKING:
    from acmectl.described_options import Option
    from acmectl.errors import AcmectlError
    from acmectl.master import Trial
    from acmectl.solvers.base import Capabilities
    from acmectl.solvers.describing import Described


def types(described: Sequence[Described]) -> None:
    """One line a type; what cannot be used on stderr."""
    usable = [one for one in described if one.capabilities]
    table([_type_row(one, one.capabilities) for one in usable if one.capabilities])
    for one in described:
        if one.error:
            say("error", one.error.message, RED)
            hint(one.error.hint)


def _type_row(one: Described, able: Capabilities) -> list[tuple[str, str | None]]:
    origin = "" if one.origin == "built in" else f" ({one.origin})"
    return [(one.name, GREEN), (", ".join(able.challenge_types), None), (f"{one.summary}{origin}", None)]


def type_(one: Described, options: Sequence[Option]) -> None:
    """What a type can do, and its options."""
    click.echo(f"{click.style(one.name, bold=True)}: {one.summary}")
    rows = [("from", one.origin)]
    if one.capabilities:
        rows += list(_abilities(one.capabilities))
    table([[(f"  {word}:", None), (text, None)] for word, text in rows])
    options_(options)


def providers(names: Sequence[str]) -> None:
    """The providers that a type has options for."""
    if names:
        listed = textwrap.fill(", ".join(names), 100, initial_indent="    ", subsequent_indent="    ")
        click.echo(
            f"\n  {counted(len(names), 'provider')}; `acmectl solvers show PROVIDER` says what each takes\n{listed}"
        )


def provider_json(one: Described, options: Sequence[Option]) -> dict[str, Any]:
    """A provider of type `lexicon`."""
    return {"name": one.name, "type": "lexicon", "origin": one.origin, "options": [option_json(o) for o in options]}


def _abilities(able: Capabilities) -> Sequence[tuple[str, str]]:
    proves = ["names", *(["wildcards"] if able.wildcard else []), *(["IP addresses"] if able.ip else [])]
    probe = "a made-up value is published, seen and removed" if able.probe == "publish" else "never tried: on trust"
    return [("challenges", ", ".join(able.challenge_types)), ("proves", ", ".join(proves)), ("before a refresh", probe)]


def type_json(one: Described) -> dict[str, Any]:
    """A type."""
    able = one.capabilities
    return {
        "name": one.name,
        "origin": one.origin,
        "summary": one.summary,
        "challenges": list(able.challenge_types) if able else [],
        "wildcard": able.wildcard if able else None,
        "ip": able.ip if able else None,
        "probe": able.probe if able else None,
        "error": one.error.message if one.error else None,
    }


def failed(tried: Sequence[Trial]) -> bool:
    """Whether a solver did not work, or left something behind."""
    return any(trial.failed for trial in tried) or bool(_unprovable(tried))


def trials(tried: Sequence[Trial]) -> None:
    """A line for each name and solver; what failed on stderr, those with the same reason together."""
    table([_trial_row(trial) for trial in tried])
    groups: dict[tuple[str, str, str | None], list[Trial]] = {}
    for trial in tried:
        if trial.error and (trial.failed or trial in _unprovable(tried)):
            groups.setdefault((trial.solver, trial.error.message, trial.error.hint), []).append(trial)
    for (solver, message, advice), alike in groups.items():
        say("error", f"solver `{solver}` cannot prove {_names(alike)}: {message}", RED)
        hint(advice)
    for trial in tried:
        if trial.left:
            say("warning", f"left behind for `{trial.wanted.identifier}`: {trial.left.message}", YELLOW)
            hint(trial.left.hint or "the next run tries to remove it again")
    works = len({trial.wanted for trial in tried if _works(trial)})
    click.echo(f"{works} of {counted(len({trial.wanted for trial in tried}), 'name')} can be proven")


def _unprovable(tried: Sequence[Trial]) -> list[Trial]:
    """The trials of names that no solver is for at all."""
    able = {trial.wanted for trial in tried if trial.type is not None}
    return [trial for trial in tried if trial.wanted not in able]


def _works(trial: Trial) -> bool:
    return trial.type is not None and trial.error is None


def _names(alike: Sequence[Trial]) -> str:
    return ", ".join(f"`{trial.wanted.identifier}`" for trial in alike)


def _trial_row(trial: Trial) -> list[tuple[str, str | None]]:
    name, solver = str(trial.wanted.identifier), trial.solver
    if trial.type is None:
        outcome: tuple[str, str | None] = ("not for this name", None)
    elif trial.error:
        outcome = ("failed", RED)
    elif not trial.is_probed:
        outcome = ("not tried: it publishes only what a CA asks for", YELLOW)
    else:
        outcome = ("works", GREEN)
    return [(name, None), (solver, None), (trial.type or "", None), outcome]


def trials_json(tried: Sequence[Trial]) -> list[dict[str, Any]]:
    """What came of each name and solver."""
    return [
        {
            "name": trial.wanted.identifier.value,
            "solver": trial.solver,
            "challenge": trial.type,
            "works": _works(trial),
            "probed": trial.is_probed,
            "error": _error_json(trial.error),
            "left": _error_json(trial.left),
        }
        for trial in tried
    ]


def _error_json(error: AcmectlError | None) -> dict[str, str | None] | None:
    return {"message": error.message, "hint": error.hint} if error else None
