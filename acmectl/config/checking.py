"""A tree against a schema, and pydantic's errors in our words.

Pydantic finds all errors at once but speaks of "input", "instances" and its own unions; a person wants to know which line
of which file to change. No message quotes a value: it could be a secret in the wrong place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from pydantic import ValidationError

from acmectl.config.nodes import KeyPath, Node, locate, plain, problem, show_key
from acmectl.errors import AcmectlError, ConfigurationProblem
from acmectl.options import Options, describe, nearest

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

OptionsT = TypeVar("OptionsT", bound=Options)

_FEW = 14  # known keys that a hint lists
_EXPECTED = {
    "string_type": "a text",
    "string_sub_type": "a text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "`true` or `false`",
    "list_type": "a list",
    "tuple_type": "a list",
    "set_type": "a list",
    "frozen_set_type": "a list",
    "dict_type": "a mapping",
    "mapping_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "dataclass_type": "a mapping",
    "path_type": "a path",
}


def check(
    model: type[OptionsT], node: Node, path: KeyPath = ()
) -> tuple[OptionsT | None, tuple[ConfigurationProblem, ...]]:
    """`node` (which stands at `path`) as `model` reads it, or all that is wrong with it."""
    try:
        return model.model_validate(plain(node)), ()
    except ValidationError as error:
        details = [detail for detail in error.errors(include_url=False) if not _counts_valid_items_only(detail)]
        return None, tuple(_union(_explain(model, node, path, detail) for detail in details))
    except AcmectlError as error:  # of a validator that knows no field
        return None, (problem(path, node.place, error.message, error.hint),)


def _counts_valid_items_only(detail: ErrorDetails) -> bool:
    """Pydantic calls a list too short when its items are long enough in number, and wrong: that they are wrong it says too."""
    return detail["type"] == "too_short" and len(detail["input"]) >= detail["ctx"]["min_length"]


def _explain(model: type[Options], node: Node, path: KeyPath, detail: ErrorDetails) -> ConfigurationProblem:
    found, place, _ = locate(node, detail["loc"])
    if detail["type"] == "missing":
        return problem((*path, *found), place, f"the key `{detail['loc'][-1]}` is missing")
    if detail["type"] == "extra_forbidden":
        key, known = str(detail["loc"][-1]), _known_keys(model, detail["loc"][:-1])
        hint = nearest(key, known) or (f"known here: {_listed(known)}" if 0 < len(known) <= _FEW else None)
        return problem((*path, *found), place, f"unknown key `{show_key(key)}`", hint)
    message, hint = _words(detail)
    return problem((*path, *found), place, message, hint)


def _known_keys(model: type[Options], loc: KeyPath) -> list[str]:
    """The keys of the schema that `loc` leads to; parts that are no fields are indices, labels or union members."""
    here: list[type[Options]] = [model]
    for part in loc:
        inner = [
            found
            for m in here
            for name, field in m.model_fields.items()
            if part in (name, field.alias)
            for found in _models(field.annotation)
        ]
        here = inner or here
    return [field.alias or name for m in here for name, field in m.model_fields.items()]


def _models(annotation: Any) -> list[type[Options]]:
    if isinstance(annotation, type) and issubclass(annotation, Options):
        return [annotation]
    return [found for part in get_args(annotation) for found in _models(part)]


def _words(detail: ErrorDetails) -> tuple[str, str | None]:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind in _EXPECTED:
        return f"expected {_EXPECTED[kind]}, found {describe(detail['input'])}", _conversion(kind, detail["input"])
    if kind == "value_error":
        return str(context["error"]), getattr(context["error"], "hint", None)
    if kind in ("literal_error", "enum"):
        return _choice(str(context["expected"]), detail["input"])
    if words := _BOUNDS.get(kind):
        return words(context), None
    return f"not accepted: {detail['msg'][:1].lower()}{detail['msg'][1:]}", None


def _conversion(kind: str, value: Any) -> str | None:
    """What to write instead, where the value is only in the wrong form."""
    if value is None:
        return "give it a value, or remove the key"
    expected = _EXPECTED[kind]
    if expected == "a text" and isinstance(value, bool):
        return "YAML reads bare `yes`, `no`, `on` and `off` as truth values: write it in quotes"
    if expected == "a text" and isinstance(value, int | float):
        return "write it in quotes"
    if expected == "a list" and isinstance(value, str | dict):
        return "write it as `[...]`, also for a single one"
    if "number" in expected and isinstance(value, str) and re.fullmatch(r"[0-9.]+", value):
        return "write it without quotes"
    return None


def _choice(expected: str, value: Any) -> tuple[str, str | None]:
    known = re.findall(r"'([^']*)'", expected)
    message = f"expected one of {_listed(known)}" if known else f"expected {expected}"
    return message, nearest(value, known) if isinstance(value, str) else None


def _listed(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _at_least(context: dict[str, Any]) -> str:
    least = context["min_length"]
    return "must not be empty" if least == 1 else f"must have at least {least} entries"


def _short(bound: Any) -> str:
    return f"{bound:g}" if isinstance(bound, float) else str(bound)


_BOUNDS: dict[str, Callable[[dict[str, Any]], str]] = {
    "too_short": _at_least,
    "too_long": lambda c: f"must have at most {c['max_length']} entries, and has {c['actual_length']}",
    "string_too_short": _at_least,
    "string_too_long": lambda c: f"must have at most {c['max_length']} characters",
    "string_pattern_mismatch": lambda c: f"must match the pattern `{c['pattern']}`",
    "greater_than": lambda c: f"must be more than {_short(c['gt'])}",
    "greater_than_equal": lambda c: f"must be at least {_short(c['ge'])}",
    "less_than": lambda c: f"must be less than {_short(c['lt'])}",
    "less_than_equal": lambda c: f"must be at most {_short(c['le'])}",
    "finite_number": lambda _: "must be a finite number",
}


def _union(problems: Iterable[ConfigurationProblem]) -> list[ConfigurationProblem]:
    """One problem where a value fits none of several types: `expected a text or a list, found a number`."""
    found: dict[tuple[str, str], ConfigurationProblem] = {}
    for one in problems:
        words = re.fullmatch(r"expected (.*), (found .*)", one.message)
        key = (one.path, words[2] if words else one.message)
        if known := found.get(key):
            before = re.sub(r", found .*", "", known.message)
            if words and words[1] not in before:
                merged = f"{before} or {words[1]}, {words[2]}"
                found[key] = ConfigurationProblem(one.place, one.path, merged, known.hint or one.hint)
        else:
            found[key] = one
    return list(found.values())
