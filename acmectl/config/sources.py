"""The configuration's YAML files -> one tree: the main file, and what `conf.d` beside it adds.

Mappings are merged key by key, so that certificates and solvers can be spread over files; nothing else is: a key with
two values is a mistake, wherever the second one stands.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from acmectl.config.composing import compose
from acmectl.config.nodes import KeyPath, MappingNode, Member, defined_twice, problem
from acmectl.config.reading import Missing, Unreadable, read_text
from acmectl.errors import ConfigurationProblem, Place
from acmectl.files import reason

DIRECTORY = "conf.d"
_MAX_BYTES = 1024 * 1024
_MISSING = "name yours with `--config FILE` or `ACMECTL_CONFIG`, or begin with `acmectl init`"


@dataclass(frozen=True, slots=True)
class Sources:
    """All that the files say, as one tree. `complete` is whether every file could be understood."""

    files: tuple[Path, ...]
    root: MappingNode
    problems: tuple[ConfigurationProblem, ...]
    complete: bool


def read_sources(path: Path) -> Sources:
    """The file at `path` and its `conf.d`. Never raises for what is on the disk."""
    main = _read(path, if_missing=_MISSING)
    if isinstance(main, ConfigurationProblem):
        return Sources((path,), MappingNode(Place(path)), (main,), complete=False)
    found, problems = _directory(path.parent / DIRECTORY)
    trees: list[MappingNode] = []
    files = (path, *found)
    for file in files:
        source = main if file is path else _read(file)
        if isinstance(source, ConfigurationProblem):
            problems.append(source)
            continue
        composed = compose(file, source)
        problems += composed.problems
        if composed.root is not None:
            trees.append(composed.root)
    root, duplicates = merge(MappingNode(Place(path)), trees)
    return Sources(files, root, (*problems, *duplicates), complete=len(trees) == len(files))


def is_source(file: Path, main: Path) -> bool:
    """Whether `file`, once it is there, is read (or complained of) as a part of the configuration at `main`; its directory is a real path."""
    beside = os.path.realpath(main.parent / DIRECTORY)
    return str(file.parent) == beside and file.suffix in {".yaml", ".yml"} and not file.name.startswith(".")


def _read(file: Path, *, if_missing: str | None = None) -> str | ConfigurationProblem:
    try:
        return read_text(file, limit=_MAX_BYTES)
    except Missing as cause:
        return problem((), Place(file), cause.message, if_missing)
    except Unreadable as cause:
        return problem((), Place(file, cause.line), cause.message, cause.hint)


def _directory(directory: Path) -> tuple[list[Path], list[ConfigurationProblem]]:
    """The files of `conf.d` in alphabetical order; hidden ones and other endings belong to editors and packages."""
    try:
        visible = sorted(file for file in directory.iterdir() if not file.name.startswith("."))
    except FileNotFoundError:
        return [], []
    except OSError as cause:
        return [], [problem((), Place(directory), f"cannot be read: {reason(cause)}")]
    misnamed = "not read: only files that end in `.yaml` are"
    problems = [
        problem((), Place(file), misnamed, f"`mv {file} {file.with_suffix('.yaml')}`")
        for file in visible
        if file.suffix == ".yml"
    ]
    return [file for file in visible if file.suffix == ".yaml"], problems


def merge(base: MappingNode, trees: Iterable[MappingNode]) -> tuple[MappingNode, tuple[ConfigurationProblem, ...]]:
    """`base` and the trees as one; of what is defined twice the first stays, and the second is a problem."""
    problems: list[ConfigurationProblem] = []
    for tree in trees:
        base = _merge(base, tree, (), problems)
    return base, tuple(problems)


def _merge(first: MappingNode, second: MappingNode, path: KeyPath, problems: list[ConfigurationProblem]) -> MappingNode:
    members = dict(first.members)
    for key, member in second.members.items():
        known = members.get(key)
        if known is None:
            members[key] = member
        elif isinstance(known.node, MappingNode) and isinstance(member.node, MappingNode):
            members[key] = Member(known.key_place, _merge(known.node, member.node, (*path, key), problems))
        else:
            problems.append(defined_twice((*path, key), member.key_place, known.key_place))
    return MappingNode.of(first.place, members)
