"""`acmectl cert tlsa`: the records that the DNS should have of a certificate's keys."""

from __future__ import annotations

import click

from acmectl.cli.chosen_certificates import configured
from acmectl.cli.context import Context, as_json, pass_context
from acmectl.cli.render import tlsa as tlsa_
from acmectl.cli.render import words


@click.command("tlsa")
@click.argument("label")
@as_json
@pass_context
def tlsa(context: Context, label: str, *, json: bool) -> int:
    """Print the TLSA records of a certificate, as lines of a zone.

    They are `3 1 1`, and nobody is asked for them: for the key in use, for the next one, and for former ones that are still published. Keys are reused, so the lines hold until a
    key changes: copy them into the zone, or into the file that a master publishes (`master.records`).
    """
    from acmectl.follower.announcing import announced, unread

    with context.reading() as host:
        now = host.clock()
        wishes, certificates = configured(host, label), host.state.certificates
        records = announced(certificates, host.state.memory, host.publishers, wishes, now)
        unknown = tuple(unread(certificates, wishes))
    for error in unknown:
        words.say("warning", f"{error.message}, so that records of former keys may be missing here", words.YELLOW)
        words.hint(error.hint)
    if json:
        words.json_out({"records": [tlsa_.record_json(record) for record in records]})
    else:
        tlsa_.zone_lines(records, now)
        if not records:
            words.say("warning", f"there is no key of `{label}` yet", words.YELLOW)
            words.hint(f"`acmectl follower run {label}` makes it, also while it waits for the master")
    return 0
