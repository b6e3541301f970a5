"""`acmectl check`: everything that is wrong with the configuration, or what it means."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from acmectl.cli import forecast
from acmectl.cli.context import Context, as_json, pass_context
from acmectl.cli.render import accounts, leftovers, tlsa, words
from acmectl.cli.render import forecast as forecast_
from acmectl.errors import ConfigurationError, StorageError
from acmectl.policy.health import ExitStatus

if TYPE_CHECKING:
    from acmectl.app import Host
    from acmectl.app.removing import Left


@click.command()
@as_json
@pass_context
def check(context: Context, *, json: bool) -> int:
    """Check the configuration, and say what it asks for.

    All problems of all files come in one answer, each with its file and line. Asks nobody outside this host, but for name servers
    where a certificate has `tlsa`: the exit status is 1 where validating clients cannot get through.
    """
    from acmectl.app import own_keys, published, records
    from acmectl.app.missing import missing
    from acmectl.app.privilege import excess

    try:
        host = context.host()
        own_keys.verify(host)
    except ConfigurationError as error:
        if not json:
            raise
        problems = [accounts.problem_json(p) for p in error.problems]
        words.json_out({"ok": False, "problems": problems, "warnings": []})
        return error.exit_status
    try:
        absent = (*missing(host), *records.left(host))
        shortfalls, opened, left = forecast.shortfalls(host), excess(host), _left(host)
        keys = published.findings(host)
    finally:
        host.state.close()
    turned_away = any(one.is_serious for one in keys)
    if json:
        warnings = [*map(accounts.problem_json, absent), *map(forecast_.warning_json, shortfalls)]
        warnings += map(accounts.excess_json, opened)
        warnings += [leftovers.warning_json(one) for one in left]
        warnings += [tlsa.finding_json(one) for one in keys]
        words.json_out({"ok": not turned_away, "problems": [], "warnings": warnings})
    else:
        accounts.configuration(context.path, host.config)
        accounts.warnings(absent)
        forecast_.warnings(shortfalls)
        accounts.excess(opened)
        leftovers.left_behind(left)
        tlsa.findings(keys)
    return ExitStatus.FAILED if turned_away else ExitStatus.AS_WANTED


def _left(host: Host) -> tuple[Left, ...]:
    """What was taken out of the configuration; nothing where the state is not for our eyes."""
    from acmectl.app import removing

    try:
        return removing.left_in_use(host)
    except StorageError:
        return ()
