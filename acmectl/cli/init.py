"""`acmectl init`: a configuration to start from, for a role or made from acmebot's. Nothing that exists is ever overwritten."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import click

from acmectl import files
from acmectl.cli.context import Context, pass_context
from acmectl.cli.render import starting
from acmectl.errors import ConfigurationError, UsageError
from acmectl.model.authorities import KNOWN_DIRECTORIES
from acmectl.model.names import Identifier

_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("role", required=False, type=click.Choice(starting.ROLES))
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--contact", metavar="EMAIL", help="Where the CA writes to when something is wrong.")
@click.option(
    "--authority",
    metavar="CA",
    help=f"The CA: {', '.join(KNOWN_DIRECTORIES)}, or the URL of a directory; letsencrypt if not given.",
)
@click.option("--profile", metavar="NAME", help="The certificate profile; master and followers need the same.")
@click.option("--state-directory", type=_PATH, metavar="DIR", help="Where accounts and certificates lie.")
@click.option("--webroot", type=_PATH, metavar="DIR", help="Prove names by files below this document root.")
@click.option("--tsig-key-file", type=_PATH, metavar="FILE", help="Prove names by dynamic DNS updates with this key.")
@click.option(
    "--from",
    "source",
    envvar="ACMECTL_INIT_FROM",
    type=(click.Choice(["acmebot"]), _PATH),
    metavar="acmebot PATH",
    help="Make it from acmebot's configuration: its file, or its folder.",
)
@pass_context
def init(
    context: Context,
    role: starting.Role | None,
    names: Sequence[str],
    *,
    source: tuple[str, Path] | None,
    contact: str | None,
    authority: str | None,
    profile: str | None,
    state_directory: Path | None,
    webroot: Path | None,
    tsig_key_file: Path | None,
) -> int:
    """Write a commented configuration to start from.

    The file is the one of `--config`, and is never overwritten. The role says what this host shall do with NAMES: `master`
    keeps them authorized for followers, `follower` issues a certificate for them and proves nothing, `standalone` does
    both for itself. On a terminal, what is not given is asked for. Without --webroot and --tsig-key-file a
    master answers on port 80 by itself.

    With --from, what has no counterpart is listed in comments.
    """
    _refuse_existing(context.path)
    if source is not None:
        if role is not None:
            raise UsageError("`--from` says all that a role would", hint="leave the role and the names out")
        return _take_over(context.path, source[1])
    if webroot and tsig_key_file:
        raise UsageError("names are proven by files or by DNS", hint="leave out `--webroot` or `--tsig-key-file`")
    role = role or _ask_role()
    names = tuple(str(Identifier.parse(name)) for name in names or _ask_names())
    if contact is None and role != "follower" and sys.stdin.isatty():
        contact = click.prompt(
            "Mail address for the CA's warnings (may be empty)", default="", err=True, show_default=False
        )
    authority = authority or "letsencrypt"
    wanted = starting.Wanted(
        role=role,
        names=names,
        contact=contact or None,
        authority=authority,
        profile=profile or starting.PROFILES.get(authority),
        state_directory=state_directory.absolute() if state_directory else None,
        webroot=webroot.absolute() if webroot else None,
        tsig_key_file=tsig_key_file.absolute() if tsig_key_file else None,
    )
    files.make_directory(context.path.absolute().parent, mode=0o755)
    files.write_new(context.path, starting.configuration(wanted).encode("utf-8"), mode=0o644)
    _check_or_remove(context.path)
    starting.written(context.path, role)
    return 0


def _refuse_existing(path: Path) -> None:
    if path.is_symlink() or path.exists():
        raise UsageError(
            f"there is a configuration already: `{path}`", hint="name another file: `acmectl --config FILE init`"
        )


def _ask_role() -> starting.Role:
    if not sys.stdin.isatty():
        raise UsageError(
            "what shall this host be?", hint=f"one of {', '.join(starting.ROLES)}: `acmectl init master NAME...`"
        )
    role: starting.Role = click.prompt("What shall this host be?", type=click.Choice(starting.ROLES), err=True)
    return role


def _ask_names() -> list[str]:
    if not sys.stdin.isatty():
        raise UsageError("which names?", hint="give them after the role: `acmectl init master example.com`")
    text: str = click.prompt("Names, with spaces between them", err=True)
    return text.split()


def _check_or_remove(path: Path) -> None:
    """What the options made is checked as `acmectl check` does; a refused command leaves nothing behind."""
    from acmectl import app

    try:
        app.load(path).state.close()
    except ConfigurationError as error:
        with contextlib.suppress(OSError):
            path.unlink()
        first = error.problems[0]
        raise UsageError(f"`{first.path}` would not do: {first.message}", hint=first.hint) from error


def _take_over(path: Path, source: Path) -> int:
    from acmectl import app
    from acmectl.importing import acmebot

    folder = path.absolute().parent
    draft = acmebot.translate(source, beside=folder)
    for wanted in draft.files:
        if (folder / wanted.path).exists():
            raise UsageError(
                f"`{folder / wanted.path}` exists already", hint="move it away, or choose another `--config`"
            )
    with _all_or_none() as write:
        for wanted in draft.files:
            write(folder / wanted.path, wanted.content, wanted.mode)
        write(path, draft.text().encode("utf-8"), 0o600)
    try:
        app.load(path).state.close()
    except ConfigurationError as error:
        starting.taken_over(path, draft, problems=error.problems)
        return 1
    starting.taken_over(path, draft)
    return 0


@contextlib.contextmanager
def _all_or_none() -> Iterator[Callable[[Path, bytes, int], None]]:
    """Write new files; when one cannot be written, those before it are removed."""
    written: list[Path] = []

    def write(path: Path, content: bytes, mode: int) -> None:
        files.make_directory(path.absolute().parent, mode=0o755)
        files.write_new(path, content, mode=mode)
        written.append(path)

    try:
        yield write
    except BaseException:
        for path in written:
            with contextlib.suppress(OSError):
                path.unlink()
        raise
