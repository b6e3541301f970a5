"""Names as they are listed, in the YAML and in files of their own: each becomes an identifier or a problem with its place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from acmectl.config.nodes import KeyPath, MappingNode, ScalarNode, SequenceNode, plain, problem
from acmectl.config.reading import Unreadable, read_text
from acmectl.errors import ConfigurationProblem, InvalidName, Place
from acmectl.model.names import Identifier
from acmectl.options import Text, describe, parse_path

_MAX_BYTES = 16 * 1024 * 1024
_MOST_PROBLEMS = 20  # of one file of names: a file that is something else has one in every line


@dataclass(frozen=True, slots=True)
class ListedName:
    """An identifier, and where it is listed; `path` is empty in a file of names."""

    identifier: Identifier
    place: Place
    path: KeyPath


@dataclass(slots=True)
class NameList:
    """All names of one entry (a list of YAML, a file, or both), what is wrong with the others, and the files read."""

    names: list[ListedName] = field(default_factory=list)
    problems: list[ConfigurationProblem] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)

    @property
    def identifiers(self) -> tuple[Identifier, ...]:
        """The identifiers in the order in which they are listed."""
        return tuple(name.identifier for name in self.names)


def read_names(entry: MappingNode, path: KeyPath, *, files: bool) -> NameList:
    """The names of `entry` (at `path`): of its key `names`, then, where `files` may be named, of its `names_file`."""
    found = NameList()
    if listed := entry.sequence("names"):
        _read_sequence(listed, (*path, "names"), found)
    if files and (file := entry.text("names_file")):
        _read_file(file, (*path, "names_file"), found)
    return found


def _read_sequence(listed: SequenceNode, path: KeyPath, found: NameList) -> None:
    for index, item in enumerate(listed.items):
        here = (*path, index)
        if not isinstance(item, ScalarNode) or not isinstance(item.value, Text):
            hint = "write it in quotes" if isinstance(item, ScalarNode) and item.value is not None else None
            found.problems.append(problem(here, item.place, f"expected a name, found {describe(plain(item))}", hint))
            continue
        name = _parse(item.value, item.place, here)
        if isinstance(name, ListedName):
            found.names.append(name)
        else:
            found.problems.append(name)


def _read_file(file: Text, path: KeyPath, found: NameList) -> None:
    try:
        location = parse_path(file)
    except ValueError:  # the schema says why
        return
    found.files.append(location)
    try:
        text = read_text(location, limit=_MAX_BYTES)
    except Unreadable as cause:
        if cause.line:
            found.problems.append(problem((), Place(location, cause.line), cause.message, cause.hint))
        else:
            found.problems.append(problem(path, file.place, f"`{location}`: {cause.message}", cause.hint))
        return
    before = len(found.names), len(found.problems)
    for name in _lines(location, text):
        if isinstance(name, ListedName):
            found.names.append(name)
        else:
            found.problems.append(name)
    if (len(found.names), len(found.problems)) == before:
        message = "no name in this file"
        found.problems.append(problem((), Place(location), message, "write one a line, or remove the `names_file`"))


def _lines(file: Path, text: str) -> Iterator[ListedName | ConfigurationProblem]:
    for number, line in enumerate(text.split("\n"), start=1):
        if name := line.partition("#")[0].strip():
            yield _parse(name, Place(file, number), ())


def _parse(text: str, place: Place, path: KeyPath) -> ListedName | ConfigurationProblem:
    try:
        return ListedName(Identifier.parse(text), place, path)
    except InvalidName as cause:
        return problem(path, place, cause.message, cause.hint)


def bounded(problems: Iterable[ConfigurationProblem], files: Iterable[Path]) -> Iterator[ConfigurationProblem]:
    """The problems (in order), of each of the names' `files` only the first ones and how many more there are."""
    shown: dict[Path, int] = dict.fromkeys(files, 0)
    hidden: dict[Path, list[ConfigurationProblem]] = {}
    for one in problems:
        file = one.place.file
        if shown.get(file, 0) >= _MOST_PROBLEMS:
            hidden.setdefault(file, []).append(one)
            continue
        if file in shown:
            shown[file] += 1
        yield one
    for more in hidden.values():
        count = len(more)
        message = f"{count} more problem{'s' * (count != 1)} in this file, from here on"
        yield problem((), more[0].place, message)
