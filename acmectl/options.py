"""The types of values in a configuration, for every room (and plug-in) that has options of its own.

Values come from YAML as `Text`, strings that know in which file and line they were written; that is how a relative path is
relative to the file that names it, and how an error finds its line. Secrets are named by file, never written into the configuration.

A validator of options refuses a value by raising ValueError, or `InvalidOption` where there is a hint to give; it never
quotes a value that could be a secret.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Self, Union, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
    model_validator,
)

from acmectl import files
from acmectl.errors import Place
from acmectl.model import durations

parse_duration, format_duration = durations.parse_duration, durations.format_duration

_LIKE_A_SECRET = re.compile(r"[A-Za-z0-9+_-][A-Za-z0-9+/_-]{19,}\Z|.*=\Z")


_BY_CREDENTIAL = "credential:"
_CREDENTIAL = re.compile(r"(?!\.)[A-Za-z0-9._-]{1,255}\Z")
_CREDENTIAL_STORES = ("/etc/credstore", "/run/credstore", "/usr/lib/credstore")  # systemd.exec(5), LoadCredential=


class Text(str):
    """A string of the configuration that knows its place."""

    __slots__ = ("place",)
    place: Place

    def __new__(cls, value: str, place: Place) -> Self:
        """`value`, as written at `place`."""
        self = super().__new__(cls, value)
        self.place = place
        return self


class InvalidOption(ValueError):
    """A value that cannot be used, and what to write instead."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class Options(BaseModel):
    """The base of every section's schema: unknown keys are refused, nothing is coerced, nothing can be changed.

    A list of YAML is taken for a field that is a tuple, because frozen options hold tuples.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, arbitrary_types_allowed=True)

    @model_validator(mode="before")
    @classmethod
    def _lists_to_tuples(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {
            key: tuple(item)
            if isinstance(item, list) and key in cls.model_fields and _takes_tuple(cls.model_fields[key].annotation)
            else item
            for key, item in value.items()
        }


def _takes_tuple(annotation: Any) -> bool:
    origin = get_origin(annotation)
    if origin is Annotated:
        return _takes_tuple(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return any(_takes_tuple(part) for part in get_args(annotation))
    return tuple in (origin, annotation)


def nearest(word: str, known: Iterable[str], *, likeness: float = 0.6) -> str | None:
    """The hint "did you mean" for a word that nobody knows, None where no known word has that likeness (0 to 1)."""
    near = closest(word, known, likeness=likeness)
    return f"did you mean `{near}`?" if near else None


def closest(word: str, among: Iterable[str], *, likeness: float = 0.6) -> str | None:
    """The word that is most like this one, whatever the case; None where none has that likeness (0 to 1)."""
    import difflib  # only for mistakes

    lower = {one.lower(): one for one in among}
    near = difflib.get_close_matches(word[:100].lower(), lower, n=1, cutoff=likeness)
    return lower[near[0]] if near else None


def describe(value: Any) -> str:
    """What kind of value YAML found, in a person's words; never the value itself."""
    kinds: tuple[tuple[type | tuple[type, ...], str], ...] = (
        (type(None), "nothing"),
        (bool, "a truth value"),
        ((int, float), "a number"),
        (str, "a text"),
        ((list, tuple), "a list"),
        (dict, "a mapping"),
    )
    return next((words for kind, words in kinds if isinstance(value, kind)), f"a value of type {type(value).__name__}")


def _duration(value: Any) -> timedelta:
    return value if isinstance(value, timedelta) else parse_duration(value)


def parse_path(value: Any) -> Path:
    """A path as a configuration writes it: relative to the file that names it, `~` expanded. Raises ValueError."""
    if isinstance(value, Path):
        return value
    if not isinstance(value, str):
        raise InvalidOption(f"expected a path, found {describe(value)}", hint=_quotes(value))
    if not value or "\0" in value:
        raise ValueError("not a path")
    try:
        path = Path(value).expanduser()
    except RuntimeError as cause:  # `~nobody/file`
        raise ValueError("not a path: there is no home directory of that user") from cause
    return value.place.file.parent.absolute() / path if isinstance(value, Text) else path


def _quotes(value: Any) -> str | None:
    return "write it in quotes" if isinstance(value, int | float) else None


def _credential(name: str) -> Path:
    """Where systemd puts a credential for the service; for a person's shell, where it takes it from."""
    if not _CREDENTIAL.match(name):
        raise ValueError("not the name of a credential: letters, digits, `.`, `_` and `-`")
    if directory := os.environ.get("CREDENTIALS_DIRECTORY"):
        path = Path(directory, name)
        if not path.exists():
            hint = f"`LoadCredential={name}:/path/to/the/file` in the unit"
            raise InvalidOption(f"systemd gives this service no credential `{name}`", hint=hint)
        return path
    for store in _CREDENTIAL_STORES:
        if (path := Path(store, name)).exists():
            return path
    hint = f"put it into /etc/credstore, with `LoadCredential={name}` in the unit; or run the service in its place"
    raise InvalidOption(f"the credential `{name}` is with systemd, which did not start this process", hint=hint)


