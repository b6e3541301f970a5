"""A run is killed (SIGKILL) just before or after its n-th effect on the world, for every n; the runs after it put everything right.

Effects are requests (before they are sent, and after the CA did what they ask but before its answer), changes of the file system,
and commits of the state database.
"""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from acmectl import app, keys
from acmectl.sandbox.server import Sandbox
from tests.integration.hosts import await_true, certificate
from tests.integration.office import Site, authorize, by_web, hosts, office_site
from tests.servers.sandbox import running_sandbox
from tests.stories.zygote import Zygote

NAMES = ["xmpp.web.test", "mail.web.test"]
AT_MOST = 200  # points at which one run can be killed; it has about forty
FILES = ["open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.symlink", "shutil.rmtree"]
REQUESTS = ["http.client.send"]


@dataclass
class Executioner:
    """Kills a process when the CA has done what its n-th request asks, before the answer goes out."""

    victim: int = 0
    left: int = 0

    def attach(self, number: int) -> Callable[[int], None]:
        def aim(pid: int) -> None:
            self.victim, self.left = pid, number

        return aim

    def see(self, _: str) -> None:
        self.left -= 1
        if self.left == 0:
            with suppress(ProcessLookupError):
                os.kill(self.victim, signal.SIGKILL)


@dataclass
class Scene:
    """A CA, a web site, and hosts as they are before the run that is killed: each kill gets fresh copies of them."""

    sandbox: Sandbox
    site: Site
    executioner: Executioner
    zygote: Zygote
    directory: Path
    copies: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def copy(self, name: str) -> Path:
        """A host with all that it remembers."""
        return shutil.copytree(self.directory / name, self.directory / f"{name}-{next(self.copies)}", symlinks=True)

    def run(self, host: Path, *argv: str) -> None:
        """A run that nobody disturbs."""
        status = self.zygote.run(host, *argv)
        assert status == 0, (host / "output").read_text()

    def start_again(self, *, proven: bool) -> None:
        """Let the CA forget everything; with `proven` the master's names are authorized anew."""
        self.sandbox.authority.forget(accounts=False)
        if proven:
            self.run(self.copy("master"), "master", "run")

    @property
    def certificates(self) -> int:
        return len(self.sandbox.authority.state.store.certificates)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """The follower has a certificate with one name, and is to get one with two; `early` has none, and ordered too early."""
    directory, executioner, zygote = tmp_path_factory.mktemp("scene"), Executioner(), Zygote()
    (directory / "www").mkdir()
    try:
        with (
            office_site(directory / "www") as site,
            running_sandbox(
                directory / "ca", http_port=site.web.port, limits=None, poll_after=None, on_request=executioner.see
            ) as sandbox,
            hosts(
                directory, sandbox, {"web": by_web(site)}, [authorize("web", *NAMES, "more.web.test")], FIRST
            ) as made,
        ):
            scene = Scene(sandbox, site, executioner, zygote, directory)
            shutil.copytree(directory / "follower-1", directory / "early")
            scene.start_again(proven=True)
            made.followers[0].run("follower", "run")
            made.followers[0].configure(**SECOND)
            yield scene
    finally:
        zygote.end()


FIRST = {"certificates": {"xmpp": certificate(NAMES[0])}, "follower": {"grace": "1s"}}
SECOND = {"certificates": {"xmpp": certificate(*NAMES)}}

Kill = Callable[[Scene, Path, int, str], int]


def before_a_request(scene: Scene, host: Path, number: int, part: str) -> int:
    """Headers and body count each."""
    return scene.zygote.run(host, part, "run", kill=(REQUESTS, number))


def before_an_answer(scene: Scene, host: Path, number: int, part: str) -> int:
    return scene.zygote.run(host, part, "run", attach=scene.executioner.attach(number))


def before_a_change_of_files(scene: Scene, host: Path, number: int, part: str) -> int:
    return scene.zygote.run(host, part, "run", kill=(FILES, number))


def before_a_sync(scene: Scene, host: Path, number: int, part: str) -> int:
    return before_a_system_call("fsync", scene, host, number, part)


def before_a_commit(scene: Scene, host: Path, number: int, part: str) -> int:
    """SQLite commits by removing its journal."""
    return before_a_system_call("unlink", scene, host, number, part)


