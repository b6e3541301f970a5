"""The types of deploy targets by the names that the configuration uses, and targets made of their options."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import Any, get_type_hints

from pydantic import create_model

from acmectl.deploy.files import CommandOptions, FileNames, FilesOptions
from acmectl.deploy.presets import PRESETS, Preset
from acmectl.deploy.target import Copy, Target
from acmectl.deploy.wire.options import Endpoint, VerifyOptions
from acmectl.errors import DeployError
from acmectl.model.certificates import KIND, CertificateSpec
from acmectl.options import Options

_COMMAND = "command"
_COMMAND_TIMEOUT = timedelta(minutes=5)
_NOT_DEPLOYED = {"passphrase_file", "verify", "patience", "check_timeout", "reload_timeout"}
"""Options that change nothing of what a service has: nothing is put in place and reloaded because of them."""


def known_types() -> tuple[str, ...]:
    """The types that `deploy: [{type: ...}]` may name, sorted."""
    return tuple(sorted((*PRESETS, _COMMAND)))


@functools.cache
def options_model(type_: str) -> type[Options] | None:
    """The schema of a type's options, with the preset's defaults; None for an unknown type."""
    if type_ == _COMMAND:
        return CommandOptions
    preset = PRESETS.get(type_)
    if preset is None:
        return None
    types = get_type_hints(FilesOptions, include_extras=True)
    fields: dict[str, Any] = {name: (types[name], default) for name, default in _defaults(preset).items()}
    return create_model(f"{type_.title()}Options", __base__=FilesOptions, __module__=__name__, **fields)


def _defaults(preset: Preset) -> dict[str, Any]:
    return {
        "directory": Path(preset.directory) if preset.directory else ...,
        "files": FileNames.model_validate(dict(preset.files)),
        "key_mode": preset.key_mode,
        "certificate_mode": preset.certificate_mode,
        "owner": preset.owner,
        "group": preset.group,
        "check": preset.check,
        "reload": preset.reload,
        "verify": tuple(Endpoint(protocol=protocol, port=port) for protocol, port in preset.verify),
    }


def unfit(type_: str, options: Options, *, several: bool) -> tuple[str, str] | None:
    """Why a target of this type can never do what a certificate with `several` kinds of keys asks for, and what to do; None if it can."""
    preset = PRESETS.get(type_)
    if not (several and preset and preset.serves_one_kind and isinstance(options, FilesOptions) and options.verify):
        return None
    return (
        f"`{type_}` serves one certificate for a name, and this one has two kinds of keys",
        "give the certificate one kind, `key: ecdsa-p256`; or deploy both and look at neither, `verify: []`",
    )


def copies(target: Target) -> tuple[Path, ...]:
    """The files that a target writes, at their real places; nothing needs to exist."""
    return tuple(Path(os.path.realpath(path.parent), path.name) for path in target.copies)


def build(type_: str, options: Options, spec: CertificateSpec | None = None, *, several: bool = False) -> Target:
    """The target with these options, which `options_model(type_)` has checked, for one kind of a certificate.

    `several`: the certificate has more kinds of keys than this. A further kind lies beside the first, under names of its own.
    Raises DeployError for an unknown type.
    """
    if type_ == _COMMAND and isinstance(options, CommandOptions):
        return command(options.run, timeout=options.timeout)
    if not isinstance(options, FilesOptions) or type_ not in PRESETS:
        raise DeployError(f"there is no deploy target `{type_}`", hint=f"known types: {', '.join(known_types())}")
    wanted = tuple(_wanted(PRESETS[type_], options, spec, several=several))
    family = spec.key_type.family if spec and several else None
    return Target(
        digest=_digest(type_, options.model_dump_json(exclude=_NOT_DEPLOYED), *(str(copy.path) for copy in wanted)),
        wanted=wanted,
        passphrase_file=options.passphrase_file,
        check=options.check,
        check_timeout=options.check_timeout,
        reload_command=options.reload,
        reload_timeout=options.reload_timeout,
        verify=VerifyOptions(options.verify, options.patience) if options.verify else None,
        family=family,
        verify_digest=_digest(options.model_dump_json(include={"verify"}), family or "") if options.verify else "",
    )


def command(run: tuple[str, ...], *, timeout: timedelta = _COMMAND_TIMEOUT) -> Target:
    """A target that is a command alone."""
    return Target(digest=_digest(_COMMAND, *run), run=run, run_timeout=timeout)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()


def _wanted(preset: Preset, options: FilesOptions, spec: CertificateSpec | None, *, several: bool) -> Iterator[Copy]:
    for content, file in options.files.chosen():
        mode = options.key_mode if content.has_key else options.certificate_mode
        yield Copy(
            content=content,
            path=_path(options.directory, _called(preset, file.name, spec, several=several), spec),
            mode=mode if file.mode is None else file.mode,
            owner=file.owner or options.owner,
            group=file.group or options.group,
        )


def _called(preset: Preset, name: str, spec: CertificateSpec | None, *, several: bool) -> str:
    """The name of a file, with the kind of key in it where it would be that of another kind otherwise."""
    is_further = spec is not None and KIND in spec.label
    if spec is None or "{kind}" in name or not (is_further or (several and preset.names_each_kind)):
        return name
    path = PurePosixPath(name)
    return str(path.with_name(preset.kinds.replace("{stem}", path.stem).replace("{suffix}", path.suffix)))


def _path(directory: Path, name: str, spec: CertificateSpec | None) -> Path:
    text = str(directory / name)
    if spec is not None:
        text = text.replace("{label}", spec.configured_label).replace("{kind}", spec.key_type.family)
    return Path(text)
