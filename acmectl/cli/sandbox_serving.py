"""A sandbox as a process: it writes down where it is, says so, and runs until Ctrl-C, SIGTERM or SIGHUP.

Then it exits with 0: ending it is no failure.
"""

from __future__ import annotations

import base64
import json
import signal
from collections.abc import Mapping
from pathlib import Path

import click

from acmectl.files import write_atomically
from acmectl.sandbox.server import Sandbox, Settings

_PUBLIC = 0o644
_ENDING = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})


def serve(settings: Settings) -> None:
    """Until a signal that ends it; they are held back from the start, so that none interrupts anything half-done.

    Those that are ignored, as SIGHUP under `nohup`, stay so: held back, they would come through after all.
    """
    ending = {number for number in _ENDING if signal.getsignal(number) is not signal.SIG_IGN}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ending)
    try:
        with Sandbox(settings) as running:
            _write_external_accounts(settings.external_accounts, settings.output)
            _announce(running, settings.output)
            signal.sigwait(ending)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _announce(running: Sandbox, directory: Path) -> None:
    """The files first, and then, once everything is ready, what to do with them."""
    authority = json.dumps({"directory": running.directory_url, "ca_bundle": str(running.ca_bundle.absolute())})
    snippet = f"authority: {authority}\n"
    write_atomically(directory / "directory-url", f"{running.directory_url}\n".encode(), mode=_PUBLIC)
    write_atomically(directory / "authority.yaml", snippet.encode(), mode=_PUBLIC)
    click.echo(
        "this is a sandbox: no certificate authority for anyone, its certificates are worth nothing\n"
        f"directory: {running.directory_url}\n"
        f"management: {running.management_url}\n"
        f"root certificate: {running.ca_bundle.absolute()}\n"
        f"for config.yaml:\n{snippet}"
        "ready; Ctrl-C ends it"
    )


def _write_external_accounts(accounts: Mapping[str, bytes], directory: Path) -> None:
    """Where only their owner reads them; they are never printed."""
    for key_identifier, key in accounts.items():
        write_atomically(directory / "eab-key-id", f"{key_identifier}\n".encode())
        write_atomically(directory / "eab-hmac-key", base64.urlsafe_b64encode(key).rstrip(b"=") + b"\n")
