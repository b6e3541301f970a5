"""Files that targets must not write: those of another target, what acmectl keeps for itself, and whatever the configuration has it read.

A person's own key, say, that lies where a target puts one: the day it is replaced, a copy of the former one would take its place.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from acmectl.config import Loaded, Section, is_source
from acmectl.deploy import registry as targets
from acmectl.deploy.target import Target
from acmectl.errors import ConfigurationProblem
from acmectl.options import Options

_OWN = "a file of the configuration"


def read_places(loaded: Loaded, checked: Iterable[tuple[Section, Options]]) -> dict[Path, str]:
    """Where the files lie that the configuration consists of or names, in words; `checked` are the options of all sections."""
    named = [*loaded.named, *(one for section, options in checked for one in section.files(options))]
    read = {place: _OWN for file in loaded.files for place in _places(file)}
    return read | {place: f"which `{key}` names" for key, file in named for place in _places(file)}


def problems(
    placed: Iterable[tuple[Section, Target]], read: Mapping[Path, str], main: Path, state_directory: Path
) -> Iterator[ConfigurationProblem]:
    """What is in the way of `placed`, the targets of all kinds of certificates; `read` are places of files, `main` is the configuration."""
    state = os.path.realpath(state_directory)
    taken: dict[Path, str] = {}
    folders: set[Path] = set()
    for section, target in placed:
        copies = targets.copies(target)
        if any(copy.is_relative_to(state) for copy in copies):
            hint = f"use another directory; a service can also read `{state}/certificates/LABEL/current/` directly"
            yield section.problem("is inside the state directory", key="directory", hint=hint)
        yield from _overwritten(section, target, read, main)
        if len(set(copies)) < len(copies):
            yield section.problem("two contents have the same place", key="files", hint="name each differently")
        if copy := next((copy for copy in copies if copy in taken), None):
            hint = "give each a directory of its own, or other names: `files: {privkey: ..., fullchain: ...}`"
            yield section.problem(f"`{copy}` is written by `{taken[copy]}` too", key="directory", hint=hint)
        taken |= {copy: section.path for copy in copies if copy not in taken}
        above = {folder for copy in copies for folder in copy.parents}
        folders |= above
        if both := next((place for place in (*copies, *above) if place in folders and place in taken), None):
            hint = "name one of them differently"
            yield section.problem(f"`{both}` would be a file and a folder with files in it", key="files", hint=hint)


def _overwritten(
    section: Section, target: Target, read: Mapping[Path, str], main: Path
) -> Iterator[ConfigurationProblem]:
    hint = "give it another name, or leave it out of `files`"
    for copy, place in zip(target.wanted, targets.copies(target), strict=True):
        what = read.get(place) or (_OWN if is_source(place, main) else None)
        if what is not None:
            yield section.problem(f"would overwrite `{place}`, {what}", key=("files", copy.content.value), hint=hint)


def _places(file: Path) -> Iterator[Path]:
    """Where a file lies, by real directories, and the links that lead to it: a target replaces either."""
    seen: set[Path] = set()
    while (place := Path(os.path.realpath(file.parent), file.name)) not in seen:
        seen.add(place)
        yield place
        if not os.path.islink(place):  # noqa: PTH114  # Path.is_symlink raises where we may not look
            return
        file = place.parent / place.readlink()
