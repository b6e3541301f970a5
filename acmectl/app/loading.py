"""A configuration file becomes a host: the rooms whose options it holds check them, and all problems are told at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from acmectl import config as configuration
from acmectl.config import Config, Section
from acmectl.deploy import registry as targets
from acmectl.errors import ConfigurationError, ConfigurationProblem, SolverError
from acmectl.options import Options, nearest
from acmectl.solvers import registry as solvers


@dataclass(frozen=True, slots=True)
class Parts:
    """The sections whose schema belongs to other rooms, validated: solvers by name, targets by label."""

    solvers: Mapping[str, tuple[str, Options]]
    targets: Mapping[str, tuple[tuple[str, Options], ...]]


def read(path: Path) -> tuple[Config, Parts]:
    """What the configuration at `path` says, checked; raises ConfigurationError with all problems of all files."""
    loaded = configuration.load(path)
    problems: list[ConfigurationProblem] = []
    sections = loaded.sections
    checked_solvers = {
        name: (section.type, options)
        for name, section in sections.solvers.items()
        if (options := _check(section, solvers.options_model, solvers.known_types(), problems))
    }
    checked_targets = {
        label: tuple(
            (section.type, options)
            for section in listed
            if (options := _check(section, targets.options_model, targets.known_types(), problems))
        )
        for label, listed in sections.deploy.items()
    }
    if loaded.config is not None:
        problems += _beyond_capability(loaded.config, checked_solvers)
    if loaded.config is not None and not problems:
        places = [
            pair
            for label, listed in sections.deploy.items()
            for spec in loaded.config.certificates[label].specs
            for section, (kind, options) in zip(listed, checked_targets[label], strict=True)
            for pair in [(section, (kind, targets.options_for(options, spec)))]
        ]
        problems += _in_each_others_way(places, loaded.config.state_directory)
    config = loaded.with_problems(tuple(problems)).require()
    return config, Parts(checked_solvers, checked_targets)


def _check(
    section: Section,
    model: Callable[[str], type[Options] | None],
    known: tuple[str, ...],
    problems: list[ConfigurationProblem],
) -> Options | None:
    try:
        options = model(section.type)
        if options is None:
            hint = nearest(section.type, known) or f"the types are {', '.join(known)}"
            problems.append(section.problem(f"unknown type `{section.type}`", key="type", hint=hint))
            return None
        return section.check(options)
    except ConfigurationError as error:
        problems.extend(error.problems)
    except SolverError as error:
        problems.append(section.problem(error.message, key="type", hint=error.hint))
    return None


def _beyond_capability(config: Config, checked: Mapping[str, tuple[str, Options]]) -> Iterable[ConfigurationProblem]:
    """Wildcards whose solver cannot prove any: only dns-01 can (RFC 8555 section 7.1.3, CA/Browser Forum)."""
    listed = [
        (f"master.authorize[{index}]", entry.place, entry.solver, entry.names)
        for index, entry in enumerate(config.master.authorize if config.master else ())
    ] + [
        (f"certificates.{label}", wanted.place, wanted.solver, tuple(sorted(wanted.spec.names)))
        for label, wanted in config.certificates.items()
        if wanted.solver
    ]
    for path, place, solver, names in listed:
        if solver not in checked or solvers.build(*checked[solver]).capabilities.wildcard:
            continue
        for name in names:
            if name.is_wildcard:
                yield ConfigurationProblem(
                    place,
                    path,
                    f"solver `{solver}` cannot prove the wildcard `{name}`",
                    "a wildcard needs a solver for dns-01, such as one of type `rfc2136`",
                )


def _in_each_others_way(
    places: Iterable[tuple[Section, tuple[str, Options]]], state_directory: Path
) -> Iterable[ConfigurationProblem]:
    """Targets that would overwrite each other's copies at every run, or what acmectl keeps for itself."""
    state = os.path.realpath(state_directory)
    taken: dict[Path, str] = {}
    for section, (_, options) in places:
        copies = targets.copies(options)
        if any(copy.is_relative_to(state) for copy in copies):
            hint = f"use another directory; a service can also read `{state}/certificates/LABEL/current/` directly"
            yield section.problem("is inside the state directory", key="directory", hint=hint)
        if copy := next((copy for copy in copies if copy in taken), None):
            hint = "give each a directory of its own, or other names: `files: {privkey: ..., fullchain: ...}`"
            yield section.problem(f"`{copy}` is written by `{taken[copy]}` too", key="directory", hint=hint)
        taken |= {copy: section.path for copy in copies if copy not in taken}
