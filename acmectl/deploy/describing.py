"""What target types there are and what each does and takes, for `acmectl targets list` and `show`: read from the presets."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from acmectl.deploy import registry
from acmectl.deploy.files import FilesOptions
from acmectl.deploy.presets import PRESETS
from acmectl.deploy.target import Target
from acmectl.described_options import Option, options_of
from acmectl.model.certificates import CertificateSpec, KeyType

_DEPTH = 2  # what a single file takes is told once, at `files`
_FIRST = CertificateSpec("LABEL", frozenset(), "default", None)
_FURTHER = CertificateSpec("LABEL+rsa-2048", frozenset(), "default", None, KeyType.RSA_2048)


@dataclass(frozen=True, slots=True)
class Described:
    """A target type. `target` is what it makes of a certificate LABEL; `kinds` are the files of one with two kinds of keys, if it can have one."""

    name: str
    service: str
    target: Target | None
    kinds: tuple[Path, ...] = ()
    note: str = ""


def described_types() -> tuple[Described, ...]:
    """All types."""
    return tuple(_described(name) for name in registry.known_types())


def described(name: str) -> tuple[Described, tuple[Option, ...]]:
    """One of `registry.known_types()` with its options."""
    model = registry.options_model(name)
    listed = tuple(options_of(model)) if model else ()
    return _described(name), tuple(
        _as_written(name, option) for option in listed if option.key.count(".") - option.key.endswith(".der") < _DEPTH
    )


def _described(name: str) -> Described:
    preset = PRESETS.get(name)
    if preset is None:
        return Described(name, "a command of your own, until it works", None)
    given = {} if preset.directory else {"directory": "DIRECTORY"}
    model = registry.options_model(name)
    options = model.model_validate(given) if model else None
    if not isinstance(options, FilesOptions):
        return Described(name, preset.service, None, note=preset.note)
    both = () if preset.serves_one_kind else (_FIRST, _FURTHER)
    kinds = tuple(path for spec in both for path in registry.build(name, options, spec, several=True).copies)
    return Described(name, preset.service, registry.build(name, options, _FIRST), kinds, preset.note)


def _as_written(name: str, option: Option) -> Option:
    """The options that are mappings and lists, as a configuration writes them."""
    preset = PRESETS.get(name)
    if preset is not None and option.key == "files":
        return replace(
            option, default=_mapping(f"{content}: {_quoted(file)}" for content, file in preset.files.items())
        )
    if option.key.startswith("files."):
        return replace(option, kind="text or mapping")
    if preset is not None and option.key == "verify":
        shown = ", ".join(_mapping([f"protocol: {protocol}", f"port: {port}"]) for protocol, port in preset.verify)
        return replace(option, kind="list of mappings", default=f"[{shown}]" if shown else None)
    return option


def _mapping(pairs: Iterable[str]) -> str:
    return f"{{{', '.join(pairs)}}}"


def _quoted(text: str) -> str:
    """A brace would begin a mapping."""
    return f'"{text}"' if text.startswith("{") else text
