"""What this host does not have, and targets and commands of the configuration need: programs, users, groups and room for their files.

And names that services are asked for, which the certificate does not have.

For `check`: a deployment would find it out when the first certificate is due, at night. It is no problem of the configuration, which may
be checked on another host, or before the service is installed.
"""

from __future__ import annotations

import os.path
import stat
from collections.abc import Iterator
from typing import TYPE_CHECKING

from acmectl import files, programs
from acmectl.deploy import registry as targets
from acmectl.deploy.files import FilesOptions
from acmectl.errors import ConfigurationProblem, DeployError
from acmectl.model.names import any_covers

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from acmectl.app.host import Host
    from acmectl.config import Command, Section
    from acmectl.deploy.target import Target
    from acmectl.model.names import Identifier
    from acmectl.options import Options

_INSTALL = "install it before a certificate is due, or correct the command"


def missing(host: Host) -> tuple[ConfigurationProblem, ...]:
    """All of it, each where it is asked for; what a preset asks for, at the target."""
    config = host.config
    found = [
        one
        for label, certificate in config.certificates.items()
        for section, (kind, options) in zip(certificate.deploy, host.parts.targets[label], strict=True)
        for one in (
            *_programs(section, options),
            *_owners(section, options),
            *_no_room(section, targets.build(kind, options, certificate.spec)),
            *_other_names(section, options, certificate.spec.names),
        )
    ]
    for label, certificate in config.certificates.items():
        found += _of_commands(f"certificates.{label}.onchange", certificate.onchange)
    return (*found, *_of_commands("onchange", config.onchange))


def _programs(section: Section, options: Options) -> Iterator[ConfigurationProblem]:
    """Each once, though the check may be the reload as well."""
    commands = ((key, getattr(options, key, None)) for key in ("check", "reload", "run"))
    asked = {argv[0]: key for key, argv in reversed([*commands]) if argv}
    for program, key in reversed(asked.items()):
        if why := programs.lack(program):
            yield section.problem(why, key=key, hint=_INSTALL)


def _owners(section: Section, options: Options) -> Iterator[ConfigurationProblem]:
    if not isinstance(options, FilesOptions):
        return
    chosen = list(options.files.chosen())
    for key, number in (("owner", files.user_id), ("group", files.group_id)):
        asked: dict[tuple[str, ...], str | None]
        asked = {("files", content.value, key): getattr(file, key) for content, file in chosen}
        if None in asked.values():  # the target's own holds
            asked[key,] = getattr(options, key)
        for path, name in asked.items():
            try:
                number(name, of="the target", error=DeployError)
            except DeployError as error:
                yield section.problem(error.message, key=path, hint=f"install the service, or {error.hint}")


def _no_room(section: Section, target: Target) -> Iterator[ConfigurationProblem]:
    """Files where directories should be, each once, and what cannot be replaced where files should be: a link can, wherever it leads."""
    upwards = (next(filter(os.path.lexists, path.parents)) for path in target.copies)
    for blocked in dict.fromkeys(place for place in upwards if not os.path.isdir(place)):  # noqa: PTH112  # never raises
        hint = "move it away, or name another `directory`"
        yield section.problem(f"`{blocked}` is no directory, and files are to go there", key="directory", hint=hint)
    for path in target.copies:
        if what := _irreplaceable(path):
            hint = "move it away, or name the file otherwise in `files`"
            yield section.problem(f"`{path}` is {what}, and a file is to go there", key="files", hint=hint)


def _other_names(section: Section, options: Options, names: frozenset[Identifier]) -> Iterator[ConfigurationProblem]:
    """It is no mistake for sure: a CA may add names."""
    for index, endpoint in enumerate(options.verify if isinstance(options, FilesOptions) else ()):
        if endpoint.name is not None and not any_covers(names, endpoint.name):
            message = f"the service is asked for `{endpoint.name}`, which is no name of the certificate"
            yield section.problem(message, key=("verify", index, "name"), hint="is it misspelt?")


def _irreplaceable(path: Path) -> str | None:
    try:
        mode = path.lstat().st_mode
    except OSError:  # nothing, or not to be seen by who asks
        return None
    if stat.S_ISDIR(mode):
        return "a directory"
    return None if stat.S_ISREG(mode) or stat.S_ISLNK(mode) else "no regular file"


def _of_commands(path: str, commands: Sequence[Command]) -> Iterator[ConfigurationProblem]:
    for index, command in enumerate(commands):
        if why := programs.lack(command.argv[0]):
            yield ConfigurationProblem(command.place, f"{path}[{index}]", why, _INSTALL)
