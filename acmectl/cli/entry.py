"""The command line as a whole: the groups, what holds for every command, and how a run ends.

Errors are caught once, here. Commands are imported when they are called, so that `--help` and a run with nothing to do stay
fast.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from pathlib import Path
from typing import Any

import click

from acmectl import __version__
from acmectl.cli import interruption
from acmectl.cli.context import Context
from acmectl.cli.render import words
from acmectl.errors import AcmectlError

_COMMANDS = {
    "init": "acmectl.cli.init:init",
    "check": "acmectl.cli.check:check",
    "run": "acmectl.cli.runs:run",
    "status": "acmectl.cli.runs:status",
    "forecast": "acmectl.cli.forecast:forecast_command",
    "master": "acmectl.cli.master:master",
    "follower": "acmectl.cli.follower:follower",
    "cert": "acmectl.cli.cert:cert",
    "solvers": "acmectl.cli.solvers:solvers",
    "targets": "acmectl.cli.targets:targets",
    "account": "acmectl.cli.account:account",
    "log": "acmectl.cli.log:log",
    "sandbox": "acmectl.cli.sandbox:sandbox",
}


class _Lazy(click.Group):
    """A group whose commands are imported when they are needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # click's signature
        from importlib import import_module

        if cmd_name not in _COMMANDS:
            return None
        module, _, name = _COMMANDS[cmd_name].partition(":")
        command = getattr(import_module(module), name)
        assert isinstance(command, click.Command)  # noqa: S101  # the table above
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with what was probably meant: click compares with the commands that it has loaded, none."""
        try:
            return super().resolve_command(ctx, args)
        except click.exceptions.NoSuchCommand as unknown:
            raise click.exceptions.NoSuchCommand(unknown.command_name, possibilities=_COMMANDS, ctx=ctx) from unknown

    def invoke(self, ctx: click.Context) -> Any:
        """The exit status of a command; what ended it is told here, where the wish for colour is known."""
        try:
            return super().invoke(ctx)
        except AcmectlError as error:
            words.error(error)
            return error.exit_status
        except (KeyboardInterrupt, click.Abort) as ending:
            words.interrupted()
            return _after(ending)


@click.group(
    cls=_Lazy,
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "ACMECTL", "max_content_width": 100},
    epilog="Exit status: 0 as wanted, nothing due, or waiting with time in hand; 1 something failed; 2 usage or "
    "configuration; 3 another run holds the lock; 4 a certificate waits for the master and its time is running out. "
    "Every option can be given as an environment variable: ACMECTL_CONFIG, ACMECTL_FOLLOWER_RUN_WAIT.",
)
@click.option(
    "-c",
    "--config",
    type=click.Path(path_type=Path, readable=False),
    metavar="FILE",
    help="The configuration; /etc/acmectl/config.yaml if not given. conf.d/*.yaml beside it is merged.",
)
@click.option("-v", "--verbose", count=True, help="Say what is done, even under cron; twice: each request as well.")
@click.option(
    "--color/--no-color", default=None, help="Colour, or none; by default on a terminal, unless NO_COLOR is set."
)
@click.version_option(__version__, prog_name="acmectl")
@click.pass_context
def cli(ctx: click.Context, config: Path | None, verbose: int, *, color: bool | None) -> None:
    """Certificates for hosts that cannot prove control of their own names.

    A master with access to DNS or a web server keeps names authorized at the CA; followers that share its ACME account issue
    certificates for them, and prove nothing.
    """
    ctx.color = ctx.color if color is None else color
    _log(verbose)
    ctx.obj = Context(config, verbose)


def main() -> None:
    """Run a command, and end the process with its exit status."""
    interruption.listen()
    status: Any
    try:
        colour = False if os.environ.get("NO_COLOR") else None
        status = cli.main(prog_name="acmectl", standalone_mode=False, color=colour)
    except click.exceptions.Exit as exit_:
        status = exit_.exit_code
    except click.ClickException as error:
        words.misuse(error)
        status = error.exit_code
    except (KeyboardInterrupt, click.Abort) as ending:  # before or after a command
        status = _after(ending)
    except BrokenPipeError:
        interruption.silence(sys.stdout.fileno())
        status = 1
    sys.exit(int(status or 0))


def _after(ending: BaseException) -> int:
    """The exit status that the shell expects of a process that a signal ended."""
    return 128 + (ending.number if isinstance(ending, interruption.Interrupted) else signal.SIGINT)


def _log(verbose: int) -> None:
    level = (logging.INFO if sys.stderr.isatty() else logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    logging.basicConfig(level=logging.WARNING, format="acmectl: %(message)s", stream=sys.stderr)
    logging.getLogger("acmectl").setLevel(level)
