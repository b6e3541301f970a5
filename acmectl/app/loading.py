"""A configuration file becomes a host: the rooms whose options it holds check them, and all problems are told at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from acmectl import config as configuration
from acmectl.app import in_the_way
from acmectl.config import Config, Section, Sections
from acmectl.deploy import registry as targets
from acmectl.deploy.target import Target
from acmectl.deploy.tlsa.options import RecordsOptions, TlsaOptions
from acmectl.errors import ConfigurationError, ConfigurationProblem, SolverError
from acmectl.model.names import Identifier
from acmectl.options import Options, nearest
from acmectl.solvers import claims
from acmectl.solvers import registry as solvers
from acmectl.solvers.base import Capabilities

OptionsT = TypeVar("OptionsT", bound=Options)


@dataclass(frozen=True, slots=True)
class Parts:
    """The sections whose schema belongs to other rooms, validated: solvers by name, targets and `tlsa` by label, `master.records`.

    `named` are the places of all files that the configuration names or consists of.
    """

    solvers: Mapping[str, tuple[str, Options]]
    targets: Mapping[str, tuple[tuple[str, Options], ...]]
    tlsa: Mapping[str, TlsaOptions] = field(default_factory=dict)
    records: tuple[RecordsOptions, ...] = ()
    named: frozenset[str] = frozenset()


def read(path: Path) -> tuple[Config, Parts]:
    """What the configuration at `path` says, checked; raises ConfigurationError with all problems of all files."""
    loaded = configuration.load(path)
    problems: list[ConfigurationProblem] = []
    sections = loaded.sections
    checked_solvers = {
        name: (section.type, options)
        for name, section in sections.solvers.items()
        if (options := _check(section, solvers.options_model, solvers.known_types, problems, guard=solvers.guard))
    }
    checked_targets = {
        label: tuple(
            (section.type, options)
            for section in listed
            if (options := _check(section, targets.options_model, targets.known_types, problems))
        )
        for label, listed in sections.deploy.items()
    }
    tlsa = {label: one for label, part in sections.tlsa.items() if (one := _checked(part, TlsaOptions, problems))}
    records = [(part, one) for part in sections.records if (one := _checked(part, RecordsOptions, problems))]
    problems += _same_file(records)
    problems += _clashes(sections.solvers, checked_solvers)
    capable = _capabilities(sections.solvers, checked_solvers, problems)
    if loaded.config is not None:
        problems += _beyond_capability(loaded.config, capable)
    config = loaded.with_problems(tuple(problems)).require()
    parts = Parts(checked_solvers, checked_targets, tlsa, tuple(one for _, one in records))
    named = in_the_way.read_places(loaded, _options(sections, parts))
    in_the_way_of = in_the_way.problems(_placed(config, parts), named, path, config.state_directory)
    unfit = _unfit(config, sections.deploy, checked_targets)
    config = loaded.with_problems((*in_the_way_of, *unfit)).require()
    return config, replace(parts, named=frozenset(map(str, named)))


def _options(sections: Sections, parts: Parts) -> Iterator[tuple[Section, Options]]:
    """Every section with its options."""
    for name, (_, options) in parts.solvers.items():
        yield sections.solvers[name], options
    for label, listed in parts.targets.items():
        for section, (_, options) in zip(sections.deploy[label], listed, strict=True):
            yield section, options
    yield from ((sections.tlsa[label], options) for label, options in parts.tlsa.items())
    yield from zip(sections.records, parts.records, strict=True)


def _placed(config: Config, parts: Parts) -> Iterator[tuple[Section, Target]]:
    """The targets of all kinds of certificates."""
    for label, wanted in config.certificates.items():
        for spec in wanted.specs:
            for section, (kind, options) in zip(wanted.deploy, parts.targets[label], strict=True):
                yield section, targets.build(kind, options, spec, several=len(wanted.specs) > 1)


def _checked(section: Section, model: type[OptionsT], problems: list[ConfigurationProblem]) -> OptionsT | None:
    try:
        return section.check(model)
    except ConfigurationError as error:
        problems.extend(error.problems)
    return None


def _check(
    section: Section,
    model: Callable[[str], type[Options] | None],
    known_types: Callable[[], tuple[str, ...]],
    problems: list[ConfigurationProblem],
    guard: Callable[[str], AbstractContextManager[None]] = lambda _: nullcontext(),
) -> Options | None:
    """The options as their owner reads them; `guard` is what an owner that is not ours is run in."""
    try:
        options = model(section.type)
        if options is None:
            known = known_types()
            hint = nearest(section.type, known) or f"the types are {', '.join(known)}"
            problems.append(section.problem(f"unknown type `{section.type}`", key="type", hint=hint))
            return None
        with guard(section.type):
            return section.check(options)
    except ConfigurationError as error:
        problems.extend(error.problems)
    except SolverError as error:
        problems.append(section.problem(error.message, key="type", hint=error.hint))
    return None


def _same_file(records: Iterable[tuple[Section, RecordsOptions]]) -> Iterable[ConfigurationProblem]:
    """What is known of records is known by their file: two entries would take each other's away."""
    first: dict[str, str] = {}
    for section, options in records:
        place = os.path.realpath(options.file)
        if place in first:
            hint = "list all services of the file in one entry, or give each zone a file of its own"
            yield section.problem(f"`{options.file}` is the file of `{first[place]}` too", key="file", hint=hint)
        first.setdefault(place, section.path)


