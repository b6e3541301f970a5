"""How people see it: the only room that imports click; every word to a person stands in `render`."""

from __future__ import annotations

from acmectl.cli.entry import main

__all__ = ["main"]
