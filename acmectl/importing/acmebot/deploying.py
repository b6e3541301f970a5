"""What acmebot does after it issued, as deploy targets: the same files in the same places, hooks and services as reload commands.

A target has one reload command, and reloads begin when all files are in place: where there are more services than files, they share one.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acmectl.errors import TakeoverError
from acmectl.importing.acmebot.keytypes import Kind
from acmectl.importing.acmebot.reading import Acmebot, listed

_PLAIN = re.compile(r"[A-Za-z0-9@%+=:,./_-]+(?: +[A-Za-z0-9@%+=:,./_-]+)*\Z")
_PARTS = {  # acmebot's word for a file, and ours
    "private_key": "privkey",
    "chain": "chain",
    "certificate": "fullchain",
    "full_key": "privkey+fullchain",
}
_JOINED = (("directories", "full_key"), ("file_names", "full_key"), ("hooks", "full_key_installed"))
_HOOKS = {part: f"{part}_installed" for part in _PARTS}


@dataclass(frozen=True, slots=True)
class Issued:
    """One certificate of acmebot's: its private key's name, its own, and the kind of its key.

    Where certificates that shared a key get one of their own each (`apart`), it is written under the certificate's name.
    """

    key_name: str
    name: str
    kind: Kind
    apart: bool = False


def targets(acmebot: Acmebot, issued: Issued, certificate: Mapping[str, Any], notes: list[str]) -> list[dict[str, Any]]:
    """The deploy targets; a key that stays where it is needs none."""
    places = _places(acmebot, issued)
    reloads = [*_hooks(acmebot, issued, places, notes), *_services(acmebot, certificate, notes)]
    groups = (
        _grouped(places) if len(reloads) <= len(_grouped(places)) else [{part: path} for part, path in places.items()]
    )
    if not groups:
        return []
    shared = reloads[len(groups) - 1 :]
    commands = [*reloads[: len(groups) - 1], *([_together(shared)] if shared else [])]
    # each target reloads something: a copy that is put back later must be read again
    last = commands[-1] if commands else None
    padded = [*commands, *[last] * (len(groups) - len(commands))]
    return [_target(acmebot, group, command) for group, command in zip(groups, padded, strict=True)]


def argv(command: str) -> list[str]:
    """A command line of acmebot's, which a shell runs, as words where it needs no shell."""
    return command.split() if _PLAIN.match(command) else ["sh", "-c", command]


def _places(acmebot: Acmebot, issued: Issued) -> dict[str, Path]:
    named = {
        "private_key": None if issued.kind.file else (issued.name if issued.apart else issued.key_name, "private_key"),
        "chain": (issued.name, "chain"),
        "certificate": (issued.name, "certificate"),
        "full_key": (issued.name, "full_key"),
    }
    found = {
        part: acmebot.path(kind, name, issued.kind.suffix)
        for part, pair in named.items()
        if pair is not None
        for name, kind in [pair]
    }
    return {
        part: path
        for part, path in found.items()
        if path is not None and (part != "full_key" or path.exists() or _names_joined_files(acmebot))
    }


def _names_joined_files(acmebot: Acmebot) -> bool:
    """Whether anything is said about files with key and chain in one, which acmebot writes unless it is told not to."""
    named = ((acmebot.own.get(section) or {}).get(key) for section, key in _JOINED)
    return any(named)


def _grouped(places: Mapping[str, Path]) -> list[dict[str, Path]]:
    """The files by their folders."""
    groups: dict[Path, dict[str, Path]] = {}
    for part, path in places.items():
        groups.setdefault(path.parent, {})[part] = path
    return list(groups.values())


def _target(acmebot: Acmebot, group: Mapping[str, Path], command: Sequence[str] | None) -> dict[str, Any]:
    folder = next(iter(group.values())).parent
    names = {_PARTS[part]: path.name for part, path in group.items()}
    target: dict[str, Any] = {"type": "files", "directory": str(folder), "files": names}
    for key, setting in (("owner", "file_user"), ("group", "file_group")):
        if acmebot.setting(setting):
            target[key] = str(acmebot.setting(setting))
    if group.keys() & {"private_key", "full_key"}:
        target["key_mode"] = "0640"  # as acmebot writes keys
    return target | ({"reload": list(command)} if command else {})


def _services(acmebot: Acmebot, certificate: Mapping[str, Any], notes: list[str]) -> list[list[str]]:
    commands = acmebot.section("services")
    found = []
    for service in listed(certificate.get("services", acmebot.setting("services"))):
        command = commands.get(str(service))
        if command:
            found.append(argv(str(command)))
        else:
            notes.append(f"service `{service}` has no reload command")
    return found


def _hooks(acmebot: Acmebot, issued: Issued, places: Mapping[str, Path], notes: list[str]) -> list[list[str]]:
    """Hooks for files that we write too: the placeholders are known now."""
    hooks, found = acmebot.section("hooks"), []
    for part, path in places.items():
        if not (hook := hooks.get(_HOOKS[part])):
            continue
        fields = {
            "key_name": issued.key_name,
            "key_type": issued.kind.suffix,
            "certificate_name": issued.name,
            f"{part}_file": str(path),
        }
        quoted = {key: shlex.quote(value) for key, value in fields.items()}
        try:
            found.append(argv(acmebot.fill(f"hooks.{_HOOKS[part]}", str(hook), **quoted)))
        except TakeoverError:
            notes.append(f"the hook `{_HOOKS[part]}` uses what is not known here, such as a passphrase")
    return found


def _together(commands: Sequence[Sequence[str]]) -> list[str]:
    if len(commands) == 1:
        return list(commands[0])
    return ["sh", "-c", " && ".join(c[2] if c[:2] == ["sh", "-c"] else shlex.join(c) for c in commands)]