def before_a_system_call(call: str, scene: Scene, host: Path, number: int, part: str) -> int:
    """By strace, for what Python does not tell of."""
    tracers: list[subprocess.Popen[bytes]] = []

    def attach(pid: int) -> None:
        inject = f"inject={call}:signal=KILL:when={number}"
        options = ["-q", "-f", "-e", f"trace={call}", "-e", inject, "-o", os.devnull, "-p", str(pid)]
        tracers.append(subprocess.Popen(["strace", *options], stderr=subprocess.DEVNULL))
        status = Path(f"/proc/{pid}/status")
        await_true(lambda: "TracerPid:\t0\n" not in status.read_text(), what="strace")

    try:
        return scene.zygote.run(host, part, "run", attach=attach)
    finally:
        for tracer in tracers:
            tracer.wait(20)


def until_nothing_is_left_to_kill(kill: Kill, scene: Scene, host: Path, part: str, number: int) -> bool:
    """Whether the run was killed at its n-th effect; False when it has fewer."""
    assert number < AT_MOST
    status = kill(scene, host, number, part)
    assert status in {0, -signal.SIGKILL}, (host / "output").read_text()
    return status != 0


def is_pair(directory: Path) -> bool:
    """Whether the key and both files of certificates belong together."""
    key = keys.from_pem((directory / "privkey.pem").read_bytes(), what="the key")
    return all(keys.matches(key, (directory / name).read_bytes()) for name in ("cert.pem", "fullchain.pem"))


@pytest.mark.parametrize(
    "kill", [before_a_request, before_an_answer, before_a_change_of_files, before_a_sync, before_a_commit]
)
def test_a_follower_that_is_killed_anywhere_gets_exactly_one_certificate(scene: Scene, kill: Kill) -> None:
    scene.start_again(proven=True)
    for number in itertools.count(1):
        host, before = scene.copy("follower-1"), scene.certificates
        current = host / "state" / "certificates" / "xmpp" / "current"
        if not until_nothing_is_left_to_kill(kill, scene, host, "follower", number):
            break
        assert is_pair(current)
        scene.run(host, "follower", "run")
        assert scene.certificates == before + 1, f"killed {kill.__name__} {number}"
        assert is_pair(current)
        assert is_pair(host / "tls")
        assert (host / "tls" / "cert.pem").read_bytes() == (current / "cert.pem").read_bytes()
        assert len(keys.read_chain((current / "cert.pem").read_bytes()).names) == 2
    assert number > 5, "a run has more effects than that: this test sees none of them"


def will_ask_again(host: Path) -> bool:
    """Whether a plain run of the follower would ask the CA now."""
    loaded = app.load(host / "config.yaml")
    try:
        return loaded.follower().status(loaded.wishes()[0]).next_look_at is None
    finally:
        loaded.state.close()


@pytest.mark.parametrize("kill", [before_a_request, before_an_answer])
def test_a_follower_that_is_killed_while_it_gives_a_stuck_order_up_gets_exactly_one_certificate(
    scene: Scene, kill: Kill
) -> None:
    for number in itertools.count(1):
        scene.start_again(proven=False)
        host, before = scene.copy("early"), scene.certificates
        scene.run(host, "follower", "run")
        scene.run(scene.copy("master"), "master", "run")
        await_true(lambda h=host: will_ask_again(h), what="the end of the grace period")  # type: ignore[misc]
        if not until_nothing_is_left_to_kill(kill, scene, host, "follower", number):
            break
        scene.run(host, "follower", "run")
        assert scene.certificates == before + 1, f"killed {kill.__name__} {number}"
        assert is_pair(host / "state" / "certificates" / "xmpp" / "current")
        assert is_pair(host / "tls")
    assert number > 8, "a run has more effects than that: this test sees none of them"


@pytest.mark.parametrize("kill", [before_a_request, before_an_answer, before_a_change_of_files])
def test_a_master_that_is_killed_anywhere_leaves_nothing_published_after_its_next_run(scene: Scene, kill: Kill) -> None:
    finalized = scene.sandbox.counts["finalize"]
    for number in itertools.count(1):
        scene.start_again(proven=False)
        host = scene.copy("master")
        if not until_nothing_is_left_to_kill(kill, scene, host, "master", number):
            break
        scene.run(host, "master", "run")
        assert not scene.site.files(), f"killed {kill.__name__} {number}"
        valid = [a for a in scene.sandbox.authority.state.store.authorizations.values() if a.status == "valid"]
        assert len(valid) >= 3
        scene.run(host, "master", "status")
    assert number > 8, "a run has more effects than that: this test sees none of them"
    assert scene.sandbox.counts["finalize"] == finalized
