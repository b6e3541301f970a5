"""Other ACME clients, the real programs, on a Pebble of the test: what they write is what importers must read.

certbot and lego are Debian's; acmebot is from the package index, in a virtual environment of its own inside that of the tests, because it
needs older versions of `acme` and `josepy` than we do (`.ci/acmebot` makes it).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acmectl.sandbox.server import Sandbox
from tests.servers.pebble import Pebble, free_ports

ACMEBOT = Path(sys.prefix) / "acmebot" / "bin" / "acmebot"
_SECONDS = 60
_FOLDERS = ("pid", "log", "resource", "private", "certs", "challenges", "update", "archive", "temp", "www")


@dataclass(frozen=True, slots=True)
class Said:
    """How a client ended, and what it said."""

    status: int
    text: str


@dataclass(frozen=True, slots=True)
class Certbot:
    """certbot with all its files below `root`."""

    root: Path
    pebble: Pebble

    def register(self, email: str) -> None:
        """Register an account."""
        _good(self._run("register", "--agree-tos", "-m", email))

    def issue(self, *names: str, expect: int = 0) -> Said:
        """A certificate for `names`, with the account that is there; it could only prove them by http-01 on a port that nobody asks."""
        (port,) = free_ports(1)
        challenge = ("--standalone", "--http-01-port", str(port), "--http-01-address", "127.0.0.1")
        domains = [word for name in names for word in ("-d", name)]
        said = self._run("certonly", *challenge, "--cert-name", "it", *domains)
        assert said.status == expect, said.text
        return said

    @property
    def chain(self) -> Path:
        return self.root / "live" / "it" / "fullchain.pem"

    def _run(self, command: str, *arguments: str) -> Said:
        folders = [f"--{kind}-dir={self.root / folder}" for kind, folder in (("work", "work"), ("logs", "logs"))]
        server = ("--server", self.pebble.directory_url)
        argv = ["certbot", command, "-n", f"--config-dir={self.root}", *folders, *server, *arguments]
        return _run(argv, REQUESTS_CA_BUNDLE=self.pebble.ca_bundle, HOME=self.root.parent)


@dataclass(frozen=True, slots=True)
class Lego:
    """lego with all its files below `root`."""

    root: Path
    ca: Pebble | Sandbox

    def issue(self, email: str, *names: str, key_type: str = "ec256", expect: int = 0) -> Said:
        """A certificate for `names`; registers an account for `email` where there is none."""
        (port,) = free_ports(1)
        argv = ["lego", "--server", self.ca.directory_url, "--accept-tos", "--email", email]
        argv += ["--path", str(self.root), "--key-type", key_type, "--http", "--http.port", f"127.0.0.1:{port}"]
        said = _run([*argv, *(f"--domains={name}" for name in names), "run"], LEGO_CA_CERTIFICATES=self.ca.ca_bundle)
        assert said.status == expect, said.text
        return said


@dataclass(frozen=True, slots=True)
class Acmebot:
    """acmebot with its configuration and all its files below `root`."""

    root: Path
    pebble: Pebble | None = None

    @property
    def config(self) -> Path:
        return self.root / "acmebot.json"

    def configure(self, **sections: Any) -> None:
        """Write a configuration that writes nowhere else; `sections` are merged over it."""
        for folder in _FOLDERS:
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        where = {folder: str(self.root / folder) for folder in _FOLDERS}
        settings: dict[str, Any] = {"file_group": "root", "log_level": None, "log_group": "root"}
        if self.pebble:
            settings["acme_directory_url"] = self.pebble.directory_url
        directories = {
            **{kind: where[kind] for kind in ("pid", "log", "resource", "archive", "temp")},
            "private_key": where["private"],
            "backup_key": where["private"],
            "full_key": None,
            "certificate": where["certs"],
            "full_certificate": None,
            "chain": where["certs"],
            "param": None,
            "challenge": where["challenges"],
            "update_key": where["update"],
            "sct": None,
        }
        base: dict[str, Any] = {
            "account": {"email": "hostmaster@office.test"},
            "settings": settings,
            "directories": directories,
        }
        for name, section in sections.items():
            base[name] = {**base.get(name, {}), **section}
        self.config.write_text(json.dumps(base))

    def run(self, *arguments: str, expect: int | None = 0, config: Path | None = None) -> Said:
        """Run it (with another `config`); without `arguments` it does all that its configuration asks for."""
        if not ACMEBOT.exists():
            raise RuntimeError(f"`{ACMEBOT}` is needed for this test: `.ci/acmebot {sys.prefix}`")
        trust = {"REQUESTS_CA_BUNDLE": self.pebble.ca_bundle} if self.pebble else {}
        said = _run(
            [str(ACMEBOT), "--config", str(config or self.config), "--accept", *arguments], HOME=self.root, **trust
        )
        assert expect is None or said.status == expect, said.text
        return said


def _good(said: Said) -> None:
    assert said.status == 0, said.text


def _run(argv: Sequence[str], **environment: str | Path) -> Said:
    if shutil.which(argv[0]) is None:
        raise RuntimeError(f"`{argv[0]}` is needed for this test: `apt-get install {Path(argv[0]).name}`")
    done = subprocess.run(
        argv,
        env={"PATH": os.environ["PATH"], **{key: str(value) for key, value in environment.items()}},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    return Said(done.returncode, done.stdout + done.stderr)
