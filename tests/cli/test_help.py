"""Help: every command has it, in one voice and complete; and what is not understood gets an answer that helps."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from acmectl.cli.entry import cli
from tests.cli.hosts import Host

HEAVY = ("acme", "josepy", "requests", "dns", "cryptography", "pydantic", "rich", "yaml", "werkzeug", "sqlite3")
DURATION = (
    "invalid value for `--wait`: `soon` is not a duration: "
    "write a number and a unit, such as `90s`, `15m`, `12h` or `30d`"
)
KEYS = "invalid value for `--key`: `dsa` is not one of `ecdsa-p256`, `ecdsa-p384`, `rsa-2048`, `rsa-3072`, `rsa-4096`"


def commands(group: click.Command = cli, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command with the words that call it, groups included."""
    yield path, group
    if isinstance(group, click.Group):
        context = click.Context(group)
        for name in group.list_commands(context):
            inner = group.get_command(context, name)
            assert inner is not None
            yield from commands(inner, (*path, name))


EVERY = [pytest.param(path, command, id=" ".join(("acmectl", *path))) for path, command in commands()]


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path / "host", "authority: letsencrypt\n")


@pytest.mark.parametrize(("_path", "command"), EVERY)
def test_the_help_of_every_command_is_in_one_voice(_path: tuple[str, ...], command: click.Command) -> None:
    assert command.help, "a command without a word about it"
    first = command.help.split("\n\n")[0].replace("\n", " ")
    assert re.match(r"[A-Z][^.]+\.\Z", first), "one sentence says what it does"
    assert len(first) <= 72, "the sentence is what lists of commands show"
    for parameter in command.params:
        if isinstance(parameter, click.Option) and not parameter.hidden:
            assert re.match(r"[A-Z].*\.\Z", parameter.help or ""), parameter.name


@pytest.mark.parametrize(("path", "command"), EVERY)
def test_the_help_of_every_command_names_everything_that_it_takes(
    path: tuple[str, ...], command: click.Command
) -> None:
    with click.Context(command, info_name=" ".join(("acmectl", *path)), terminal_width=80) as context:
        shown = command.get_help(context)
    assert "..." not in shown.partition("Commands:")[2], "a sentence that was cut off"
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert all(word in shown for word in parameter.opts)
        else:
            assert parameter.make_metavar(context) in shown


def test_acmectl_alone_shows_its_help(host: Host) -> None:
    asked = host.good("--help")
    assert asked.out.startswith("Usage: acmectl [OPTIONS] COMMAND [ARGS]...\n\n  Certificates for hosts that cannot")
    alone = host.acmectl()
    assert (alone.status, alone.out, alone.err.strip()) == (2, "", asked.out.strip())
    assert host.acmectl("follower").err.startswith("Usage: acmectl follower [OPTIONS] COMMAND [ARGS]...\n")


def test_help_needs_no_configuration(tmp_path: Path) -> None:
    host = Host(tmp_path / "host")
    for words in ((), ("master", "run"), ("account", "import"), ("sandbox",)):
        assert host.good(*words, "--help").err == ""
        assert host.good(*words, "-h").out
    assert re.fullmatch(r"acmectl, version \d+\.\d+\.\d+\n", host.good("--version").out)
    assert host.tree() == {}


def test_help_imports_nothing_heavy() -> None:
    code = f"""
import sys
from acmectl.cli.entry import cli
assert cli.main(["--help"], standalone_mode=False) == 0
assert cli.main(["follower", "run", "--help"], standalone_mode=False) == 0
assert cli.main(["sandbox", "--help"], standalone_mode=False) == 0
print("heavy:", *sorted(set({HEAVY}) & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "heavy:"


@pytest.mark.parametrize(
    ("words", "error", "hint"),
    [
        (["folower"], "no such command `folower`", "did you mean `follower`?"),
        (["follower", "stauts"], "no such command `stauts`", "did you mean `status`?"),
        (["xyzzy"], "no such command `xyzzy`", "`acmectl --help` shows how it is used"),
        (["follower", "run", "--wat", "3m"], "no such option `--wat`", "did you mean `--wait` or `--lock-wait`?"),
        (["--frobnicate"], "no such option `--frobnicate`", "`acmectl --help` shows how it is used"),
        (["-v"], "missing command", "`acmectl --help` shows how it is used"),
        (["account", "import"], "missing argument `FILE`", "`acmectl account import --help` shows how it is used"),
        (
            ["follower", "run", "--wait", "soon"],
            DURATION,
            "`acmectl follower run --help` shows how it is used",
        ),
        (
            ["account", "register", "--key", "dsa"],
            KEYS,
            "`acmectl account register --help` shows how it is used",
        ),
    ],
)
def test_what_is_not_understood_is_told_in_the_voice_of_the_rest(
    host: Host, words: list[str], error: str, hint: str
) -> None:
    assert host.block(host.acmectl(*words)) == f"! error: {error}\n! hint: {hint}\n-> 2\n"
