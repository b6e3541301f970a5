"""acmebot's configuration files -> one tree with acmebot's defaults, read as acmebot 2.17 reads them.

JSON or YAML, `conf.d` beside it merged over it in alphabetical order. Only what is needed to take over has defaults here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from acmectl import files
from acmectl.errors import TakeoverError

_ENDINGS = (".json", ".yaml", ".yml")
_NAME = "acmebot"
_SECTIONS = ["account", "settings", "directories", "key_type_suffixes", "file_names", "services", "hooks"]
_SECTIONS += ["certificates", "private_keys", "authorizations", "http_challenges", "zone_update_keys"]
DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "settings": {
        "follower_mode": False,
        "key_types": ["rsa", "ecdsa"],
        "key_size": 4096,
        "key_curve": "secp384r1",
        "file_user": "root",
        "file_group": "ssl-cert",
        "acme_directory_url": "https://acme-v02.api.letsencrypt.org/directory",
        "reload_zone_command": "/etc/bind/reload-zone.sh",
    },
    "directories": {
        "resource": "/var/local/acmebot",
        "private_key": "/etc/ssl/private",
        "full_key": "/etc/ssl/private",
        "certificate": "/etc/ssl/certs",
        "full_certificate": "/etc/ssl/certs",
        "chain": "/etc/ssl/certs",
        "challenge": "/etc/ssl/challenges",
        "http_challenge": None,
        "update_key": "/etc/ssl/update_keys",
    },
    "key_type_suffixes": {"rsa": ".rsa", "ecdsa": ".ecdsa"},
    "file_names": {
        "private_key": "{name}{suffix}.key",
        "full_key": "{name}_full{suffix}.key",
        "certificate": "{name}{suffix}.pem",
        "full_certificate": "{name}+root{suffix}.pem",
        "chain": "{name}_chain{suffix}.pem",
        "challenge": "{name}",
    },
    "services": {
        name: f"systemctl reload-or-restart {unit}"
        for name, unit in {
            "apache": "apache2",
            "coturn": "coturn",
            "crowdsec": "crowdsec",
            "dovecot": "dovecot",
            "etherpad": "etherpad",
            "mysql": "mysql",
            "nginx": "nginx",
            "postfix": "postfix",
            "postgresql": "postgresql",
            "prosody": "prosody",
            "slapd": "slapd",
            "synapse": "matrix-synapse",
            "znc": "znc",
        }.items()
    },
}


@dataclass(frozen=True, slots=True)
class Acmebot:
    """An acmebot configuration; `own` is what its files say, without defaults."""

    file: Path
    own: Mapping[str, Any] = field(repr=False)

    def section(self, name: str) -> Mapping[str, Any]:
        """A part of the configuration, over its defaults; empty where it is missing. Raises TakeoverError."""
        value = self.own.get(name)
        if value is not None and not isinstance(value, dict):
            raise self.wrong(name, "a mapping")
        return {**DEFAULTS.get(name, {}), **(value or {})}

    def setting(self, key: str) -> Any:
        """A setting, or its default."""
        return self.section("settings").get(key)

    def is_follower(self) -> bool:
        """Whether it runs in follower mode (`slave_mode` in older files)."""
        settings = self.own.get("settings") or {}
        return bool(settings.get("follower_mode", settings.get("slave_mode", False)))

    def directory(self, kind: str) -> str | None:
        """A directory, with acmebot's placeholders still in it; relative ones are relative to the configuration."""
        value = self.section("directories").get(kind)
        if value is None or value == "":
            return None
        if not isinstance(value, str):
            raise self.wrong(f"directories.{kind}", "a text")
        return str(Path(self.file.absolute().parent, value))

    def path(self, kind: str, name: str, key_type: str = "") -> Path | None:
        """Where acmebot writes a file of this kind, None where it writes none. Raises TakeoverError."""
        directory, pattern = self.directory(kind), self.section("file_names").get(kind)
        if directory is None or not pattern:
            return None
        suffix = self.section("key_type_suffixes").get(key_type) or ""
        fields = {"name": name, "key_type": key_type, "suffix": suffix}
        file_name = self.fill(f"file_names.{kind}", str(pattern), **fields).replace("*", "_")
        return Path(self.fill(f"directories.{kind}", directory, **fields), file_name)

    def fill(self, key: str, pattern: str, **fields: str) -> str:
        """A pattern of acmebot's with its placeholders filled; TakeoverError names the `key` that has it."""
        try:
            return pattern.format(**fields)
        except (KeyError, IndexError, ValueError, AttributeError) as cause:
            raise TakeoverError(f"`{key}` in `{self.file}` has a placeholder that acmebot does not know") from cause

    def wrong(self, key: str, expected: str) -> TakeoverError:
        """The error for a value of the wrong kind; never quotes the value."""
        return TakeoverError(
            f"`{key}` in `{self.file}` is not {expected}", hint="`acmebot --show-config` shows how acmebot reads it"
        )


def read(path: Path) -> Acmebot:
    """The configuration in a file, or in a folder as acmebot looks for it. Raises TakeoverError."""
    file = _find(path)
    merged = _load(file)
    for more in sorted(f for ending in _ENDINGS for f in file.parent.joinpath("conf.d").glob(f"*{ending}")):
        merged = _merge(merged, _load(more))
    found = Acmebot(file, merged)
    for name in _SECTIONS:
        found.section(name)
    return found


def resource_directory(path: Path) -> Path:
    """Where acmebot keeps its account. Raises TakeoverError."""
    directory = read(path).directory("resource")
    return Path(directory or "/var/local/acmebot")


def listed(value: Any) -> list[Any]:
    """A list, as acmebot takes one: a single value for a list of it, nothing for none."""
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple | dict) else [value]


def whole_number(value: Any) -> int:
    """A number, as acmebot takes one: what is none is 0."""
    try:
        return int(value)
    except (TypeError, ValueError):
        return 0


def _find(path: Path) -> Path:
    if path.is_file():
        return path
    found = [file for ending in _ENDINGS if (file := path / f"{_NAME}{ending}").is_file()]
    if not found:
        hint = "give the file, or its folder, such as `/etc/acmebot`"
        raise TakeoverError(f"there is no acmebot configuration at `{path}`", hint=hint)
    return found[0]


def _load(file: Path) -> dict[str, Any]:
    import yaml

    content = files.read(file, what="acmebot's configuration", error=TakeoverError)
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        document = json.loads(content) if file.suffix == ".json" else yaml.load(content, loader)  # noqa: S506  # a safe one
    except yaml.YAMLError as cause:
        mark = getattr(cause, "problem_mark", None)
        place = f"{file}:{mark.line + 1}" if mark else str(file)
        raise TakeoverError(f"`{place}` is no YAML: {getattr(cause, 'problem', None) or 'damaged'}") from cause
    except (ValueError, RecursionError) as cause:
        raise TakeoverError(f"`{file}` is no JSON: {cause}") from cause
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise TakeoverError(f"`{file}` is no acmebot configuration: not a mapping of keys")
    return document


def _merge(base: Any, extra: Mapping[str, Any]) -> dict[str, Any]:
    """As `AcmeManager._merge_dicts`: mappings are merged, of all else the later one holds."""
    merged = dict(base) if isinstance(base, dict) else {}
    for key, value in extra.items():
        merged[key] = _merge(merged.get(key), value) if isinstance(value, dict) else value
    return merged
