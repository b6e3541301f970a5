"""How acmebot proves a name, and the solver of ours that does the same.

In acmebot's order: an http challenge directory for the name; a TSIG key for its zone (nsupdate); else a file of challenges for a program
that reloads the zone. Hooks come on top, and are a way of their own where there is no program (`reload_zone_command`).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from acmectl.dns.tsig import load_key_file
from acmectl.errors import DNSError
from acmectl.importing.acmebot.names import ZonedName
from acmectl.importing.acmebot.reading import Acmebot, whole_number
from acmectl.importing.acmebot.tsig import is_key_pair, read_key_pair
from acmectl.importing.draft import DraftFile

_WELL_KNOWN = (".well-known", "acme-challenge")
HOOK = "hooks/zone-challenges"
_DO_NOTHING = {"/bin/true", "/usr/bin/true", "true"}


@dataclass(slots=True)
class Solvers:
    """The solvers that the names need, each once; `files` are what they need beside the configuration.

    `hook` is where the program for local DNS updates will lie, absolute: a command is run wherever acmectl is started.
    """

    acmebot: Acmebot
    notes: list[str]
    hook: Path
    solvers: dict[str, dict[str, Any]] = field(default_factory=dict)
    files: dict[str, DraftFile] = field(default_factory=dict)
    _of_zone: dict[str, str | None] = field(default_factory=dict)

    def of(self, name: ZonedName) -> str | None:
        """The solver for a name, None (and a note) where acmebot's way has no counterpart."""
        directory = self._http_directory(name)
        if directory is None:
            return self._by_dns(name.zone)
        if name.identifier.is_wildcard:
            self.notes.append(
                f"`{name.identifier}` has an http challenge directory, and a wildcard is proven by dns-01"
            )
            return None
        return self._named("web", _web(directory))

    def _http_directory(self, name: ZonedName) -> str | None:
        own = self.acmebot.section("http_challenges")
        if name.host in own:
            found = own[name.host]
            return str(Path(self.acmebot.file.absolute().parent, str(found))) if found else None
        pattern = self.acmebot.directory("http_challenge")
        if not pattern:
            return None
        host = name.host.removesuffix(name.zone).strip(".") or "."
        filled = self.acmebot.fill("directories.http_challenge", pattern, fqdn=name.host, zone=name.zone, host=host)
        return str(Path(filled))

    def _by_dns(self, zone: str) -> str | None:
        if zone not in self._of_zone:
            self._of_zone[zone] = self._find_dns(zone)
        return self._of_zone[zone]

    def _find_dns(self, zone: str) -> str | None:
        key = self.acmebot.section("zone_update_keys").get(zone)
        if key:
            options = self._update(zone, key)
            return self._named(zone, options) if options else None
        reload = self.acmebot.setting("reload_zone_command")
        hooks = self.acmebot.section("hooks")
        if hooks.get("set_dns_challenge") and (not reload or str(reload) in _DO_NOTHING):
            return self._named(f"{zone}-hooks", self._by_hooks(zone, hooks))
        if reload:
            return self._named(zone, self._by_zone_file(zone, str(reload)))
        self.notes.append(
            f"no way to prove the names of `{zone}`: it has no update key, challenge directory or program"
        )
        return None

    def _update(self, zone: str, key: Any) -> dict[str, Any] | None:
        """nsupdate: its key file may be BIND's, or one of a pair that dnssec-keygen made."""
        options = {"file": key} if isinstance(key, str) else key
        if not isinstance(options, dict) or not isinstance(options.get("file"), str):
            raise self.acmebot.wrong(f"zone_update_keys.{zone}", "a file, or a mapping with `file`")
        file = Path(self.acmebot.directory("update_key") or ".", options["file"])
        solver: dict[str, Any] = {"type": "rfc2136"}
        if options.get("server"):
            solver["server"] = str(options["server"])
        if (port := whole_number(options.get("port"))) not in {0, 53}:
            solver["port"] = port
        try:
            if is_key_pair(file):
                written = DraftFile(f"tsig/{_plain(zone)}.key", read_key_pair(file))
                self.files[written.path] = written
                return solver | {"tsig_key_file": written.path}
            load_key_file(file)
        except DNSError as error:
            hint = f" ({error.hint})" if error.hint else ""
            self.notes.append(f"the names of `{zone}` have no solver: {error.message}{hint}")
            return None
        return solver | {"tsig_key_file": str(file)}

    def _by_hooks(self, zone: str, hooks: Mapping[str, Any]) -> dict[str, Any]:
        """Where acmebot fills domain, zone and value into a shell command, the shell takes them from our environment."""
        fields = {"zone": shlex.quote(zone), "domain": '"$ACMECTL_IDENTIFIER"', "challenge": '"$ACMECTL_RECORD_VALUE"'}

        def argv(action: str) -> list[str]:
            parts = [
                self.acmebot.fill(f"hooks.{hook}", str(hooks[hook]), **fields)
                for hook in (f"{action}_dns_challenge", "dns_zone_update")
                if hooks.get(hook)
            ]
            return ["sh", "-c", " && ".join(parts)] if parts else ["true"]

        return {"type": "command", "challenge": "dns-01", "publish": argv("set"), "remove": argv("clear")}

    def _by_zone_file(self, zone: str, reload: str) -> dict[str, Any]:
        """The file of challenges that acmebot keeps for bindtool, kept by a program of ours that is written beside the configuration."""
        self.files.setdefault(HOOK, DraftFile(HOOK, Path(__file__).with_name("zone-challenges").read_bytes(), 0o755))
        file = self.acmebot.path("challenge", zone)
        command = [str(self.hook), str(file), reload, zone]
        return {"type": "command", "challenge": "dns-01", "publish": command, "remove": command}

    def _named(self, name: str, options: dict[str, Any]) -> str:
        """The solver with these options: one that is there already, or a new one called after `name`."""
        for known, existing in self.solvers.items():
            if existing == options:
                return known
        base = _plain(name)
        free = next(n for n in (base, *(f"{base}-{i}" for i in range(2, 10_000))) if n not in self.solvers)
        self.solvers[free] = options
        return free


def _web(directory: str) -> dict[str, Any]:
    """A document root where the directory lies below one, else a program that writes into the directory."""
    path = Path(directory)
    if path.parts[-2:] == _WELL_KNOWN:
        return {"type": "webroot", "path": str(path.parent.parent)}
    target = f'{shlex.quote(directory)}/"$ACMECTL_TOKEN"'
    return {
        "type": "command",
        "challenge": "http-01",
        "publish": ["sh", "-c", f'umask 022 && printf %s "$ACMECTL_KEY_AUTHORIZATION" > {target}'],
        "remove": ["sh", "-c", f"rm -f {target}"],
    }


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "-", name).lstrip("._-")[:60] or "solver"
