"""The configurations that `acmectl init` writes, and what it says about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from acmectl.cli.render.words import YELLOW, counted, hint, say
from acmectl.errors import ConfigurationProblem

if TYPE_CHECKING:
    from acmectl.importing.draft import Draft

Role = Literal["master", "follower", "standalone"]
ROLES: tuple[Role, ...] = ("master", "follower", "standalone")

PROFILES: Mapping[str, str] = {"letsencrypt": "classic", "letsencrypt-staging": "classic"}
"""The profile that a host begins with, at CAs that offer some."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person said about a host to start; paths are absolute."""

    role: Role
    names: tuple[str, ...]
    contact: str | None
    authority: str
    profile: str | None
    state_directory: Path | None
    webroot: Path | None
    tsig_key_file: Path | None


_TITLE: Mapping[Role, str] = {
    "master": """\
# A master: it proves names, and keeps them authorized at the CA; it never asks for a certificate. Followers share its account:
# `acmectl account export` here, `acmectl account import` there. Run `acmectl run` from cron or a timer, as often as `every` says.
""",
    "follower": """\
# A follower: it issues certificates for names that a master with the same account keeps authorized, and proves nothing.
# Run `acmectl run` from cron or a timer, twice a day or more often; where nothing is due it asks nobody.
""",
    "standalone": """\
# A host on its own: it proves its names when a certificate is due, and issues it in the same run.
# Run `acmectl run` from cron or a timer, twice a day or more often; where nothing is due it asks nobody.
""",
}
_HEAD = """\
# `acmectl check` says what is wrong with this file. Relative paths are relative to it; conf.d/*.yaml beside it is merged in.

# A known CA (letsencrypt, letsencrypt-staging, google, zerossl, ...), or {{directory: URL, ca_bundle: FILE}}.
authority: {authority}
"""
_PROFILE = """
# Sent with every order. Master and followers must use the same one, or the CA reuses nothing.
"""
_CONTACT = """
# Where the CA writes to when something is wrong.
"""
_SOLVER = """
# How names are proven. The names of solvers are yours to choose.
solvers:
"""
_MASTER = """
master:
  # How often it is run. `acmectl forecast` says which interval followers can live with.
  every: 1d
  authorize:
    - names: {names}
      solver: {solver}
"""
_CERTIFICATE = """
certificates:
  # The files lie in certificates/{label}/current/ of the state directory; `deploy` gives them to services.
  {label}:
    names: {names}
{solver}    # Which services need it: `acmectl targets list` names them, `acmectl targets show TYPE` says what each gets and takes.
    # deploy:
    #   - type: nginx
    #   - type: files
    #     directory: /etc/ssl/{label}
    #     reload: [systemctl, reload, another]
"""


def configuration(wanted: Wanted) -> str:
    """The text of a configuration file."""
    solver, options = _solver(wanted)
    parts = [_TITLE[wanted.role], _HEAD.format(authority=_flow(wanted.authority))]
    if wanted.profile:
        parts.append(f"{_PROFILE}profile: {_flow(wanted.profile)}\n")
    else:
        parts.append(f"{_PROFILE}# profile: classic\n")
    if wanted.contact and wanted.role != "follower":
        parts.append(f"{_CONTACT}contact: {_flow([wanted.contact])}\n")
    parts.append(f"\nstate_directory: {_flow(str(wanted.state_directory or '/var/lib/acmectl'))}\n")
    if wanted.role != "follower":
        parts.append(f"{_SOLVER}  {solver}: {_flow(options)}\n")
    names = _flow(list(wanted.names))
    if wanted.role == "master":
        parts.append(_MASTER.format(names=names, solver=solver))
    else:
        own = f"    solver: {solver}\n" if wanted.role == "standalone" else ""
        parts.append(_CERTIFICATE.format(label="main", names=names, solver=own))
    return "".join(parts)


def _solver(wanted: Wanted) -> tuple[str, dict[str, Any]]:
    if wanted.tsig_key_file:
        return "dns", {"type": "rfc2136", "tsig_key_file": str(wanted.tsig_key_file)}
    if wanted.webroot:
        return "web", {"type": "webroot", "path": str(wanted.webroot)}
    return "web", {"type": "standalone"}


def _flow(value: Any) -> str:
    """A value in YAML, on one line."""
    import yaml

    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, sort_keys=False, width=10_000)
    return text.removesuffix("\n").removesuffix("\n...")


def written(path: Path, role: Role) -> None:
    """Where the configuration lies, and what comes next."""
    click.echo(f"{path}: written, for a {role} host" if role == "standalone" else f"{path}: written, for a {role}")
    following = "account import FILE` with a bundle of the master's" if role == "follower" else "account register`"
    hint(f"look at it, then `acmectl {following}")


def taken_over(path: Path, draft: Draft, *, problems: Sequence[ConfigurationProblem] = ()) -> None:
    """Where the configuration lies, and how much of the other one it does not say."""
    click.echo(f"{path}: written")
    for file in draft.files:
        click.echo(f"{path.absolute().parent / file.path}: written")
    if draft.notes:
        listed = counted(len(draft.notes), "thing")
        say("warning", f"{listed} of the other configuration to look at: the comments at the top say which", YELLOW)
    for problem in problems:
        say("warning", str(problem), YELLOW)
    hint("then take over its account: `acmectl account import --from acmebot PATH`")
