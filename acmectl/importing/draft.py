"""A configuration of ours that was made from another client's: what to write, and what a person has to know about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_WIDTH = 118


@dataclass(frozen=True, slots=True)
class DraftFile:
    """A file that the configuration refers to, by its path beside the configuration; a key is never shown."""

    path: str
    content: bytes = field(repr=False)
    mode: int = 0o600


@dataclass(frozen=True, slots=True)
class Draft:
    """A configuration, the files that it needs beside it, and what of the other one it does not say (`notes`)."""

    title: str
    document: Mapping[str, Any]
    notes: tuple[str, ...] = ()
    files: tuple[DraftFile, ...] = ()

    def text(self) -> str:
        """The configuration in YAML, the notes in comments before it."""
        parts = [*_comment([self.title])]
        if self.notes:
            parts += ["#", "# What has no counterpart here, and what to look at:"]
            for note in self.notes:
                parts += _comment([note], first="#   - ", rest="#     ")
        for key, value in self.document.items():
            parts += ["", _yaml(key, value)]
        return "\n".join(parts) + "\n"


def _yaml(key: str, value: Any) -> str:
    """One key in YAML; a list or mapping without others inside is written on one line, and nothing refers elsewhere."""
    import yaml

    class Plain(yaml.SafeDumper):
        def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002  # the signature of yaml's
            return True

    block = None if isinstance(value, Mapping | list) else False
    return str(yaml.dump({key: value}, Dumper=Plain, sort_keys=False, default_flow_style=block, width=_WIDTH)).rstrip(
        "\n"
    )


def _comment(paragraphs: Sequence[str], *, first: str = "# ", rest: str = "# ") -> list[str]:
    import textwrap

    lines: list[str] = []
    for text in paragraphs:
        # one paragraph of printable text: nothing of another file can end the comment
        plain = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        wrap = textwrap.TextWrapper(_WIDTH, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False)
        lines += wrap.wrap(plain)
    return lines
