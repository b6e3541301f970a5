"""The files that options name, found by the type of the value: an option that is added is found without being listed anywhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import BaseModel

from acmectl.config.nodes import KeyPath


def named_files(value: object, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Path]]:
    """The keys below `path` of all files and directories that `value`, which is options or a part of them, names."""
    if isinstance(value, Path):
        yield path, value
    elif isinstance(value, BaseModel):
        for name, field in type(value).model_fields.items():
            yield from named_files(getattr(value, name), (*path, field.alias or name))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from named_files(item, (*path, str(key)))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from named_files(item, (*path, index))
