"""kill -9 while something is published, for every style of a command and for `master try`: the next run removes it."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.hosts import await_true
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

    def __init__(self, directory: Path, style: str, web: Web) -> None:
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
authority: {{directory: "https://127.0.0.1:1/directory"}}
profile: classic
state_directory: state
solvers:
  hook: {{type: command, style: {self.style}, {self.programs}, {look}}}
master: {{authorize: [{{names: [a.acme.test, b.acme.test], solver: hook}}]}}
""")

    def published(self) -> int:
        return len(list(self.world.iterdir()))

    def is_waiting(self) -> bool:
        """Whether both probes are published, and are looked for."""
        return self.published() == 2 and (self.style == "lego" or bool(self.web.requests))

    @contextmanager
    def trying(self) -> Iterator[subprocess.Popen[str]]:
        """A `master try` that waits to see its probes."""
        self.configure(waits="10m")
        with subprocess.Popen(
            [*COMMAND, "master", "try"], cwd=self.directory, stderr=subprocess.PIPE, text=True
        ) as process:
            try:
                await_true(self.is_waiting, what="a look at two probes")
                yield process
            finally:
                process.kill()


@pytest.fixture
def web() -> Iterator[Web]:
    with running_web(lambda _, __: Answer(404)) as running:
        yield running


@pytest.mark.parametrize("style", HOOKS)
@pytest.mark.parametrize("then", [("master", "try", "b.acme.test"), ("master", "run")])
def test_the_run_after_a_killed_try_removes_what_that_one_left(
    tmp_path: Path, web: Web, style: str, then: tuple[str, ...]
) -> None:
    place = Place(tmp_path, style, web)
    with place.trying() as process:
        process.send_signal(signal.SIGKILL)
    assert place.published() == 2
    place.configure(waits="1s")
    subprocess.run([*COMMAND, *then], cwd=tmp_path, check=False, capture_output=True, timeout=SECONDS)
    assert place.published() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_try_removes_its_probes_at_once(tmp_path: Path, web: Web, number: signal.Signals) -> None:
    place = Place(tmp_path, "certbot", web)
    with place.trying() as process:
        process.send_signal(number)
        _, err = process.communicate(timeout=SECONDS)
    assert (process.returncode, err) == (128 + number, "error: interrupted\n")
    assert place.published() == 0
