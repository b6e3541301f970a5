"""What a solver type takes, read from its options model, for `acmectl solvers show`: nothing is written down twice.

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
from importlib.metadata import version
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin

from pydantic import BaseModel, TypeAdapter
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError
from pydantic.fields import FieldInfo

from acmectl.errors import SolverError
from acmectl.options import Options, format_duration
from acmectl.solvers import registry
from acmectl.solvers.base import Capabilities

if TYPE_CHECKING:
    from acmectl.solvers.lexicon_providers import ProviderOption


@dataclass(frozen=True, slots=True)
class Option:
    """A key of a solver: `propagation.timeout`. `default` is as the configuration writes it, None where there is none."""

    key: str
    kind: str
    required: bool
    default: str | None
    meaning: str


@dataclass(frozen=True, slots=True)
class Described:
    """A solver type; `error` says why a plug-in cannot be used, and then nothing else is known of it."""

    name: str
    origin: str
    summary: str = ""
    capabilities: Capabilities | None = None
    error: SolverError | None = None


def described_types() -> tuple[Described, ...]:
    """All types, our own first; a plug-in that takes the name of one of ours is listed as well, with an error."""
    points = registry.plug_ins()
    known = [_described(name, _origin(name)) for name in registry.known_types()]
    return (*known, *(_shadowed(p.name, registry.origin(p)) for p in points if registry.is_built_in(p.name)))


def _origin(name: str) -> str:
    if registry.is_built_in(name):
        return "built in"
    return " and ".join(registry.origin(point) for point in registry.plug_ins() if point.name == name)


def _described(name: str, origin: str) -> Described:
    try:
        found = registry.find(name)
    except SolverError as error:
        return Described(name, origin, error=error)
    return Described(name, origin, found.summary, found.capabilities)


def _shadowed(name: str, origin: str) -> Described:
    error = SolverError(
        f"the plug-in for solver type `{name}` ({origin}) takes the name of a built-in type, and is not used",
        hint="its package has to give it another name",
    )
    return Described(name, origin, error=error)


def described(name: str) -> tuple[Described, tuple[Option, ...]]:
    """One type with its options. Raises SolverError for an unknown one, and a plug-in that cannot be used."""
    found = registry.find(name)
    return Described(name, _origin(name), found.summary, found.capabilities), tuple(_options(found.options, ""))


def described_provider(name: str) -> tuple[Described, tuple[Option, ...]]:
    """One of `lexicon_providers.provider_names`, with what goes where in a solver of type `lexicon`; the words are lexicon's."""
    from acmectl.solvers import lexicon_providers

    origin = f"dns-lexicon {version('dns-lexicon')}"
    if missing := lexicon_providers.missing_packages(name):
        origin += f"; {', '.join(missing)} is missing: `pip install 'dns-lexicon[{name}]'`"
    return Described(name, origin, "a provider for solvers of type `lexicon`"), tuple(
        _of_provider(option) for option in lexicon_providers.provider_options(name)
    )


def _of_provider(option: ProviderOption) -> Option:
    if option.is_secret:
        return Option(f"credentials.{option.name}", "secret file", False, None, option.meaning)
    kind = (
        _either(f"`{one}`" for one in option.choices) if option.choices else "yes or no" if option.is_flag else "text"
    )
    return Option(f"options.{option.name}", kind, False, option.default, option.meaning)


def _options(model: type[BaseModel], prefix: str) -> Iterator[Option]:
    meanings = _meanings(model)
    for name, field in _own_first(model):
        key = f"{prefix}{field.alias or name}"
        inner = _inner(field.annotation)
        if inner is None:
            kind = _kind(_schema(field))
            yield Option(key, kind, field.is_required(), _default(field, kind), meanings.get(name, ""))
        else:
            yield Option(key, "mapping", field.is_required(), None, meanings.get(name, ""))
            yield from _options(inner, f"{key}.")


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
        return _either(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    if "anyOf" in schema:
        return _either(_kind(one) for one in schema["anyOf"] if one.get("type") != "null")
    if schema.get("type") == "array":
        return f"list of {_plural(_kind(schema.get('items', {})))}"
    if schema.get("type") == "integer" and {"minimum", "maximum"} <= schema.keys():
        return f"{schema['minimum']} to {schema['maximum']}"
    kinds = {"string": "text", "integer": "number", "number": "number", "boolean": "yes or no", "object": "mapping"}
    return kinds.get(str(schema.get("type")), "value")


def _either(kinds: Iterable[str]) -> str:
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
