"""`acmectl cert verify`: whether services serve what they were given, seen as their clients see it."""

from __future__ import annotations

from datetime import timedelta

import click

from acmectl.cli.chosen_certificates import configured
from acmectl.cli.context import Context, DurationType, as_json, pass_context
from acmectl.cli.render import served as render
from acmectl.cli.render import words
from acmectl.policy import health


@click.command("verify")
@click.argument("label", required=False)
@click.option("--wait", type=DurationType(), metavar="DURATION", help="Look again, at growing intervals, for so long.")
@as_json
@pass_context
def verify(context: Context, label: str | None, wait: timedelta | None, *, json: bool) -> int:
    """Look at what services serve, over the wire; for monitoring.

    Every address that `verify` of a target lists is connected to, in TLS 1.3 and 1.2, and the certificate compared with the one in use, as
    are its chain, names and dates. Exit status 1 if anything serves something else, or nothing, and for a certificate that has ended.
    """
    from acmectl.app import served

    with context.reading() as host:
        wishes = configured(host, label) if label else host.wishes()
        seen = served.look(host, wishes, wait=wait or timedelta())
        now = host.clock()
    if json:
        words.json_out({"certificates": [render.seen_json(one) for one in seen]})
    else:
        render.seen(seen, now)
    return health.exit_status(failed=any(one.failed for one in seen), running_out=False)
