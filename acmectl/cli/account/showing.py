"""`acmectl account show`: what this host and the CA know of its accounts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from acmectl.cli.account.choosing import chosen
from acmectl.cli.context import Context, as_json, pass_context
from acmectl.cli.render import accounts as words_about
from acmectl.cli.render import words
from acmectl.errors import CARefused

if TYPE_CHECKING:
    from acmectl.app import Host
    from acmectl.storage.accounts import StoredAccount


@click.command()
@click.argument("name", required=False)
@click.option("--live", is_flag=True, help="Ask the CA whether it still knows the account.")
@as_json
@pass_context
def show(context: Context, name: str | None, *, live: bool, json: bool) -> int:
    """Show the accounts of this host (or one), never a key."""
    with context.reading() as host:
        known = host.state.accounts.names()
        names = (chosen(host, name),) if name or not known else known
        shown = [
            (stored, _live_status(host, stored) if live else None) for stored in map(host.state.accounts.load, names)
        ]
    if json:
        words.json_out({"accounts": [words_about.account_json(stored, status) for stored, status in shown]})
        return 0
    for stored, status in shown:
        words_about.account(stored, None, status)
    return 0


def _live_status(host: Host, stored: StoredAccount) -> str:
    from acmectl.ca import accounts

    with host.session(stored.private_key(), stored.account_url) as session:
        try:
            return accounts.fetch(session).status
        except CARefused as refused:
            words.hint(refused.hint)
            return str(refused.problem)
        finally:
            words.clock_warning(session.clock_offset)
