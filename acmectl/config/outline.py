"""The parts of a tree that other checks work on, recognised even where the tree does not hold as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from acmectl.config.names import NameList, read_names
from acmectl.config.nodes import KeyPath, MappingNode, SequenceNode
from acmectl.config.section import Section, section_at, section_of
from acmectl.config.values import Sections
from acmectl.errors import Place


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of `master.authorize`, or a certificate: whatever lists names for an account."""

    path: KeyPath
    place: Place
    node: MappingNode
    account: str
    names: NameList


@dataclass(frozen=True, slots=True)
class Outline:
    """Accounts and solvers are those that are named at all, right or wrong: so that one mistake makes one problem."""

    accounts: tuple[str, ...]
    solvers: tuple[str, ...]
    authorize: tuple[Entry, ...]
    certificates: Mapping[str, Entry]
    sections: Sections
    root: MappingNode


def outline(root: MappingNode) -> Outline:
    """The parts of the tree; reads the files of names."""
    accounts = tuple(root.mapping("accounts").members) or ("default",)
    usual = accounts[0] if len(accounts) == 1 else "default"
    certificates = {
        label: _entry(("certificates", label), member.key_place, node, usual, files=False)
        for label, member, node in root.mapping("certificates").mappings()
    }
    return Outline(
        accounts=accounts,
        solvers=tuple(root.mapping("solvers").members),
        authorize=_authorize(root, usual),
        certificates=certificates,
        sections=Sections(
            _solvers(root),
            {label: _deploy(entry) for label, entry in certificates.items()},
            {label: tlsa for label, entry in certificates.items() if (tlsa := _tlsa(entry))},
            _records(root),
        ),
        root=root,
    )


def _authorize(root: MappingNode, usual: str) -> tuple[Entry, ...]:
    listed = root.mapping("master").sequence("authorize")
    return tuple(
        _entry(("master", "authorize", index), item.place, item, usual, files=True)
        for index, item in enumerate(listed.items if listed else ())
        if isinstance(item, MappingNode)
    )


def _entry(path: KeyPath, place: Place, node: MappingNode, usual: str, *, files: bool) -> Entry:
    return Entry(path, place, node, str(node.text("account") or usual), read_names(node, path, files=files))


def _solvers(root: MappingNode) -> dict[str, Section]:
    return {
        name: section
        for name, member, node in root.mapping("solvers").mappings()
        if (section := section_at(("solvers", name), member.key_place, node))
    }


def _tlsa(entry: Entry) -> Section | None:
    member = entry.node.members.get("tlsa")
    return section_of("tlsa", (*entry.path, "tlsa"), member.key_place, member.node) if member else None


def _records(root: MappingNode) -> tuple[Section, ...]:
    listed = root.mapping("master").sequence("records")
    return tuple(
        section
        for index, node in enumerate(listed.items if listed else ())
        if isinstance(node, MappingNode)
        and (section := section_of("records", ("master", "records", index), node.place, node))
    )


def _deploy(entry: Entry) -> tuple[Section, ...]:
    targets = entry.node.sequence("deploy") or SequenceNode(entry.place, ())
    return tuple(
        section
        for index, node in enumerate(targets.items)
        if isinstance(node, MappingNode) and (section := section_at((*entry.path, "deploy", index), node.place, node))
    )
