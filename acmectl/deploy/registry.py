"""The types of deploy targets by the names that the configuration uses."""

from __future__ import annotations

import os
from pathlib import Path

from acmectl.deploy.files import FilesOptions, FilesTarget
from acmectl.errors import DeployError
from acmectl.model.certificates import KIND, CertificateSpec
from acmectl.options import Options

Target = FilesTarget


def known_types() -> tuple[str, ...]:
    """The types that `deploy: [{type: ...}]` may name, sorted."""
    return ("files",)


def options_model(type_: str) -> type[Options] | None:
    """The schema of a type's options; None for an unknown type."""
    return FilesOptions if type_ == "files" else None


def copies(options: Options) -> tuple[Path, ...]:
    """The files that a target with these options writes, at their real places; nothing needs to exist."""
    listed = options.copies if isinstance(options, FilesOptions) else ()
    return tuple(Path(os.path.realpath(copy.parent), copy.name) for copy in listed)


def options_for(options: Options, spec: CertificateSpec) -> Options:
    """The options of a target for one kind of a certificate: a further kind lies beside the first, under names of its own."""
    if KIND in spec.label and isinstance(options, FilesOptions):
        return options.beside(spec.key_type.family)
    return options


def build(type_: str, options: Options) -> Target:
    """The target with these options, which `options_model(type_)` has checked. Raises DeployError."""
    if isinstance(options, FilesOptions) and type_ == "files":
        return FilesTarget(options)
    raise DeployError(f"there is no deploy target `{type_}`", hint=f"known types: {', '.join(known_types())}")
