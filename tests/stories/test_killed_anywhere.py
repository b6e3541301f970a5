"""A run is killed (SIGKILL) just before or after its n-th effect on the world, for every n; the runs after it put everything right."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from acmectl import keys
from acmectl.sandbox.server import Sandbox
from tests.integration.hosts import await_true, certificate, will_ask_again
from tests.integration.office import Site, authorize, by_web, hosts, office_site
from tests.servers.sandbox import running_sandbox
from tests.servers.zygote import zygote
from tests.stories.killing import Executioner, Kill

NAMES = ["xmpp.web.test", "mail.web.test"]


@dataclass
class Scene:
    """A CA, a web site, and hosts as they are before the run that is killed: each kill gets fresh copies of them."""

    sandbox: Sandbox
    site: Site
    executioner: Executioner
    directory: Path
    copies: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def copy(self, name: str) -> Path:
        """A host with all that it remembers."""
        return shutil.copytree(self.directory / name, self.directory / f"{name}-{next(self.copies)}", symlinks=True)

    def run(self, host: Path, *argv: str) -> None:
        """A run that nobody disturbs."""
        status = zygote().run(host, *argv)
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
    directory, executioner = tmp_path_factory.mktemp("scene"), Executioner()
    (directory / "www").mkdir()
    with (
        office_site(directory / "www") as site,
        running_sandbox(
            directory / "ca", http_port=site.web.port, limits=None, poll_after=None, on_request=executioner.see
        ) as sandbox,
        hosts(directory, sandbox, {"web": by_web(site)}, [authorize("web", *NAMES, "more.web.test")], FIRST) as made,
    ):
        scene = Scene(sandbox, site, executioner, directory)
        shutil.copytree(directory / "follower-1", directory / "early")
        scene.start_again(proven=True)
        made.followers[0].run("follower", "run")
        made.followers[0].configure(**SECOND)
        yield scene


FIRST = {"certificates": {"xmpp": certificate(NAMES[0])}, "follower": {"grace": "1s"}}
SECOND = {"certificates": {"xmpp": certificate(*NAMES)}}


def is_pair(directory: Path) -> bool:
    """Whether the key and both files of certificates belong together."""
    key = keys.from_pem((directory / "privkey.pem").read_bytes(), what="the key")
    return all(keys.matches(key, (directory / name).read_bytes()) for name in ("cert.pem", "fullchain.pem"))


@pytest.mark.parametrize(
    "kill",
    [
        Executioner.before_a_request,
        Executioner.before_an_answer,
        Executioner.before_a_change_of_files,
        Executioner.before_a_sync,
        Executioner.before_a_commit,
    ],
)
def test_a_follower_that_is_killed_anywhere_gets_exactly_one_certificate(scene: Scene, kill: Kill) -> None:
    scene.start_again(proven=True)
    for number in itertools.count(1):
        host, before = scene.copy("follower-1"), scene.certificates
        current = host / "state" / "certificates" / "xmpp" / "current"
        if not scene.executioner.killed(kill, host, number, "follower", "run"):
            break
        assert is_pair(current)
        scene.run(host, "follower", "run")
        assert scene.certificates == before + 1, f"killed {kill.__name__} {number}"
        assert is_pair(current)
        assert is_pair(host / "tls")
        assert (host / "tls" / "cert.pem").read_bytes() == (current / "cert.pem").read_bytes()
        assert len(keys.read_chain((current / "cert.pem").read_bytes()).names) == 2
    assert number > 5, "a run has more effects than that: this test sees none of them"


@pytest.mark.parametrize("kill", [Executioner.before_a_request, Executioner.before_an_answer])
def test_a_follower_that_is_killed_while_it_gives_a_stuck_order_up_gets_exactly_one_certificate(
    scene: Scene, kill: Kill
) -> None:
    for number in itertools.count(1):
        scene.start_again(proven=False)
        host, before = scene.copy("early"), scene.certificates
        scene.run(host, "follower", "run")
        scene.run(scene.copy("master"), "master", "run")
        await_true(lambda h=host: will_ask_again(h), what="the end of the grace period")  # type: ignore[misc]
        if not scene.executioner.killed(kill, host, number, "follower", "run"):
            break
        scene.run(host, "follower", "run")
        assert scene.certificates == before + 1, f"killed {kill.__name__} {number}"
        assert is_pair(host / "state" / "certificates" / "xmpp" / "current")
        assert is_pair(host / "tls")
    assert number > 8, "a run has more effects than that: this test sees none of them"


@pytest.mark.parametrize(
    "kill", [Executioner.before_a_request, Executioner.before_an_answer, Executioner.before_a_change_of_files]
)
def test_a_master_that_is_killed_anywhere_leaves_nothing_published_after_its_next_run(scene: Scene, kill: Kill) -> None:
    finalized = scene.sandbox.counts["finalize"]
    for number in itertools.count(1):
        scene.start_again(proven=False)
        host = scene.copy("master")
        if not scene.executioner.killed(kill, host, number, "master", "run"):
            break
        scene.run(host, "master", "run")
        assert not scene.site.files(), f"killed {kill.__name__} {number}"
        valid = [a for a in scene.sandbox.authority.state.store.authorizations.values() if a.status == "valid"]
        assert len(valid) >= 3
        scene.run(host, "master", "status")
    assert number > 8, "a run has more effects than that: this test sees none of them"
    assert scene.sandbox.counts["finalize"] == finalized
