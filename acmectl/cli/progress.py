"""Progress of what takes a while, on a terminal only: bars on stderr, gone when it is done."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from acmectl.master import Step

Watcher = Callable[[str, "Step", int], None]
_AFTER = {"published": "waiting to see them", "seen": "removing", "removed": "done"}


def _unwatched(solver: str, step: Step, count: int) -> None:
    """Nobody looks."""


@contextlib.contextmanager
def watching(names: int, *, shown: bool) -> Iterator[Watcher]:
    """What to tell how many probes of which solver are published, seen and removed; shows it where stderr is a terminal."""
    if not shown or not sys.stderr.isatty():
        yield _unwatched
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        whole = bars.add_task("trying names", total=names)
        of_solver = {}

        def progress(solver: str, step: Step, count: int) -> None:
            if solver not in of_solver:
                of_solver[solver] = bars.add_task(solver, total=3 * count)
            bars.update(of_solver[solver], advance=count, description=f"{solver}: {count} {step}, {_AFTER[step]}")
            if step == "removed":
                bars.update(whole, advance=count)

        yield progress
