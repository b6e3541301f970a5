"""Words about the options that a section of the configuration takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from acmectl.described_options import Option


def options(listed: Sequence[Option]) -> None:
    """Each with its type, whether it is needed, and what it means."""
    for option in listed:
        need = "required" if option.required else f"default {option.default}" if option.default is not None else ""
        click.echo(f"\n  {click.style(option.key, bold=True)}  {option.kind}{', ' if need else ''}{need}")
        if option.meaning:
            click.echo(f"      {option.meaning}")


def option_json(option: Option) -> dict[str, Any]:
    """An option."""
    return {
        "key": option.key,
        "type": option.kind,
        "required": option.required,
        "default": option.default,
        "meaning": option.meaning,
    }
