"""The tree that the YAML files describe, with the place of every key and value.

It keeps what plain dicts and lists lose: where each thing was written. A node may stand in several places of the tree (an alias of
YAML), so `size` and `height` measure what the tree would be without sharing, and whoever builds one bounds both.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from acmectl.errors import ConfigurationProblem, Place
from acmectl.options import Text

KeyPath: TypeAlias = tuple[str | int, ...]

_BARE_KEY = re.compile(r"[A-Za-z0-9_*-]+\Z")
_SHOWN = 60  # characters of a key that a message shows
_LONGEST = 600  # characters of a message


@dataclass(frozen=True, slots=True)
class ScalarNode:
    """A text, number, truth value or nothing."""

    place: Place
    value: Text | int | float | None
    size: int = 1
    height: int = 0


@dataclass(frozen=True, slots=True)
class SequenceNode:
    """A list."""

    place: Place
    items: Sequence[Node]
    size: int = 1
    height: int = 0

    @classmethod
    def of(cls, place: Place, items: Sequence[Node]) -> SequenceNode:
        """The list of `items`, measured."""
        height = 1 + max((item.height for item in items), default=0)
        return cls(place, items, 1 + sum(item.size for item in items), height)


@dataclass(frozen=True, slots=True)
class Member:
    """A key of a mapping, where it was written, and its value."""

    key_place: Place
    node: Node


@dataclass(frozen=True, slots=True)
class MappingNode:
    """A mapping; keys in the order in which they were written."""

    place: Place
    members: Mapping[str, Member] = field(default_factory=dict)
    size: int = 1
    height: int = 0

    @classmethod
    def of(cls, place: Place, members: Mapping[str, Member]) -> MappingNode:
        """The mapping of `members`, measured."""
        height = 1 + max((member.node.height for member in members.values()), default=0)
        return cls(place, members, 1 + sum(1 + member.node.size for member in members.values()), height)

    def mapping(self, key: str) -> MappingNode:
        """The mapping at `key`; an empty one where there is none (the schema says what is wrong with that)."""
        member = self.members.get(key)
        return member.node if member and isinstance(member.node, MappingNode) else MappingNode(self.place)

    def sequence(self, key: str) -> SequenceNode | None:
        """The list at `key`, if there is one."""
        member = self.members.get(key)
        return member.node if member and isinstance(member.node, SequenceNode) else None

    def text(self, key: str) -> Text | None:
        """The text at `key`, if there is one."""
        member = self.members.get(key)
        value = member.node.value if member and isinstance(member.node, ScalarNode) else None
        return value if isinstance(value, Text) else None

    def texts(self, key: str) -> tuple[Text, ...]:
        """The text at `key`, or those of the list there."""
        listed = self.sequence(key)
        nodes = listed.items if listed else [member.node] if (member := self.members.get(key)) else []
        return tuple(n.value for n in nodes if isinstance(n, ScalarNode) and isinstance(n.value, Text) and n.value)

    def mappings(self) -> Iterator[tuple[str, Member, MappingNode]]:
        """The members that are mappings themselves."""
        for key, member in self.members.items():
            if isinstance(member.node, MappingNode):
                yield key, member, member.node


Node: TypeAlias = ScalarNode | SequenceNode | MappingNode


def plain(node: Node) -> Any:
    """The node as dicts, lists and scalars, its strings still `Text`."""
    match node:
        case ScalarNode(value=value):
            return value
        case SequenceNode(items=items):
            return [plain(item) for item in items]
        case MappingNode(members=members):
            return {key: plain(member.node) for key, member in members.items()}


def locate(root: Node, path: KeyPath) -> tuple[KeyPath, Place, Node]:
    """How far `path` leads into the tree, where that stands, and the node there.

    Parts that the tree does not have are skipped: pydantic puts the names of its own constructs among the keys.
    """
    node, place, found = root, root.place, list[str | int]()
    for part in path:
        if isinstance(node, MappingNode) and isinstance(part, str) and part in node.members:
            member = node.members[part]
            node = member.node
            place = node.place if isinstance(node, ScalarNode) else member.key_place
        elif isinstance(node, SequenceNode) and isinstance(part, int) and 0 <= part < len(node.items):
            node = node.items[part]
            place = node.place
        else:
            continue
        found.append(part)
    return tuple(found), place, node


def show_path(path: KeyPath) -> str:
    """The path as a person reads it: `master.authorize[0].names`, `certificates."mail.example.com".key`."""
    shown = ""
    for part in path:
        if isinstance(part, int):
            shown += f"[{part}]"
        else:
            shown += ("." if shown else "") + (part if _is_bare(part) else f'"{show_key(part)}"')
    return shown


def _is_bare(key: str) -> bool:
    return bool(_BARE_KEY.match(key)) and len(key) <= _SHOWN


def show_key(key: str) -> str:
    """The key on one line, without control characters, and not longer than a message bears."""
    return _clean(key.replace("`", "?"), _SHOWN)


def problem(path: KeyPath, place: Place, message: str, hint: str | None = None) -> ConfigurationProblem:
    """A problem with the key at `path` (empty: with the file, or with a line of a file that has no keys).

    Whatever the message quotes, it stays one line of a sane length without control characters.
    """
    return ConfigurationProblem(place, show_path(path), _clean(message, _LONGEST), hint and _clean(hint, _LONGEST))


def defined_twice(path: KeyPath, place: Place, first: Place) -> ConfigurationProblem:
    """The problem of a key that was written at `first` before, in the same file or another one."""
    is_certificate = path[0] == "certificates" and (len(path) == 2 or place.file != first.file)
    hint = "write a certificate in one place, and list the targets of all its services under its `deploy`"
    return problem(path, place, f"defined twice, first at {first}", hint if is_certificate else None)


def _clean(text: str, longest: int) -> str:
    clean = "".join(c if c.isprintable() else "?" for c in text)
    return clean if len(clean) <= longest else f"{clean[:longest]}..."
