"""Hosts as they are in the world: a directory with a configuration, and real `acmectl` processes that work in it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from acmectl import app
from tests.servers.zygote import ACMECTL, zygote

_WORDS = ("--config", "config.yaml", "-v")
_SECONDS = 60.0
_LISTING = """
import sys
from acmectl.cli import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
print()
print(*sys.modules)
"""


@dataclass(frozen=True, slots=True)
class Finished:
    """How a process ended; a negative status is the signal that ended it."""

    status: int
    out: str
    err: str

    @property
    def said(self) -> str:
        return self.out + self.err

    def expected(self, status: int | None) -> Finished:
        """Itself; a failure where it ended otherwise than with `status` (None: any), or by a bug."""
        assert "Traceback" not in self.err, self.err
        assert status in {None, self.status}, f"exit status {self.status}, not {status}:\n{self.out}\n{self.err}"
        return self


@dataclass(slots=True)
class Running:
    """A process that still runs."""

    process: subprocess.Popen[str]

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def finish(self, *, expect: int | None = 0, seconds: float = _SECONDS) -> Finished:
        """Wait for its end; a process that does not end is a failure."""
        try:
            out, err = self.process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            out, err = self.process.communicate()
            raise AssertionError(f"did not end within {seconds:g} s:\n{out}\n{err}") from None
        return Finished(self.process.returncode, out, err).expected(expect)

    def end(self) -> None:
        """In any case, at the end of a test."""
        self.process.kill()
        self.process.communicate()


@dataclass(frozen=True)
class Host:
    """One machine: nothing is shared with another but what a test carries over."""

    directory: Path
    config: dict[str, Any]
    running: list[Running] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.directory.mkdir(parents=True)
        self.configure()

    @property
    def state(self) -> Path:
        return self.directory / "state"

    def configure(self, **changes: Any) -> None:
        """Write the configuration, with these top-level keys replaced."""
        self.config.update(changes)
        text = yaml.safe_dump({"state_directory": "state", **self.config}, sort_keys=False)
        (self.directory / "config.yaml").write_text(text)

    def start(
        self, *arguments: str, prefix: Sequence[str | Path] = (), environment: Mapping[str, str] | None = None
    ) -> Running:
        """Start `acmectl` with this host's configuration; `prefix` is a program that runs it."""
        process = subprocess.Popen(
            [*prefix, ACMECTL, *_WORDS, *arguments],
            cwd=self.directory,
            env=self._environment(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started = Running(process)
        self.running.append(started)
        return started

    def run(
        self,
        *arguments: str,
        expect: int | None = 0,
        prefix: Sequence[str | Path] = (),
        environment: Mapping[str, str] | None = None,
    ) -> Finished:
        """Run `acmectl` to its end; `expect` is its exit status (None: any)."""
        if prefix:
            started = self.start(*arguments, prefix=prefix, environment=environment)
            try:
                return started.finish(expect=expect)
            finally:
                started.end()
        ended = zygote().ended(
            [*_WORDS, *arguments],
            directory=self.directory,
            environment=self._environment(environment),
            seconds=_SECONDS,
        )
        return Finished(ended.status, ended.out, ended.err).expected(expect)

    def _environment(self, more: Mapping[str, str] | None) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "HOME": str(self.directory), **(more or {})}

    def modules_after(self, *arguments: str) -> set[str]:
        """The names of all Python modules that a run had loaded when it ended well."""
        program = [sys.executable, "-c", _LISTING, "--config", "config.yaml", *arguments]
        done = subprocess.run(program, cwd=self.directory, check=True, capture_output=True, text=True)
        return set(done.stdout.splitlines()[-1].split())

    def take_over_account(self, master: Host) -> None:
        """What an admin does once: export there, carry the file over, import here."""
        bundle = self.directory / "account.bundle"
        if not (master.directory / bundle.name).exists():
            master.run("account", "export", bundle.name)
        shutil.copy(master.directory / bundle.name, bundle)
        self.run("account", "import", bundle.name)

    def names(self, wanted: str) -> list[str]:
        """The names of this master that are `authorized`, or not (`failed`), from what it remembers; sorted."""
        document = json.loads(self.run("master", "status", "--json", expect=None).out)
        return sorted(n["name"] for n in document["master"]["names"] if n["authorized"] is (wanted == "authorized"))

    def current(self, label: str) -> Path:
        """The generation in use."""
        return self.state / "certificates" / label / "current"


@dataclass(frozen=True)
class Family:
    """A master with its account registered, and followers that took it over."""

    master: Host
    followers: tuple[Host, ...]

    def end(self) -> None:
        for host in (self.master, *self.followers):
            for running in host.running:
                running.end()


def family(directory: Path, common: dict[str, Any], master: dict[str, Any], *followers: dict[str, Any]) -> Family:
    """Hosts below `directory`, each with the keys of `common` and its own."""
    first = Host(directory / "master", {**common, "contact": ["hostmaster@example.test"], **master})
    first.run("account", "register", "--agree-tos")
    others = tuple(Host(directory / f"follower-{n}", {**common, **own}) for n, own in enumerate(followers, 1))
    for other in others:
        other.take_over_account(first)
    return Family(first, others)


def will_ask_again(host: Path) -> bool:
    """Whether a plain run of the follower in `host` would ask the CA now for its first certificate, which is not there yet."""
    loaded = app.load(host / "config.yaml")
    try:
        return loaded.follower().status(loaded.wishes()[0]).next_look_at is None
    finally:
        loaded.state.close()


def certificate(*names: str, **more: Any) -> dict[str, Any]:
    """A certificate of a configuration, deployed to `tls` unless `deploy` says otherwise."""
    return {"names": list(names), "deploy": [{"type": "files", "directory": "tls"}], **more}


def shakes_hands(directory: Path, name: str, root: bytes) -> bool:
    """Whether a client that trusts only `root` gets to `name` on a real TLS server with the files in `directory`."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(directory / "fullchain.pem", directory / "privkey.pem")
    client = ssl.create_default_context(cadata=root.decode("ascii"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        thread = threading.Thread(target=_serve_once, args=(listener, server))
        thread.start()
        try:
            with (
                socket.create_connection(listener.getsockname(), timeout=10) as plain,
                client.wrap_socket(plain, server_hostname=name),
            ):
                return True
        except ssl.SSLCertVerificationError:
            return False
        finally:
            thread.join()


def _serve_once(listener: socket.socket, context: ssl.SSLContext) -> None:
    plain, _ = listener.accept()
    plain.settimeout(10)
    with suppress(OSError), plain, context.wrap_socket(plain, server_side=True) as tls:
        tls.recv(1)  # until the client has looked at the certificate


def await_true(condition: Callable[[], object], *, seconds: float = 20.0, what: str) -> None:
    """Wait for something that another process does; fails with `what` when it does not come."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"{what} did not come within {seconds:g} s"
        time.sleep(0.02)  # bounded polling for a condition
