"""The options of targets that put files where a service looks for them; a preset is these options with other defaults."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import PurePosixPath
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, field_validator, model_validator

from acmectl.deploy.contents import Content
from acmectl.deploy.wire.options import PATIENCE, Endpoint
from acmectl.options import Argv, ConfigPath, Duration, InvalidOption, Mode, Options, Owner, SecretPath, describe, up_to

_PLACEHOLDERS = ("{label}", "{kind}")
_MINUTE = timedelta(minutes=1)
_Limit = Annotated[Duration, up_to(timedelta(hours=1))]


def _nothing_if_empty(value: Any) -> Any:
    return None if value in ([], ()) else value


def _empty_if_nothing(value: Any) -> Any:
    return () if value is None else value


Command = Annotated[Argv | None, BeforeValidator(_nothing_if_empty)]
"""A command that a target need not have: `[]` is none, where the preset has one."""


class FileOptions(Options):
    """One file: its name alone, or with rights of its own."""

    name: str
    """below `directory`, or an absolute path; `{label}` is the certificate's label, `{kind}` is `ecdsa` or `rsa`"""
    mode: Mode | None = None
    owner: Owner | None = None
    group: Owner | None = None

    @model_validator(mode="before")
    @classmethod
    def _name_alone(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @field_validator("name")
    @classmethod
    def _below(cls, name: str) -> str:
        if name.startswith("~"):
            raise InvalidOption("no home directory can begin the name of a file", hint="write an absolute path")
        if not _is_file_name(name):
            raise ValueError("not a file name: a name below `directory`, such as `tls.key`, or an absolute path")
        _check_braces(name)
        return name


def _is_file_name(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return bool(name) and "\0" not in name and ".." not in parts and parts not in {(), ("/",)} and name[-1] != "/"


def _check_braces(path: str) -> None:
    if unknown := re.search(r"[{}]", re.sub("|".join(map(re.escape, _PLACEHOLDERS)), "", path)):
        hint = f"the words in braces are {' and '.join(f'`{word}`' for word in _PLACEHOLDERS)}"
        raise InvalidOption(f"`{unknown[0]}` cannot stand in a file name like this", hint=hint)


class FileNames(Options):
    """Which contents to install, and under which names; what is left out is not installed."""

    privkey: FileOptions | None = None
    """the private key, in PEM"""
    chain: FileOptions | None = None
    """the intermediate certificates"""
    cert: FileOptions | None = None
    """the certificate alone"""
    fullchain: FileOptions | None = None
    """the certificate, and the intermediate certificates after it"""
    privkey_fullchain: FileOptions | None = Field(default=None, alias="privkey+fullchain")
    """one file with the key, then the full chain"""
    fullchain_privkey: FileOptions | None = Field(default=None, alias="fullchain+privkey")
    """one file with the full chain, then the key"""
    cert_der: FileOptions | None = Field(default=None, alias="cert.der")
    """the certificate alone, in DER"""
    privkey_der: FileOptions | None = Field(default=None, alias="privkey.der")
    """the private key in DER (PKCS #8)"""
    pkcs12: FileOptions | None = None
    """key and chain in PKCS #12, encrypted with the passphrase in `passphrase_file`"""

    @model_validator(mode="before")
    @classmethod
    def _by_content(cls, value: Any) -> Any:
        if value is not None and not isinstance(value, dict | FileNames):
            hint = "which contents go where: `{CONTENT: NAME}`, such as `{privkey: tls.key, fullchain: tls.crt}`"
            raise InvalidOption(f"expected a mapping, found {describe(value)}", hint=hint)
        return value

    @model_validator(mode="after")
    def _some_and_distinct(self) -> FileNames:
        names = [file.name for _, file in self.chosen()]
        if not names or len(set(names)) < len(names):
            raise ValueError("name at least one file, and each differently")
        for content, file in self.chosen():
            if file.mode is not None:
                (_secret_mode if content.has_key else _public_mode)(file.mode)
        return self

    def chosen(self) -> Iterator[tuple[Content, FileOptions]]:
        """The files by their contents, in the order in which they are put in place."""
        by_alias = {field.alias or name: name for name, field in type(self).model_fields.items()}
        for content in Content:
            if (file := getattr(self, by_alias[content.value])) is not None:
                yield content, file


_ALL = FileNames.model_validate({part: f"{part}.pem" for part in ("privkey", "chain", "cert", "fullchain")})


def _readable(mode: int) -> int:
    if not mode & 0o444:
        raise ValueError("nobody could read a file of this mode")
    return mode


def _secret_mode(mode: int) -> int:
    if mode & 0o007:
        raise ValueError('a key must not be readable by everybody: use "0600", or "0640" with a `group`')
    return _readable(mode)


def _public_mode(mode: int) -> int:
    if mode & 0o113:
        raise ValueError('a certificate is nothing to execute, and must not be writable by everybody: use "0644"')
    return _readable(mode)


class FilesOptions(Options):
    """The options of a target that installs files. `owner` and `group` are names or numbers; without them we own the files."""

    directory: ConfigPath
    """where the files go; it is made if it is not there"""
    files: FileNames = _ALL
    """which contents go where: `{CONTENT: NAME}`, or `{CONTENT: {name: NAME, mode: MODE, owner: USER, group: GROUP}}`"""
    key_mode: Mode = 0o600
    """rights of files with a key in them"""
    certificate_mode: Mode = 0o644
    """rights of the other files"""
    owner: Owner | None = None
    """a user, by name or number; without it files are ours"""
    group: Owner | None = None
    """a group, by name or number"""
    passphrase_file: SecretPath | None = None
    """its first line encrypts a file `pkcs12`"""
    check: Command = None
    """says whether the service could use the files in place; the old ones are put back where it fails. `[]`: nothing is run"""
    check_timeout: _Limit = _MINUTE
    """how long the check may take"""
    reload: Command = None
    """makes the service read its files again, once a run for all targets that have the same; `[]`: nothing is run"""
    reload_timeout: _Limit = _MINUTE
    """how long the reload may take"""
    verify: Annotated[tuple[Endpoint, ...], BeforeValidator(_empty_if_nothing)] = ()
    """where to see that the service has them: `[{address: ADDRESS, port: PORT, protocol: PROTOCOL, name: NAME}]`, asked for NAME, or for the first name of the certificate; `[]`: nowhere"""
    patience: Annotated[Duration, up_to(timedelta(minutes=10))] = PATIENCE
    """how long the service may take until it is seen to have them"""

    @field_validator("directory", mode="before")
    @classmethod
    def _possible(cls, value: Any) -> Any:
        if isinstance(value, str):  # as it is written: the folder of the configuration may be called what it likes
            _check_braces(value)
        return value

    @field_validator("certificate_mode")
    @classmethod
    def _public(cls, mode: int) -> int:
        return _public_mode(mode)

    @field_validator("key_mode")
    @classmethod
    def _secret(cls, mode: int) -> int:
        return _secret_mode(mode)

    @model_validator(mode="after")
    def _passphrase_where_it_is_used(self) -> FilesOptions:
        if self.files.pkcs12 and not self.passphrase_file:
            raise InvalidOption(
                "a file `pkcs12` needs a passphrase", hint="name a file that holds it: `passphrase_file`"
            )
        if self.passphrase_file and not self.files.pkcs12:
            raise InvalidOption("`passphrase_file` is for a file `pkcs12`, and `files` names none")
        return self


class CommandOptions(Options):
    """The options of a target of type `command`."""

    run: Argv
    """a command, run with what it is about in its environment, and again until it works"""
    timeout: _Limit = timedelta(minutes=5)
    """how long it may take"""
