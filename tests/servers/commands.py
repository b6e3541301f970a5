"""The commands of presets, for a service that has its configuration elsewhere: one more option, and nothing else."""

from __future__ import annotations

from pathlib import Path

from acmectl.deploy.presets import PRESETS


def checking(preset: str, option: str, configuration: Path, *, program: str | None = None) -> list[str]:
    """The check of a preset, told by `option` where the configuration is; `program` is where its program is."""
    return _told(PRESETS[preset].check, option, configuration, program)


def reloading(preset: str, option: str, configuration: Path) -> list[str]:
    """The same for the reload command."""
    return _told(PRESETS[preset].reload, option, configuration, None)


def _told(command: tuple[str, ...] | None, option: str, configuration: Path, program: str | None) -> list[str]:
    assert command
    return [program or command[0], option, str(configuration), *command[1:]]
