"""Files -> configuration: read all, check all, and give one answer with everything that is wrong."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from acmectl.config.building import build
from acmectl.config.checking import check
from acmectl.config.named_files import named_files
from acmectl.config.names import bounded
from acmectl.config.nodes import show_path
from acmectl.config.outline import Outline, outline
from acmectl.config.references import check_references
from acmectl.config.schema import Schema
from acmectl.config.sources import read_sources
from acmectl.config.values import Loaded, in_order
from acmectl.errors import ConfigurationProblem


def load(path: Path) -> Loaded:
    """The configuration in the file at `path`, in `conf.d` beside it, and in the files of names that they mention.

    Never raises for what is in the files or wrong with them: that is in `Loaded.problems`. A file that cannot be
    understood does not hide what is wrong in the others.
    """
    sources = read_sources(path)
    parts = outline(sources.root)
    schema, problems = check(Schema, sources.root)
    if not sources.complete:
        problems = tuple(one for one in problems if not _may_be_elsewhere(one))
    references = check_references(sources.root, parts, complete=sources.complete)
    names_files = _names_files(parts)
    files = (*sources.files, *names_files)
    later = [*problems, *_name_problems(parts), *references]
    ordered = in_order((*sources.problems, *_unless_known(later, sources.problems)), files)
    found = in_order(tuple(bounded(ordered, names_files)), files)
    config = build(schema, parts) if schema and not found else None
    named = tuple((show_path(path), file) for path, file in named_files(schema))
    return Loaded(files, config, parts.sections, found, named)


def _may_be_elsewhere(one: ConfigurationProblem) -> bool:
    """Whether a top-level key is missing, which a file that could not be understood may have."""
    return not one.path and one.message.endswith(" is missing")


def _unless_known(
    later: Iterable[ConfigurationProblem], known: Iterable[ConfigurationProblem]
) -> list[ConfigurationProblem]:
    """What the later checks say of values that the reading of YAML has complained about already is left out."""
    places = {(one.place, one.path) for one in known if one.path}
    return [one for one in later if (one.place, one.path) not in places]


def _name_problems(parts: Outline) -> list[ConfigurationProblem]:
    entries = (*parts.authorize, *parts.certificates.values())
    return [one for entry in entries for one in entry.names.problems]


def _names_files(parts: Outline) -> tuple[Path, ...]:
    return tuple(dict.fromkeys(file for entry in parts.authorize for file in entry.names.files))
