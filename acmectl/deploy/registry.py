"""The types of deploy targets by the names that the configuration uses."""

from __future__ import annotations

from acmectl.deploy.files import FilesOptions, FilesTarget
from acmectl.errors import DeployError
from acmectl.options import Options

Target = FilesTarget


def known_types() -> tuple[str, ...]:
    """The types that `deploy: [{type: ...}]` may name, sorted."""
    return ("files",)


def options_model(type_: str) -> type[Options] | None:
    """The schema of a type's options; None for an unknown type."""
    return FilesOptions if type_ == "files" else None


def build(type_: str, options: Options) -> Target:
    """The target with these options, which `options_model(type_)` has checked. Raises DeployError."""
    if isinstance(options, FilesOptions) and type_ == "files":
        return FilesTarget(options)
    raise DeployError(f"there is no deploy target `{type_}`", hint=f"known types: {', '.join(known_types())}")
