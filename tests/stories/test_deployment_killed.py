"""A run that deploys is killed (SIGKILL) at its n-th effect, for every n: no target keeps files of two generations, nothing is lost, nothing is left.

Effects are changes of the file system, commands that are started, syncs, and commits of the state database. After each kill
one run goes on where the service is well, and one where its own configuration broke meanwhile.
"""

from __future__ import annotations

import itertools
import shutil
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from acmectl.storage.state import StateDirectory
from tests.integration.services import ECDSA, LABEL, Desk, desk
from tests.servers.zygote import zygote
from tests.stories.killing import Executioner

EFFECTS = ["open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "shutil.rmtree", "subprocess.Popen"]
AT_MOST = 200
CHECK = "cat broken >&2; test ! -e broken && touch checked"
TARGETS = [
    {
        "type": "files",
        "directory": "tls",
        "files": {"privkey": "key.pem", "chain": "chain.pem", "fullchain": "full.pem"},
        "check": ["sh", "-c", CHECK],
        "reload": ["sh", "-c", "echo reload >>log"],
    },
    {"type": "files", "directory": "pem", "files": {"privkey+fullchain": "all.pem"}},
]

Kill = Callable[["Scene", int, tuple[str, ...]], int]


class Scene:
    """A host with two generations; the first is deployed."""

    def __init__(self, directory: Path) -> None:
        self._copies = itertools.count(1)
        self._office: Desk = desk(directory, kinds=[ECDSA])
        self.host = self._office.host.directory
        self._office.issue()
        # commands run where acmectl does not say: so they name the directory, by the certificate's
        here = 'cd "$ACMECTL_DIRECTORY/../../../.." && '
        targets = [
            {k: ["sh", "-c", here + v[2]] if isinstance(v, list) else v for k, v in target.items()}
            for target in TARGETS
        ]
        self._office.deploy(*targets)
        self.run()
        self._office.issue()
        (self.host / "log").unlink()
        (self.host / "checked").unlink()

    def save(self) -> Path:
        """A copy of the host as it is; it runs in its own place alone, since what it remembers has paths."""
        return shutil.copytree(self.host, self.host.parent / f"copy-{next(self._copies)}", symlinks=True)

    def restore(self, copy: Path) -> None:
        shutil.rmtree(self.host)
        shutil.copytree(copy, self.host, symlinks=True)

    def issue(self) -> None:
        self._office.issue()

    def run(self, *, expect: int = 0) -> None:
        status = zygote().run(self.host, "follower", "run")
        assert status == expect, (self.host / "output").read_text()


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return Scene(tmp_path_factory.mktemp("deployed"))


def by_effects(scene: Scene, number: int, command: tuple[str, ...]) -> int:
    return zygote().run(scene.host, *command, kill=(EFFECTS, number))


def by_syncs(scene: Scene, number: int, command: tuple[str, ...]) -> int:
    return Executioner().before_a_sync(scene.host, number, *command)


def by_commits(scene: Scene, number: int, command: tuple[str, ...]) -> int:
    return Executioner().before_a_commit(scene.host, number, *command)


def generation_of(host: Path, name: str) -> int:
    """Of which generation all files of a target are: of one alone."""
    state = StateDirectory(host / "state")
    with closing(state):
        parts = {
            number: [
                (state.certificates.generation_directory(LABEL, number) / f"{part}.pem").read_bytes()
                for part in ("privkey", "chain", "fullchain")
            ]
            for number in state.certificates.generations(LABEL)
        }
    for number, (key, chain, full) in parts.items():
        whole = {"tls": {"key.pem": key, "chain.pem": chain, "full.pem": full}, "pem": {"all.pem": key + full}}[name]
        if {path.name: path.read_bytes() for path in (host / name).iterdir()} == whole:
            return number
    raise AssertionError(
        f"{name} has {sorted(path.name for path in (host / name).iterdir())}, not all of one generation"
    )


def assert_nothing_is_left(host: Path) -> None:
    """Neither temporary files nor the memory of old ones, and no key that others can read."""
    assert not (host / "state" / "deployed").exists()
    for path in host.rglob("*"):
        assert not path.name.endswith(".tmp") or path.is_symlink(), path  # of a rollback: the next issue sweeps there
        if path.is_file() and not path.is_symlink() and b"PRIVATE KEY" in path.read_bytes():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def assert_no_key_is_exposed(host: Path) -> None:
    """Also in what the killed run left behind; the state directory is closed to others."""
    for path in host.rglob("*"):
        if path.is_file() and not path.is_symlink() and b"PRIVATE KEY" in path.read_bytes():
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


@pytest.mark.timeout(600)  # some hundred runs, and a slow machine
@pytest.mark.parametrize(
    ("kill", "command"),
    [
        (by_effects, ("follower", "run")),
        (by_syncs, ("follower", "run")),
        (by_commits, ("follower", "run")),
        (by_effects, ("cert", "rollback", LABEL)),
    ],
    ids=["effects", "syncs", "commits", "rollback"],
)
def test_wherever_a_run_is_killed_each_target_is_of_one_generation_after_the_next(
    scene: Scene, kill: Kill, command: tuple[str, ...]
) -> None:
    start, host = scene.save(), scene.host
    if command[0] == "cert":
        scene.run()  # the second is in use everywhere, and the first is to come back
        (host / "checked").unlink()
        start = scene.save()
    before = generation_of(host, "tls")
    for number in itertools.count(1):
        assert number < AT_MOST
        scene.restore(start)
        if kill(scene, number, command) == 0:
            break
        told = f"killed at {number}"
        assert_no_key_is_exposed(host)
        wanted = int((host / "state" / "certificates" / LABEL / "current").readlink().name)
        killed = scene.save()
        scene.run()
        assert (generation_of(host, "tls"), generation_of(host, "pem")) == (wanted, wanted), told
        assert_nothing_is_left(host)
        scene.restore(killed)
        (host / "broken").write_text("unknown directive")
        scene.run(expect=0 if is_deployed(host) else 1)
        stays = generation_of(host, "tls")
        assert stays == before or (host / "checked").exists(), f"{told}: it was never checked"
        assert generation_of(host, "pem") == wanted, told
        assert_nothing_is_left(host)
        (host / "broken").unlink()
        scene.run()
        assert generation_of(host, "tls") == wanted, told
        shutil.rmtree(killed)
    assert number > 5, "a run has more effects than that: this test sees none of them"
    scene.restore(start)


def is_deployed(host: Path) -> bool:
    """Whether the killed run had come to its end, or had not begun."""
    state = StateDirectory(host / "state")
    with closing(state):
        installed = state.certificates.current(LABEL)
        assert installed is not None
        found = [d for d in state.memory.deployments(LABEL) if d.target == "files[0]"]
        return bool(found) and found[0].fingerprint == installed.fingerprint and found[0].error is None


@pytest.mark.timeout(600)  # as above
def test_a_target_is_of_one_generation_after_cert_deploy_was_killed_although_no_run_tries_it_again(
    scene: Scene,
) -> None:
    """It pauses, because its check fails, or its certificate was taken out of the configuration."""
    start, host = scene.save(), scene.host
    before = generation_of(host, "tls")
    scene.issue()
    (host / "broken").write_text("unknown directive")
    for _ in range(10):  # after which it pauses for an hour
        assert zygote().run(scene.host, "cert", "deploy", LABEL) == 1
    paused = scene.save()
    config = (host / "config.yaml").read_text()
    for number in itertools.count(1):
        assert number < AT_MOST
        scene.restore(paused)
        if by_effects(scene, number, ("cert", "deploy", LABEL, "--target", "0")) == 1:  # it failed, and was not killed
            break
        killed = scene.save()
        scene.run(expect=1)
        assert generation_of(host, "tls") == before, f"killed at {number}"
        assert_nothing_is_left(host)
        scene.restore(killed)
        (host / "config.yaml").write_text(without_certificate(config))
        scene.run()
        assert generation_of(host, "tls") == before, f"killed at {number}, and then taken out"
        assert_nothing_is_left(host)
        shutil.rmtree(killed)
    assert number > 5, "it has more effects than that: this test sees none of them"
    scene.restore(start)


def without_certificate(config: str) -> str:
    """The same configuration without it."""
    changed: dict[str, object] = yaml.safe_load(config)
    changed["certificates"] = {}
    return yaml.safe_dump(changed)
