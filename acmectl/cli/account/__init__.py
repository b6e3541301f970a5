"""`acmectl account`: the ACME account that master and followers share; its key leaves a host only by `export`."""

from __future__ import annotations

import click

from acmectl.cli.account.registering import register
from acmectl.cli.account.sharing import export_, import_
from acmectl.cli.account.showing import show


@click.group()
def account() -> None:
    """Register an ACME account, and share it with followers."""


for _command in (register, show, export_, import_):
    account.add_command(_command)
