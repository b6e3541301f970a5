"""The text of one YAML file -> its tree, refusing what YAML would pass over in silence.

Built from the parser's events and not from its finished values, because those forget what matters here: of a key that is
defined twice the last wins; `0640` becomes 416, `no` False and `12:30:00` 45000 (YAML 1.1); a small file of aliases to
aliases grows without bound; a deep one ends the C stack of the parser's own composer. Only plain data is
accepted: no tags, one document, keys that are texts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from acmectl.config.nodes import (
    KeyPath,
    MappingNode,
    Member,
    Node,
    ScalarNode,
    SequenceNode,
    defined_twice,
    problem,
    show_key,
)
from acmectl.errors import ConfigurationProblem, Place
from acmectl.options import Text

if TYPE_CHECKING:
    from yaml.events import Event

Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # four times as fast, where libyaml is there

_MAX_DEPTH = 32
_MAX_ALIASED = 100_000  # nodes that aliases may add
_CORE = "tag:yaml.org,2002:"
_PLAIN_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})\Z")
_PLAIN_FLOAT = re.compile(r"[-+]?[0-9]{1,18}\.[0-9]{1,18}\Z")
_TRUE = ("yes", "true", "on")


@dataclass(frozen=True, slots=True)
class Composed:
    """The tree of one file (None: none could be made of it), and what is wrong with the file."""

    root: MappingNode | None
    problems: tuple[ConfigurationProblem, ...]


def compose(file: Path, text: str) -> Composed:
    """The tree of `text`, which was read from `file`. Never raises for what is in it."""
    composer = _Composer(file, Loader(text))
    try:
        root = composer.document()
    except yaml.YAMLError as error:
        root = None
        composer.problems.append(_syntax_problem(file, text, error))
    except _Unusable as unusable:
        root = None
        composer.problems.append(unusable.problem)
    finally:
        composer.loader.dispose()
    return Composed(root, tuple(composer.problems))


class _Unusable(Exception):
    """The file cannot be understood beyond this point."""

    def __init__(self, problem: ConfigurationProblem) -> None:
        super().__init__(str(problem))
        self.problem = problem


@dataclass(slots=True)
class _Composer:
    file: Path
    loader: Any
    problems: list[ConfigurationProblem] = field(default_factory=list)
    _anchors: dict[str, Node | None] = field(default_factory=dict)  # None: not finished, an alias would be a circle
    _aliased: int = 0

    def document(self) -> MappingNode | None:
        self.loader.get_event()  # the stream's start
        if self.loader.check_event(yaml.StreamEndEvent):
            raise _Unusable(_empty(self.file))
        self.loader.get_event()  # the document's start
        root = self._node((), depth=0)
        self.loader.get_event()  # the document's end
        if not self.loader.check_event(yaml.StreamEndEvent):
            place = self._place(self.loader.peek_event())
            message = "a second document starts here: a file holds one"
            raise _Unusable(problem((), place, message, "remove the `---` between them"))
        if isinstance(root, MappingNode):
            return root
        if isinstance(root, ScalarNode) and root.value is None:
            raise _Unusable(_empty(self.file))
        found = "a list" if isinstance(root, SequenceNode) else "a single value"
        message = f"expected a mapping of keys such as `authority:`, found {found}"
        raise _Unusable(problem((), root.place, message))

    def _node(self, path: KeyPath, *, depth: int) -> Node:
        event = self.loader.get_event()
        if isinstance(event, yaml.AliasEvent):
            node = self._alias(path, event)
            self._check_depth(event, depth + node.height)
            return node
        self._check_depth(event, depth)
        if event.anchor:
            self._anchors[event.anchor] = None
        node = self._content(path, event, depth)
        if event.anchor:
            self._anchors[event.anchor] = node
        return node

    def _check_depth(self, event: Event, depth: int) -> None:
        if depth > _MAX_DEPTH:
            raise _Unusable(problem((), self._place(event), f"nested deeper than {_MAX_DEPTH} levels"))

    def _content(self, path: KeyPath, event: Event, depth: int) -> Node:
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(path, event)
        if event.tag not in (None, "!", f"{_CORE}map", f"{_CORE}seq"):  # type: ignore[attr-defined]  # stubs lack it
            self._add(path, event, "tags are not used here", "remove the word that starts with `!`")
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(path, event, depth)
        return self._mapping(path, event, depth)

    def _alias(self, path: KeyPath, event: Any) -> Node:
        node = self._anchors.get(event.anchor)
        if node is None:
            circle = event.anchor in self._anchors
            what = "stands inside of what it refers to" if circle else "refers to nothing above it"
            raise _Unusable(problem(path, self._place(event), f"the alias `*{show_key(event.anchor)}` {what}"))
        self._aliased += node.size
        if self._aliased > _MAX_ALIASED:
            message = f"aliases add more than {_MAX_ALIASED} values"
            raise _Unusable(problem((), self._place(event), message))
        return node

    def _sequence(self, path: KeyPath, start: Event, depth: int) -> SequenceNode:
        items: list[Node] = []
        while not self.loader.check_event(yaml.SequenceEndEvent):
            items.append(self._node((*path, len(items)), depth=depth + 1))
        self.loader.get_event()
        return SequenceNode.of(self._place(start), items)

    def _mapping(self, path: KeyPath, start: Event, depth: int) -> MappingNode:
        members: dict[str, Member] = {}
        inherited: list[tuple[Event, Node]] = []
        while not self.loader.check_event(yaml.MappingEndEvent):
            event = self.loader.get_event()
            key = self._key(path, event)
            node = self._node((*path, key), depth=depth + 1)
            if key == "<<" and event.implicit[0]:
                inherited.append((event, node))
            elif key in members:
                self.problems.append(defined_twice((*path, key), self._place(event), members[key].key_place))
            else:
                members[key] = Member(self._place(event), node)
        self.loader.get_event()
        for event, node in inherited:
            self._inherit(path, event, node, members)
        return MappingNode.of(self._place(start), members)

    def _inherit(self, path: KeyPath, event: Event, node: Node, members: dict[str, Member]) -> None:
        """The merge key `<<` of YAML 1.1: what the mapping does not say itself comes from the others, first one first."""
        for source in node.items if isinstance(node, SequenceNode) else [node]:
            if not isinstance(source, MappingNode):
                self._add(path, event, "`<<` merges mappings only, such as `<<: *name`")
                continue
            for key, member in source.members.items():
                members.setdefault(key, member)

    def _key(self, path: KeyPath, event: Any) -> str:
        if not isinstance(event, yaml.ScalarEvent):
            message = "a key is a text, neither a list nor a mapping nor an alias"
            raise _Unusable(
                problem(path, self._place(event), message, "text that starts with `{`, `[` or `*` needs quotes")
            )
        text: str = event.value
        if self._tag(event) not in (f"{_CORE}str", f"{_CORE}merge"):
            self._add(path, event, f"the key `{show_key(text)}` is no text for YAML", "write it in quotes")
        return text

    def _scalar(self, path: KeyPath, event: Any) -> ScalarNode:
        text, place = event.value, self._place(event)
        if event.tag not in (None, "!", f"{_CORE}str"):
            self._add(path, event, "tags are not used here", "remove the word that starts with `!`")
            return ScalarNode(place, Text(text, place))
        match self._tag(event).removeprefix(_CORE):
            case "null":
                return ScalarNode(place, None)
            case "bool":
                return ScalarNode(place, text.lower() in _TRUE)
            case "int" if _PLAIN_INTEGER.match(text):
                return ScalarNode(place, int(text))
            case "float" if _PLAIN_FLOAT.match(text):
                return ScalarNode(place, float(text))
            case "int" | "float" | "timestamp" as kind:
                self._add(path, event, *_oddity(kind, text))
        return ScalarNode(place, Text(text, place))

    def _tag(self, event: Any) -> str:
        if event.tag or not event.implicit[0]:  # `!!str` (other tags are refused), quotes, or a block
            return f"{_CORE}str"
        return str(self.loader.resolve(yaml.ScalarNode, event.value, event.implicit))

    def _place(self, event: Any) -> Place:
        return Place(self.file, event.start_mark.line + 1)

    def _add(self, path: KeyPath, event: Event, message: str, hint: str | None = None) -> None:
        self.problems.append(problem(path, self._place(event), message, hint))


def _oddity(kind: str, text: str) -> tuple[str, str]:
    if kind == "timestamp":
        return "read as a date by YAML", "write it in quotes"
    if ":" in text:
        return "read as a number to the base 60 by YAML, because of its colons", "write it in quotes"
    if kind == "int" and re.match(r"[-+]?0[0-7_]+\Z", text):
        return "read as an octal number by YAML, because it starts with 0", "write it in quotes"
    return (
        "read as a number by YAML, in a form that is not used here",
        "write a plain decimal one, or quotes around it",
    )


def _empty(file: Path) -> ConfigurationProblem:
    return problem((), Place(file), "the file is empty", "fill it, or remove it")


def _syntax_problem(file: Path, text: str, error: yaml.YAMLError) -> ConfigurationProblem:
    """The parser's words, or better ones where it stumbled over a tab."""
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return problem((), Place(file), "not YAML")
    lines = text.split("\n")
    line = lines[mark.line] if mark.line < len(lines) else ""
    if "\t" in line[: len(line) - len(line.lstrip())] or line[mark.column : mark.column + 1] == "\t":
        hint = "replace it: `expand -t 2 FILE` prints the file without tabs"
        return problem((), Place(file, mark.line + 1), "a tab: YAML indents with spaces only", hint)
    words = f"not YAML: {getattr(error, 'problem', None) or 'cannot be read'}"
    context, start = getattr(error, "context", None), getattr(error, "context_mark", None)
    if context and start:
        words += f" ({context} from line {start.line + 1})"
    return problem((), Place(file, mark.line + 1), words)