def _secret_file(value: Any) -> Path:
    if isinstance(value, str) and value.startswith(_BY_CREDENTIAL):
        path = _credential(value.removeprefix(_BY_CREDENTIAL))
    else:
        path = parse_path(value)
    try:
        if not path.is_file():
            raise _no_file(str(value), path)
        with path.open("rb"):
            pass
        if exposure := files.exposure(path):
            hint = f"`chmod 600 {path}`, and consider it known to others"
            raise InvalidOption(f"the secret file `{path}` {exposure}", hint=hint)
    except OSError as cause:
        raise InvalidOption(
            f"cannot read the secret file: {files.reason(cause)}", hint=files.hint_for(cause)
        ) from cause
    return path


def _secret_path(value: Any) -> Path:
    if isinstance(value, str) and value.startswith(_BY_CREDENTIAL):
        name = value.removeprefix(_BY_CREDENTIAL)
        try:
            return _credential(name)
        except InvalidOption:  # not there now
            return Path(os.environ.get("CREDENTIALS_DIRECTORY") or _CREDENTIAL_STORES[0], name)
    path = parse_path(value)
    if _LIKE_A_SECRET.match(str(value)) and not os.path.exists(path):  # noqa: PTH110  # Path.exists raises for a name that is too long
        raise _no_file(str(value), path)
    return path


def _no_file(text: str, path: Path) -> InvalidOption:
    """Does not repeat what may be the secret itself, pasted where its file's name should be."""
    if path.exists():
        return InvalidOption(f"`{path}` is no regular file")
    if _LIKE_A_SECRET.match(text):
        hint = "if this is the secret itself, write it to a file of mode 0600, and name that file here"
        return InvalidOption("there is no file of that name", hint=hint)
    return InvalidOption(f"there is no file `{path}`")


def _mode(value: Any) -> int:
    if isinstance(value, str) and re.fullmatch(r"0?[0-7]{3}", value):
        return int(value, 8)
    raise ValueError('not a file mode: write it in quotes, such as "0640" (YAML reads a bare 0640 as a number)')


def _argv(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        raise ValueError("a command is a list of words, such as `[systemctl, reload, postfix]`: no shell is involved")
    if not isinstance(value, list | tuple):
        raise ValueError(f"a command is a list of words, and this is {describe(value)}")
    if not value:
        raise ValueError("a command is a list of words, and this one is empty")
    for word in value:
        if not isinstance(word, str):
            told = f"a command is a list of words, and one of these is {describe(word)}"
            raise InvalidOption(told, hint=_as_word(word))
    if not value[0]:
        raise ValueError("the first word of a command names a program")
    if any("\0" in word for word in value):
        raise ValueError("a word of a command cannot have a NUL character")
    return tuple(str(word) for word in value)


def _as_word(value: Any) -> str | None:
    if isinstance(value, list | tuple):
        return "one command is wanted here: leave out the inner brackets"
    return "write it in quotes" if isinstance(value, int | float) else None  # as a truth value is


# `x-kind` is what a person calls the type; JSON Schema lets programs pass over keywords that they do not know.
Duration = Annotated[
    timedelta,
    BeforeValidator(_duration),
    PlainSerializer(format_duration, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": r"^([0-9]+(\.[0-9]+)?[smhdw])+$", "x-kind": "duration"}),
]
"""A length of time as `parse_duration` reads it."""


def up_to(longest: timedelta) -> AfterValidator:
    """A time that a run may wait, under the lock: it is bounded, so that no run lasts for ever."""

    def validate(value: timedelta) -> timedelta:
        if not timedelta() < value <= longest:
            raise ValueError(f"must be more than `0s`, and at most `{format_duration(longest)}`")
        return value

    return AfterValidator(validate)


ConfigPath = Annotated[
    Path, BeforeValidator(parse_path), WithJsonSchema({"type": "string", "minLength": 1, "x-kind": "path"})
]
"""A path; a relative one is relative to the file of the configuration that names it."""

SecretFile = Annotated[
    Path, BeforeValidator(_secret_file), WithJsonSchema({"type": "string", "minLength": 1, "x-kind": "secret file"})
]
"""The path of a file that holds a secret: a regular file that we can read and others cannot (`files.exposure`).

`credential:NAME` is one that systemd hands to the service (`LoadCredential=`, systemd.exec(5)).
"""

SecretPath = Annotated[
    Path, BeforeValidator(_secret_path), WithJsonSchema({"type": "string", "minLength": 1, "x-kind": "secret file"})
]
"""The same, looked at only where it is needed: what is wrong with the file stops nothing else. Read it by `files.read_secret`."""

Mode = Annotated[
    int, BeforeValidator(_mode), WithJsonSchema({"type": "string", "pattern": "^0?[0-7]{3}$", "x-kind": "file mode"})
]
"""Permission bits, written as a quoted octal number."""

Owner = Annotated[str, Field(min_length=1)]
"""A user or group of files, by name or number; whether this host has it is found out when it is needed."""

Argv = Annotated[
    tuple[str, ...],
    BeforeValidator(_argv),
    WithJsonSchema({"type": "array", "items": {"type": "string"}, "minItems": 1, "x-kind": "command"}),
]
"""A command: a list of words, run without a shell."""

Port = Annotated[int, Field(ge=1, le=65535)]
"""A TCP or UDP port."""
