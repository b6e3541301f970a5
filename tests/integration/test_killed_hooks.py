"""kill -9 while something is published, for every style of a command, in `master try` and `master run`: the next one removes it."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from acmectl.sandbox.server import Sandbox
from tests.integration.hosts import await_true
from tests.servers.sandbox import running_sandbox
from tests.servers.static_web import Answer, Web, running_web

COMMAND = [str(Path(sys.executable).with_name("acmectl")), "--config", "config.yaml"]
AUTH = 'file=world/$CERTBOT_TOKEN; printf %s "$CERTBOT_VALIDATION" >"$file"; echo "$file"'
HOOKS = {
    "acmectl": (
        '[ "$ACMECTL_ACTION" = publish ] && : >"world/$ACMECTL_TOKEN" || rm -f "world/$ACMECTL_TOKEN"',
        "publish: [./hook], remove: [./hook]",
    ),
    "certbot": (
        f'[ "$1" = auth ] && {{ {AUTH}; }} || rm -f "$CERTBOT_AUTH_OUTPUT"',
        "publish: [./hook, auth], remove: [./hook, cleanup]",
    ),
    "dehydrated": (
        'a=$1; shift; while [ $# -gt 0 ]; do [ $a = deploy_challenge ] && : >"world/$2" || rm -f "world/$2"; shift 3; done',
        "hook: [./hook], chain: yes",
    ),
    "lego": ('[ "$1" = present ] && : >"world/$3" || rm -f "world/$3"', "hook: [./hook]"),
}


SECONDS = 60


class Place:
    """A host with a hook that makes a file for each challenge; what it publishes is never seen."""

    def __init__(self, directory: Path, style: str, web: Web, ca: Sandbox) -> None:
        self.ca = ca
        self.directory = directory
        self.style = style
        self.web = web
        self.world = directory / "world"
        self.world.mkdir()
        script, self.programs = HOOKS[style]
        hook = directory / "hook"
        hook.write_text(f"#!/bin/sh -e\n{script}\n")
        hook.chmod(0o755)

    def configure(self, *, waits: str) -> None:
        if self.style == "lego":
            servers = f'{{servers: ["127.0.0.1:9"], timeout: {waits}}}'
            look = f'challenge: dns-01, resolvers: ["127.0.0.1:9"], zone: acme.test, propagation: {servers}'
        else:
            look = f'challenge: http-01, check_address: "{self.web.endpoint}", check_timeout: {waits}'
        (self.directory / "config.yaml").write_text(f"""\
authority: {{directory: "{self.ca.directory_url}", ca_bundle: "{self.ca.ca_bundle}"}}
profile: classic
contact: [admin@acme.test]
state_directory: state
solvers:
  hook: {{type: command, style: {self.style}, {self.programs}, {look}}}
master: {{authorize: [{{names: [a.acme.test, b.acme.test], solver: hook}}]}}
""")

    def published(self) -> int:
        return len(list(self.world.iterdir()))

    def is_waiting(self) -> bool:
        """Whether both names have something published, and it is looked for."""
        return self.published() == 2 and (self.style == "lego" or bool(self.web.requests))

    @contextmanager
    def waiting(self, command: str) -> Iterator[subprocess.Popen[str]]:
        """A `master try`, or `master run`, that waits to see what it published."""
        self.configure(waits="10m")
        if command == "run":
            register = [*COMMAND, "account", "register", "--agree-tos"]
            subprocess.run(register, cwd=self.directory, check=True, capture_output=True, timeout=SECONDS)
        with subprocess.Popen(
            [*COMMAND, "master", command], cwd=self.directory, stderr=subprocess.PIPE, text=True
        ) as process:
            try:
                await_true(self.is_waiting, what="a look at what was published")
                yield process
            finally:
                process.kill()


@pytest.fixture
def web() -> Iterator[Web]:
    with running_web(lambda _, __: Answer(404)) as running:
        yield running


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with running_sandbox(tmp_path_factory.mktemp("ca"), trust=True, limits=None) as sandbox:
        yield sandbox


@pytest.mark.parametrize("style", HOOKS)
@pytest.mark.parametrize(("killed", "then"), [("run", "try"), ("try", "run")])
def test_the_next_one_removes_what_a_killed_one_left(
    tmp_path: Path, web: Web, ca: Sandbox, style: str, killed: str, then: str
) -> None:
    place = Place(tmp_path, style, web, ca)
    with place.waiting(killed) as process:
        process.send_signal(signal.SIGKILL)
    assert place.published() == 2
    place.configure(waits="1s")
    subprocess.run([*COMMAND, "master", then], cwd=tmp_path, check=False, capture_output=True, timeout=SECONDS)
    assert place.published() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_try_removes_its_probes_at_once(
    tmp_path: Path, web: Web, ca: Sandbox, number: signal.Signals
) -> None:
    place = Place(tmp_path, "certbot", web, ca)
    with place.waiting("try") as process:
        process.send_signal(number)
        _, err = process.communicate(timeout=SECONDS)
    assert (process.returncode, err) == (128 + number, "error: interrupted\n")
    assert place.published() == 0
