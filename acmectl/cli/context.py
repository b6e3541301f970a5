"""What commands share: which configuration, how loudly, and the options that several of them have."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from acmectl.model.durations import parse_duration

if TYPE_CHECKING:
    from acmectl.app import Host

_DEFAULT_CONFIG = Path("/etc/acmectl/config.yaml")

CommandT = TypeVar("CommandT", bound=Callable[..., Any])


class DurationType(click.ParamType[timedelta]):
    """`90s`, `15m`, `12h`, `30d` on the command line."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """A timedelta; fails as click does, with what is accepted."""
        if isinstance(value, timedelta):
            return value
        try:
            return parse_duration(value)
        except ValueError as error:
            self.fail(f"`{value}` is {error}", param, ctx)

    def __repr__(self) -> str:
        return "DURATION"


@dataclass(frozen=True, slots=True)
class Context:
    """What holds for the whole command line."""

    config: Path | None
    verbose: int

    @property
    def path(self) -> Path:
        """The configuration file: `--config`, else `ACMECTL_CONFIG` (click gives that), else the one in /etc."""
        return self.config or _DEFAULT_CONFIG

    @property
    def talks(self) -> bool:
        """Whether a run that went well says what it did: on a terminal, or with `-v`; under cron it is silent."""
        return self.verbose > 0 or sys.stdout.isatty()

    def host(self) -> Host:
        """The host that the configuration describes; raises ConfigurationError."""
        from acmectl import app

        return app.load(self.path)

    @contextlib.contextmanager
    def working(self, lock_wait: timedelta | None) -> Iterator[Host]:
        """The host, with the lock of its state directory held: for commands that change anything."""
        host = self.host()
        try:
            with host.state.locked(wait=lock_wait):
                yield host
        finally:
            host.state.close()

    @contextlib.contextmanager
    def reading(self) -> Iterator[Host]:
        """The host without its lock: for commands that only read."""
        host = self.host()
        try:
            yield host
        finally:
            host.state.close()


pass_context = click.make_pass_decorator(Context)


def lock_wait(command: CommandT) -> CommandT:
    """`--lock-wait` for commands that take the lock."""
    return click.option(
        "--lock-wait",
        type=DurationType(),
        metavar="DURATION",
        help="Wait so long for another run to end (such as `10m`), instead of exiting with 3 at once.",
    )(command)


def as_json(command: CommandT) -> CommandT:
    """`--json` for commands that only read."""
    return click.option("--json", is_flag=True, help="For programs: JSON on stdout, with a schema_version.")(command)


__all__ = ["Context", "DurationType", "as_json", "lock_wait", "pass_context"]
