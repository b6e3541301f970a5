"""Every option can be given as an environment variable `ACMECTL_*`, named after the command and the option."""

from __future__ import annotations

import click
import pytest

from tests.cli.hosts import Host
from tests.cli.test_help import EVERY


@pytest.mark.parametrize(("path", "command"), EVERY)
def test_every_option_has_its_variable(
    path: tuple[str, ...], command: click.Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix = "_".join(("ACMECTL", *(word.upper() for word in path)))
    with click.Context(command, auto_envvar_prefix=prefix) as context:
        for option in command.params:
            if not isinstance(option, click.Option) or option.is_eager:
                continue
            long = next(word for word in option.opts if word.startswith("--"))
            variable = f"{prefix}_{long.removeprefix('--').replace('-', '_').upper()}"
            monkeypatch.setenv(variable, "given")
            assert option.resolve_envvar_value(context) == "given", variable


def test_options_are_taken_from_the_environment(follower: Host) -> None:
    """One of each kind: a file, a count, a flag, a duration, a choice, a text, and a pair of flags."""
    moved = follower.directory / "moved.yaml"
    follower.config.rename(moved)
    assert follower.good("check", env={"ACMECTL_CONFIG": "moved.yaml"}).out.startswith("moved.yaml: no problems\n")
    moved.rename(follower.config)
    assert follower.good("follower", "run", env={"ACMECTL_FOLLOWER_RUN_DRY_RUN": "1"}).out == (
        "xmpp  issue  no certificate yet\n"
    )
    assert "requests to the CA" not in follower.good("follower", "run", "xmpp").out
    assert "requests to the CA" in follower.good("follower", "run", "xmpp", env={"ACMECTL_VERBOSE": "1"}).out
    assert follower.good("status", env={"ACMECTL_STATUS_JSON": "1"}).out.startswith("{")
    assert follower.acmectl("follower", "run", env={"ACMECTL_FOLLOWER_RUN_WAIT": "soon"}).status == 2
    assert follower.acmectl("account", "register", env={"ACMECTL_ACCOUNT_REGISTER_KEY": "dsa"}).status == 2
    wrong = follower.acmectl("account", "export", "x", env={"ACMECTL_ACCOUNT_EXPORT_ACCOUNT": "nobody"})
    assert "has no account `nobody`" in wrong.err
    assert "\x1b" in follower.good("status", env={"ACMECTL_COLOR": "1"}).out


def test_what_is_given_beats_the_environment(follower: Host) -> None:
    env = {"ACMECTL_CONFIG": "nowhere.yaml", "ACMECTL_COLOR": "1"}
    ran = follower.good("--config", "config.yaml", "--no-color", "follower", "plan", env=env)
    assert ran.out == "xmpp  issue  no certificate yet\n"
