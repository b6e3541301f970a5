"""`acmectl check`: everything that is wrong with the configuration, or what it means."""

from __future__ import annotations

import click

from acmectl.cli import forecast
from acmectl.cli.context import Context, as_json, pass_context
from acmectl.cli.render import accounts, words
from acmectl.cli.render import forecast as forecast_
from acmectl.errors import ConfigurationError


@click.command()
@as_json
@pass_context
def check(context: Context, *, json: bool) -> int:
    """Check the configuration, and say what it asks for.

    All problems of all files come in one answer, each with its file and line. Asks nobody outside this host.
    """
    from acmectl.app import own_keys
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
        shortfalls, opened = forecast.shortfalls(host), excess(host)
    finally:
        host.state.close()
    if json:
        warnings = [*map(forecast_.warning_json, shortfalls), *map(accounts.excess_json, opened)]
        words.json_out({"ok": True, "problems": [], "warnings": warnings})
    else:
        accounts.configuration(context.path, host.config)
        forecast_.warnings(shortfalls)
        accounts.excess(opened)
    return 0