def _capabilities(
    sections: Mapping[str, Section], checked: Mapping[str, tuple[str, Options]], problems: list[ConfigurationProblem]
) -> dict[str, Capabilities]:
    """What each solver can do; one that cannot be made of its options is a problem of its section."""
    found = {}
    for name, (type_, options) in checked.items():
        try:
            found[name] = solvers.build(type_, options).capabilities
        except SolverError as error:
            problems.append(sections[name].problem(error.message, hint=error.hint))
    return found


def _clashes(
    sections: Mapping[str, Section], checked: Mapping[str, tuple[str, Options]]
) -> Iterable[ConfigurationProblem]:
    """Solvers that want the same for themselves."""
    for clash in claims.clashes({name: options for name, (_, options) in checked.items()}):
        yield sections[clash.second].problem(clash.message, key=clash.key, hint=clash.hint)


def _beyond_capability(config: Config, capable: Mapping[str, Capabilities]) -> Iterable[ConfigurationProblem]:
    """Names that none of their solvers can prove: only dns-01 proves wildcards, and it proves no addresses."""
    listed = [
        (f"master.authorize[{index}]", entry.place, entry.solvers, entry.names)
        for index, entry in enumerate(config.master.authorize if config.master else ())
    ] + [
        (f"certificates.{label}", wanted.place, wanted.solvers, tuple(sorted(wanted.spec.names)))
        for label, wanted in config.certificates.items()
        if wanted.solvers
    ]
    for path, place, listed_solvers, names in listed:
        if any(solver not in capable for solver in listed_solvers):
            continue
        for name in names:
            if not any(capable[solver].types_for(name) for solver in listed_solvers):
                yield ConfigurationProblem(place, path, *_unprovable(name, listed_solvers))


def _unprovable(name: Identifier, listed: tuple[str, ...]) -> tuple[str, str]:
    """A message and a hint: no solver of a name can prove it."""
    solvers_ = " nor ".join(f"`{solver}`" for solver in listed)
    subject = f"solver {solvers_} cannot prove" if len(listed) == 1 else f"neither solver {solvers_} can prove"
    if name.is_wildcard:
        return f"{subject} the wildcard `{name}`", "a wildcard needs a solver for dns-01, such as one of type `rfc2136`"
    return f"{subject} the address `{name}`", "an address needs a solver for http-01 or tls-alpn-01"


def _unfit(
    config: Config, sections: Mapping[str, tuple[Section, ...]], checked: Mapping[str, tuple[tuple[str, Options], ...]]
) -> Iterable[ConfigurationProblem]:
    """Targets whose service cannot serve what the certificate is."""
    for label, listed in sections.items():
        several = len(config.certificates[label].specs) > 1
        for section, (kind, options) in zip(listed, checked[label], strict=True):
            if why := targets.unfit(kind, options, several=several):
                yield section.problem(why[0], key="type", hint=why[1])
