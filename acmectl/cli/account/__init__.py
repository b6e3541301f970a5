"""`acmectl account`: the ACME account that master and followers share; its key leaves a host only by `export`."""

from __future__ import annotations

import click

from acmectl.cli.account.changing import deactivate, rollover, update
from acmectl.cli.account.exporting import export_
from acmectl.cli.account.importing import import_
from acmectl.cli.account.registering import register
from acmectl.cli.account.showing import show


@click.group()
def account() -> None:
    """Register an ACME account, and share it with followers."""


for _command in (register, show, update, export_, import_, rollover, deactivate):
    account.add_command(_command)
