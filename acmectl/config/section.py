"""Options whose schema belongs to another room: of a solver, or of a deploy target."""

from __future__ import annotations

import builtins  # `type` is a field below
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from acmectl.config.checking import check
from acmectl.config.named_files import named_files
from acmectl.config.nodes import KeyPath, MappingNode, Member, Node, SequenceNode, locate, plain, problem, show_path
from acmectl.errors import ConfigurationError, ConfigurationProblem, Place
from acmectl.options import Options

OptionsT = TypeVar("OptionsT", bound=Options)


@dataclass(frozen=True, slots=True)
class Section:
    """A mapping with a `type` that says whose options the rest is.

    `options` are all keys but `type`, their strings `Text`; they are not in the repr, because nobody knows yet whether one
    is a secret that does not belong there. `path` is the section's place among the keys: `solvers.web`.
    """

    type: str
    options: Mapping[str, Any] = field(repr=False)
    path: str
    place: Place
    _node: MappingNode = field(repr=False, compare=False)
    _key_path: KeyPath = field(repr=False, compare=False)

    def check(self, model: builtins.type[OptionsT]) -> OptionsT:
        """The options as `model` reads them.

        Raises ConfigurationError with every problem, each at its file, line and key.
        """
        checked, problems = check(model, self._node, self._key_path)
        if checked is None:
            raise ConfigurationError(problems)
        return checked

    def files(self, options: Options) -> Iterator[tuple[str, Path]]:
        """The files that `options`, which are this section's, name, each with its whole key."""
        for path, file in named_files(options, self._key_path):
            yield show_path(path), file

    def problem(
        self, message: str, *, key: str | KeyPath | None = None, hint: str | None = None
    ) -> ConfigurationProblem:
        """A problem with the section, or with one key of it; `key` may be `type`, or the path of a key below."""
        if key is None:
            return problem(self._key_path, self.place, message, hint)
        if key == "type":
            return problem((*self._key_path, key), _place_of(self.type, self.place), message, hint)
        path = (key,) if isinstance(key, str) else key
        found, place, _ = locate(self._node, path)
        return problem((*self._key_path, *path), place if found else self.place, message, hint)


def section_of(type_: str, path: KeyPath, place: Place, node: Node | None) -> Section | None:
    """The section at a key that says by itself whose options it holds; a bare list there is its `records`."""
    if isinstance(node, SequenceNode):
        node = MappingNode.of(place, {"records": Member(place, node)})
    if not isinstance(node, MappingNode):
        return None
    return Section(type_, plain(node), show_path(path), place, node, path)


def section_at(path: KeyPath, place: Place, node: MappingNode) -> Section | None:
    """The section that `node` is, None if it has no `type` (the schema says so)."""
    type_ = node.text("type")
    if not type_:
        return None
    rest = {key: member for key, member in node.members.items() if key != "type"}
    options = MappingNode.of(place, rest)
    return Section(type_, plain(options), show_path(path), place, options, path)


def _place_of(text: str, otherwise: Place) -> Place:
    return getattr(text, "place", otherwise)
