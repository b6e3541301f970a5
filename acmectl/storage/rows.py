"""Frozen dataclasses as rows of SQLite tables, by the types of their fields.

A moment is stored as an integer of microseconds since 1970 in UTC and a duration as microseconds: both come back exactly as they
were. Names are stored as text, a set of names or texts as a sorted JSON list.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from acmectl.model.names import Identifier

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

Column = str | int | None


class _Dataclass(Protocol):
    __dataclass_fields__: ClassVar[dict[str, Any]]


T = TypeVar("T", bound=_Dataclass)


def encode(value: object) -> Column:
    """`value` as a column. Raises TypeError for a naive datetime, and for a type that no value of ours has."""
    match value:
        case datetime():
            return (value - _EPOCH) // _MICROSECOND
        case timedelta():
            return value // _MICROSECOND
        case Identifier():
            return value.value
        case frozenset() | tuple():
            return json.dumps(sorted(str(item) for item in value))
        case str():
            return _storable(str(value))
        case int() | None:
            return value
        case _:
            raise TypeError(f"no column holds a {type(value).__name__}")


def _storable(text: str) -> str:
    """A CA's JSON can hold a lone surrogate, which no UTF-8 and so no SQLite can: it is stored escaped."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def moment(column: int) -> datetime:
    """The aware datetime that `encode` stored."""
    return _EPOCH + column * _MICROSECOND


def names(column: str) -> frozenset[Identifier]:
    """The set of identifiers that `encode` stored."""
    return frozenset(Identifier(str(name)) for name in json.loads(column))


_DECODERS: dict[object, Callable[[Any], object]] = {
    str: str,
    int: int,
    bool: bool,
    datetime: moment,
    timedelta: lambda column: column * _MICROSECOND,
    Identifier: Identifier,
    frozenset[Identifier]: names,
    frozenset[str]: lambda column: frozenset(json.loads(column)),
}


class Table(Generic[T]):
    """The statements for one table whose columns are the fields of a dataclass."""

    def __init__(self, name: str, of: type[T], *, key: Sequence[str] = ()) -> None:
        """`key` are the columns that make a row the same row; without them rows are only ever added."""
        self.name = name
        self._type = of
        self._key = tuple(key)
        self.columns = tuple(field.name for field in dataclasses.fields(of))

    @property
    def upsert(self) -> str:
        """Insert a row, or change the one with the same key."""
        marks = ", ".join("?" * len(self.columns))
        insert = f"INSERT INTO {self.name} ({', '.join(self.columns)}) VALUES ({marks})"  # noqa: S608 - our own names
        changed = ", ".join(f"{c} = excluded.{c}" for c in self.columns if c not in self._key)
        return f"{insert} ON CONFLICT ({', '.join(self._key)}) DO UPDATE SET {changed}" if self._key else insert

    def select(self, rest: str = "") -> str:
        """All columns in the order of the fields; `rest` is a WHERE or ORDER BY of ours."""
        return f"SELECT {', '.join(self.columns)} FROM {self.name} {rest}"  # noqa: S608 - our own names

    def encode(self, value: T) -> tuple[Column, ...]:
        """The columns of a value."""
        return tuple(encode(getattr(value, column)) for column in self.columns)

    def decode(self, row: Sequence[Any]) -> T:
        """The value in a row; raises ValueError or TypeError where no value of ours was stored."""
        pairs = zip(self.columns, self._decoders, row, strict=True)
        return self._type(**{name: None if column is None else decoder(column) for name, decoder, column in pairs})

    @cached_property
    def _decoders(self) -> tuple[Callable[[Any], object], ...]:
        hints = typing.get_type_hints(self._type)
        return tuple(_decoder(hints[column]) for column in self.columns)


def _decoder(hint: object) -> Callable[[Any], object]:
    if isinstance(hint, types.UnionType):
        (hint,) = (option for option in hint.__args__ if option is not types.NoneType)
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return hint
    return _DECODERS[hint]
