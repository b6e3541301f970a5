"""Words about the TLSA records that a master keeps published."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from acmectl.cli.render.words import RED, hint, say
from acmectl.errors import ConfigurationError

if TYPE_CHECKING:
    from acmectl.master.records import RecordsResult


def records_report(results: Iterable[RecordsResult], *, talks: bool) -> None:
    """What a run did with the records of each file; failures on stderr in any case, the rest only where somebody looks."""
    for result in results:
        for failure in result.failed:
            if isinstance(failure, ConfigurationError):
                for problem in failure.problems:
                    click.echo(str(problem), err=True)
            say("error", f"the records in `{result.file}` are not all published: {failure.message}", RED)
            hint(failure.hint)
        if talks:
            for done, records in (("published", result.added), ("removed", result.removed)):
                for record in records:
                    click.echo(f"{done}: {record.owner}. TLSA {record.association}")
