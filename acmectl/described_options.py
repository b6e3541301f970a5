"""What a section of the configuration takes, read from its options model: nothing is written down twice.

The meaning of an option is the text below its field in the source, or the `description` of its pydantic field; its type comes from the JSON
Schema. So a plug-in is described as well as our own types are.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel, TypeAdapter
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError
from pydantic.fields import FieldInfo

from acmectl.options import Options, format_duration


@dataclass(frozen=True, slots=True)
class Option:
    """A key: `propagation.timeout`. `default` is as the configuration writes it, None where there is none."""

    key: str
    kind: str
    required: bool
    default: str | None
    meaning: str


def options_of(model: type[BaseModel], prefix: str = "") -> Iterator[Option]:
    """The options of a model, those of nested mappings by their whole keys, after `prefix`."""
    meanings = _meanings(model)
    for name, field in _own_first(model):
        key = f"{prefix}{field.alias or name}"
        inner = _inner(field.annotation)
        if inner is None:
            kind = _kind(_schema(field))
            yield Option(key, kind, field.is_required(), _default(field, kind), meanings.get(name, ""))
        else:
            yield Option(key, "mapping", field.is_required(), None, meanings.get(name, ""))
            yield from options_of(inner, f"{key}.")


def _own_first(model: type[BaseModel]) -> Iterator[tuple[str, FieldInfo]]:
    """What a model declares itself before what it shares with others."""
    left = dict(model.model_fields)
    for one in model.__mro__:
        for name in [name for name in left if name in inspect.get_annotations(one)]:
            yield name, left.pop(name)


def _meanings(model: type[BaseModel]) -> dict[str, str]:
    """The texts below the fields in the source, of base classes as well; `description` goes before."""
    found: dict[str, str] = {}
    for one in reversed(model.__mro__):
        if issubclass(one, BaseModel) and one not in {BaseModel, Options}:
            found |= _texts(one)
    return found | {name: f.description for name, f in model.model_fields.items() if f.description}


def _texts(model: type) -> dict[str, str]:
    try:
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    except (OSError, TypeError, SyntaxError, ValueError):  # no source: a plug-in made at run time, or compiled
        return {}
    body: list[ast.stmt] = getattr(tree, "body", [])
    found = {}
    for field, below in pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and (text := _text(below)):
            found[field.target.id] = text
    return found


def _text(statement: ast.stmt) -> str:
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        return " ".join(str(statement.value.value).split())
    return ""


def _inner(annotation: Any) -> type[BaseModel] | None:
    """The model of a nested mapping, optional or not."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) is Annotated:
        return _inner(get_args(annotation)[0])
    parts = [part for part in get_args(annotation) if part is not type(None)]
    return _inner(parts[0]) if len(parts) == 1 and get_origin(annotation) not in {list, tuple, dict} else None


def _schema(field: FieldInfo) -> Mapping[str, Any]:
    whole: Any = field.annotation
    for one in field.metadata:
        whole = Annotated[whole, one]
    try:
        return TypeAdapter(whole, config={"arbitrary_types_allowed": True}).json_schema()
    except (
        PydanticUserError,
        PydanticSchemaGenerationError,
        NameError,
    ):  # a type of a plug-in's own without a JSON form
        return {}


def _kind(schema: Mapping[str, Any]) -> str:
    if "x-kind" in schema:
        return str(schema["x-kind"])
    if "enum" in schema or "const" in schema:
        return either(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    if "anyOf" in schema:
        return either(_kind(one) for one in schema["anyOf"] if one.get("type") != "null")
    if schema.get("type") == "array":
        return f"list of {_plural(_kind(schema.get('items', {})))}"
    if schema.get("type") == "integer" and {"minimum", "maximum"} <= schema.keys():
        return f"{schema['minimum']} to {schema['maximum']}"
    kinds = {"string": "text", "integer": "number", "number": "number", "boolean": "yes or no", "object": "mapping"}
    return kinds.get(str(schema.get("type")), "value")


def either(kinds: Iterable[str]) -> str:
    """`a, b or c`."""
    *most, last = dict.fromkeys(kinds)
    return f"{', '.join(most)} or {last}" if most else last


def _plural(kind: str) -> str:
    return f"{kind}es" if kind.endswith("s") else f"{kind}s"


def _default(field: FieldInfo, kind: str) -> str | None:
    value = None if field.is_required() else field.get_default(call_default_factory=True, validated_data={})
    return None if value in (None, {}, ()) else _written(value, kind)


def _written(value: Any, kind: str) -> str:
    """A default as the configuration would write it."""
    match value:
        case bool():
            return "yes" if value else "no"
        case timedelta():
            return format_duration(value)
        case int() if kind == "file mode":
            return f'"{value:04o}"'
        case tuple() | list():
            return f"[{', '.join(_written(item, kind) for item in value)}]"
        case _:
            return str(value)
