"""Words about the TLSA records that a master keeps published."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from acmectl.cli.render.words import RED, YELLOW, counted, hint, iso, moment, say
from acmectl.errors import ConfigurationError
from acmectl.policy import kept_records

if TYPE_CHECKING:
    from acmectl.app.records import KeptFile
    from acmectl.master.records import RecordsResult
    from acmectl.policy.kept_records import KeptRecords


def records_report(results: Iterable[RecordsResult], *, talks: bool) -> None:
    """What a run did with the records of each file; failures on stderr in any case, the rest only where somebody looks."""
    for result in results:
        for failure in result.failed:
            if isinstance(failure, ConfigurationError):
                for problem in failure.problems:
                    click.echo(str(problem), err=True)
            say("error", f"the records in `{result.file}` are not all published: {failure.message}", RED)
            hint(failure.hint)
        for record in result.forgotten:
            text = f"a TLSA record of a former service is forgotten, as its name servers do not answer: {record.owner} {record.association}"
            say("warning", text, YELLOW)
        if talks:
            for done, records in (("published", result.added), ("removed", result.removed)):
                for record in records:
                    click.echo(f"{done}: {record.owner}. TLSA {record.association}")


def records_status(kept: Iterable[KeptFile], now: datetime) -> None:
    """How far the records of each file are, a line each."""
    for one in kept:
        if one.error:
            say("error", f"nothing is known of the records in `{one.file}`: {one.error.message}", RED)
            hint(one.error.hint)
            continue
        is_published = one.known.complete_at is not None
        click.secho(f"records in {one.file}: {_how_far(one.known, now)}", fg=None if is_published else YELLOW)


def _how_far(known: KeptRecords, now: datetime) -> str:
    if known.looked_at is None:
        return "no run has looked at them yet"
    accepted = kept_records.accepted_from(known)
    if accepted is None:
        how_far = "not seen at every name server yet"
    elif accepted <= now:
        how_far = "published"
    else:
        how_far = f"published, accepted by every client from {moment(accepted)} on"
    former = kept_records.former(known)
    leaving = f"; {counted(len(former), 'former one')} to be removed" if former else ""
    return f"{counted(len(known.wanted), 'TLSA record')}, {how_far}{leaving} (last look {moment(known.looked_at)})"


def kept_json(one: KeptFile) -> dict[str, Any]:
    """The same for programs."""
    known = one.known
    return {
        "file": str(one.file),
        "records": [f"{record.owner}. TLSA {record.association}" for record in sorted(known.wanted)],
        "former": [f"{record.owner}. TLSA {record.association}" for record in kept_records.former(known)],
        "complete_since": iso(known.complete_at),
        "accepted_from": iso(kept_records.accepted_from(known)),
        "looked_at": iso(known.looked_at),
        "error": one.error.message if one.error else None,
    }
