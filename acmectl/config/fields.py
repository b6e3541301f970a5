"""What single keys of a configuration may hold, each as a type that refuses the rest in words of its own."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SkipValidation, WithJsonSchema

from acmectl import files
from acmectl.errors import InvalidName, StorageError
from acmectl.model.authorities import KNOWN_DIRECTORIES, is_loopback
from acmectl.model.certificates import KeyType
from acmectl.model.names import Identifier
from acmectl.options import ConfigPath, Duration, InvalidOption, describe, nearest, parse_path

_ACCOUNT = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}\Z")
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
_LETTERS = "letters, digits, `.`, `_` and `-`, a letter or digit first, at most 64"
_LIKE_AN_HMAC_KEY = re.compile(r"[A-Za-z0-9+_-]{20,}={0,2}\Z")
_PROFILE = re.compile(r"[!-~]{1,64}\Z")
_KEY_SCHEMA = {"type": "string", "enum": [key.value for key in KeyType]}
_LOCAL_PART = re.compile(r"[A-Za-z0-9!#$&'*+/=^_{|}~.-]{1,64}\Z")  # RFC 5322 dot-atom, without `%`, `?` and backquote


def _account(text: str) -> str:
    if not _ACCOUNT.match(text):
        raise ValueError(f"not the name of an account: use lower-case {_LETTERS}")
    return text


def _solver_name(text: str) -> str:
    if not _LABEL.match(text):
        raise ValueError(f"not the name of a solver: use {_LETTERS}")
    return text


def _label(text: str) -> str:
    if not _LABEL.match(text):
        raise ValueError(f"not a label of a certificate: use {_LETTERS}")
    if text == "current":
        raise ValueError("not a label of a certificate: `current` is what the link to a generation is called")
    return text


def _some_text(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be empty")
    return text


def _solvers(value: Any) -> Any:
    """One solver, or several in order of preference."""
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, list | tuple):
        hint = "the name of a solver, or several in order of preference: `[office-dns, web]`"
        raise InvalidOption(f"expected a text or a list, found {describe(value)}", hint=hint)
    return tuple(value)


def _once_each(names: tuple[str, ...]) -> tuple[str, ...]:
    for index, name in enumerate(names):
        if name in names[:index]:
            raise ValueError(f"`{name}` is listed twice")
    return names


def _profile(text: str) -> str:
    if not _PROFILE.match(text):
        raise ValueError("not the name of a profile: it has neither spaces nor letters beyond ASCII")
    return text


def _key_type(value: Any) -> KeyType:
    if not isinstance(value, str) or value not in list(KeyType):
        known = f"expected one of {', '.join(f'`{key}`' for key in KeyType)}"
        raise InvalidOption(known, hint=nearest(value, KeyType) if isinstance(value, str) else None)
    return KeyType(value)


def _key_types(value: Any) -> tuple[KeyType, ...]:
    """One type, or a list of them: servers have one certificate of each family of keys, so two of a family are a mistake."""
    if not isinstance(value, list | tuple):
        return (_key_type(value),)
    kinds = tuple(_key_type(kind) for kind in value)
    if not kinds:
        raise ValueError("must not be empty")
    if len({kind.family for kind in kinds}) < len(kinds):
        raise InvalidOption(
            "two types of one family: a server uses one certificate of each",
            hint="list one ECDSA and one RSA type, such as `[ecdsa-p256, rsa-2048]`",
        )
    return kinds


def _contact(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"expected an e-mail address, found {describe(value)}")
    local, at, domain = value.strip().removeprefix("mailto:").rpartition("@")
    if not at or not _LOCAL_PART.match(local):
        raise ValueError("not an e-mail address, such as `hostmaster@example.com`")
    try:
        host = Identifier.parse(domain)
    except InvalidName as cause:
        raise InvalidOption(f"not an e-mail address: {cause.message}", hint=cause.hint) from cause
    if host.is_address:
        raise ValueError(f"not an e-mail address: `{host}` is an address of a host, not a name")
    return f"{local}@{host}"


def _directory_url(text: str) -> str:
    try:
        url = urlsplit(text)
        host, _ = url.hostname, url.port
    except ValueError as cause:
        raise ValueError("not a URL") from cause
    if not text.isascii() or not text.isprintable() or " " in text or not host:
        raise ValueError("not a URL, such as `https://acme.example.com/directory`")
    if url.username is not None or url.password is not None:
        raise ValueError(
            "a URL with a user name or password: a directory needs none, and this file is no place for one"
        )
    if url.scheme != "https" and not (url.scheme == "http" and is_loopback(host)):
        raise ValueError("not an `https://` URL: `http://` is for a CA on this host's loopback only")
    return text


def _known_authority(text: str) -> str:
    if text not in KNOWN_DIRECTORIES:
        known = ", ".join(f"`{name}`" for name in KNOWN_DIRECTORIES)
        hint = nearest(text, KNOWN_DIRECTORIES) or f"known are {known}; for another, `{{directory: URL}}`"
        raise InvalidOption("no authority is known by that name", hint=hint)
    return text


def _bundle(path: Path) -> Path:
    try:
        content = files.read(path, what="the CA bundle")
    except StorageError as cause:
        raise InvalidOption(cause.message, hint=cause.hint) from cause
    if b"-----BEGIN CERTIFICATE-----" not in content:
        raise InvalidOption(f"no certificate in `{path}`", hint="it must be PEM: `-----BEGIN CERTIFICATE-----`")
    return path


def _unexposed(value: Any) -> Path:
    """A secret that is needed once, and may be removed afterwards: refused where others can read it, or where it is the secret itself."""
    path = parse_path(value)
    try:
        if path.exists() and (exposure := files.exposure(path)):
            hint = f"`chmod 600 {path}`, and consider it known to others"
            raise InvalidOption(f"the secret file `{path}` {exposure}", hint=hint)
        if not path.exists() and _LIKE_AN_HMAC_KEY.match(str(value)):
            hint = "if this is the key itself, write it to a file of mode 0600, and name that file here"
            raise InvalidOption("there is no file of that name", hint=hint)
    except OSError as cause:
        raise InvalidOption(
            f"cannot look at the secret file: {files.reason(cause)}", hint=files.hint_for(cause)
        ) from cause
    return path


def _at_least_a_minute(value: timedelta) -> timedelta:
    if value < timedelta(minutes=1):
        raise ValueError("must be at least 1m")
    return value


def _at_least_a_second(value: timedelta) -> timedelta:
    if value < timedelta(seconds=1):
        raise ValueError("must be at least 1s")
    return value


UnexposedFile = Annotated[Path, BeforeValidator(_unexposed), WithJsonSchema({"type": "string", "minLength": 1})]
Account = Annotated[str, AfterValidator(_account)]
SomeText = Annotated[str, AfterValidator(_some_text)]
Profile = Annotated[str, AfterValidator(_profile)]
Names = Annotated[tuple[SkipValidation[str], ...], Field(min_length=1)]  # each is read by `names`, with its own place
SolverNames = Annotated[
    tuple[SomeText, ...],
    BeforeValidator(_solvers, json_schema_input_type=str | tuple[str, ...]),
    Field(min_length=1),
    AfterValidator(_once_each),
]
"""One solver, or several: the first that can prove a name is used."""

SolverName = Annotated[str, AfterValidator(_solver_name)]
Label = Annotated[str, AfterValidator(_label)]
Keys = Annotated[
    tuple[KeyType, ...],
    BeforeValidator(_key_types),
    WithJsonSchema({"anyOf": [_KEY_SCHEMA, {"type": "array", "items": _KEY_SCHEMA, "minItems": 1, "maxItems": 2}]}),
]
Contact = Annotated[str, BeforeValidator(_contact), WithJsonSchema({"type": "string"})]
KnownAuthority = Annotated[str, AfterValidator(_known_authority)]
DirectoryURL = Annotated[str, AfterValidator(_directory_url)]
Bundle = Annotated[ConfigPath, AfterValidator(_bundle)]
Interval = Annotated[Duration, AfterValidator(_at_least_a_minute)]  # cron knows no shorter one
# With none, an order would be given up as soon as it is made.
Grace = Annotated[Duration, AfterValidator(_at_least_a_second)]
