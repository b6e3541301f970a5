"""What `type: lexicon` takes: a provider, its options as dns-lexicon has them, and files for those of them that are secrets.

An option of a provider counts as a secret unless it is known not to be one, and is refused in the configuration itself, at its line. Nothing here
imports lexicon: see `lexicon_providers`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, ValidationInfo, model_validator

from acmectl.dns.options import TimeLimit, between
from acmectl.errors import SolverError
from acmectl.options import Duration, InvalidOption, SecretFile, nearest
from acmectl.solvers.dns_check import DnsCheckOptions
from acmectl.solvers.lexicon_providers import (
    ProviderOption,
    is_secret,
    missing_packages,
    provider_names,
    provider_options,
)


def _provider(value: str) -> str:
    try:
        known = provider_names()
        if value not in known:
            hint = nearest(value, known) or "`acmectl solvers show lexicon` lists them"
            raise InvalidOption("not a provider that the installed dns-lexicon knows", hint=hint)
        provider_options(value)
    except SolverError as error:
        raise InvalidOption(error.message, hint=error.hint) from error
    if missing := missing_packages(value):
        hint = f"`pip install 'dns-lexicon[{value}]'`"
        raise InvalidOption(f"provider `{value}` needs {', '.join(missing)}, not installed here", hint=hint)
    return value


def _known(name: str, context: ValidationInfo) -> ProviderOption | None:
    """The option of the configured provider; None where the provider is wrong itself, which is told already."""
    provider = context.data.get("provider")
    if provider is None:
        return None
    known = {option.name: option for option in provider_options(provider)}
    if name not in known:
        hint = nearest(name, known) or f"it takes {', '.join(f'`{one}`' for one in known)}"
        raise InvalidOption(f"not an option of provider `{provider}`", hint=hint)
    return known[name]


def _public_name(name: str, context: ValidationInfo) -> str:
    if is_secret(name):
        hint = f"write it to a file of mode 0600, and name that file here: `credentials: {{{name}: FILE}}`"
        raise InvalidOption("a secret does not belong into the configuration", hint=hint)
    _known(name, context)
    return name


def _credential_name(name: str, context: ValidationInfo) -> str:
    option = _known(name, context)
    if option and option.is_flag:
        raise InvalidOption("not a credential: true or false", hint=f"`options: {{{name}: true}}`")
    return name


def _fitting(values: Mapping[str, str | int | bool], context: ValidationInfo) -> Mapping[str, str | int | bool]:
    for name, value in values.items():
        option = _known(name, context)
        if option and option.is_flag is not isinstance(value, bool):
            needed = "`true` or `false`" if option.is_flag else "a text or a number: write it in quotes"
            raise InvalidOption(f"`{name}` takes {needed}")
        if option and option.choices and str(value) not in option.choices:
            raise InvalidOption(f"`{name}` is one of {', '.join(option.choices)}")
    return values


def _credential_file(path: Path) -> Path:
    _read_secret(path)
    return path


def _credentials_file(path: Path, context: ValidationInfo) -> Path:
    for name, (line, _) in _read_lines(path).items():
        try:
            _credential_name(name, context)
        except InvalidOption as error:  # the name is not quoted: it may be anything
            raise InvalidOption(f"`{path}`: line {line}: {error}", hint=error.hint) from None
    return path


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as cause:
        reason = cause.strerror if isinstance(cause, OSError) else "it is no text"
        raise InvalidOption(f"cannot read `{path}`: {reason}") from None


def _read_secret(path: Path) -> str:
    if not (text := _read(path).strip()):
        raise InvalidOption(f"`{path}` is empty: it has to hold the secret, and nothing else")
    return text


def _read_lines(path: Path) -> Mapping[str, tuple[int, str]]:
    """The values by their names, each with its line."""
    found = {}
    for number, line in enumerate(_read(path).splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        parts = re.fullmatch(r"\s*([A-Za-z0-9_]+)\s*[:=]\s*(?P<quote>[\"']?)(.+?)(?P=quote)\s*", line)
        if not parts:
            hint = "one credential a line: `auth_token: ...`"
            raise InvalidOption(f"`{path}`: line {number} cannot be read", hint=hint)
        found[parts[1]] = (number, parts[3])
    return found


class LexiconOptions(DnsCheckOptions):
    """A provider, and what it needs; which options it takes is said by `acmectl solvers show PROVIDER`."""

    provider: Annotated[str, AfterValidator(_provider)]
    """The provider, as lexicon calls it."""

    options: Annotated[
        dict[Annotated[str, AfterValidator(_public_name)], str | int | bool], AfterValidator(_fitting)
    ] = Field(default={})
    """Options of the provider that are no secrets."""

    credentials: dict[
        Annotated[str, AfterValidator(_credential_name)],
        Annotated[SecretFile, AfterValidator(_credential_file)],
    ] = Field(default={})
    """For each option of the provider that is a secret, the file that holds it, alone."""

    credentials_file: Annotated[SecretFile, AfterValidator(_credentials_file)] | None = None
    """One file with several of them, as lines `NAME: VALUE`."""

    ttl: Annotated[Duration, between(timedelta(seconds=1), timedelta(days=1))] = timedelta(minutes=10)
    """The time to live of the records; not all providers take less than the default."""

    timeout: TimeLimit = timedelta(minutes=1)
    """How long the provider may take for one record."""

    workers: Annotated[int, Field(ge=1, le=16)] = 4
    """How many zones are changed at the same time; the records of one are changed one after another."""

    @model_validator(mode="after")
    def _once(self) -> Self:
        own = _read_lines(self.credentials_file) if self.credentials_file else {}
        if twice := sorted((own.keys() & self.credentials.keys()) | (self.options.keys() & {*own, *self.credentials})):
            raise InvalidOption(f"`{twice[0]}` of provider `{self.provider}` is given twice")
        return self

    def load_credentials(self) -> Mapping[str, str]:
        """The credentials, read anew; SolverError says what is wrong with a file."""
        try:
            own = _read_lines(self.credentials_file) if self.credentials_file else {}
            alone = {name: _read_secret(path) for name, path in self.credentials.items()}
            return {**{name: value for name, (_, value) in own.items()}, **alone}
        except InvalidOption as error:
            raise SolverError(str(error), hint=error.hint) from error
