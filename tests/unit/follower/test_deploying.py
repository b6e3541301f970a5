"""Deployment as state, with real files, real reload commands and the real store."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from acmectl.deploy import registry
from acmectl.deploy.files import FilesOptions
from acmectl.follower.deploying import Deployer, DeployResult, Placed, behind
from acmectl.model.certificates import Installed
from acmectl.storage.memory import Memory

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


class Place:
    """A generation's files, a memory, and targets below one directory."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.generation = root / "generation"
        self.generation.mkdir()
        for part in ("privkey", "cert", "chain", "fullchain"):
            (self.generation / f"{part}.pem").write_text(part)
        self.memory = Memory(root / "state.db")
        self.now = NOW

    def target(self, name: str, **options: Any) -> Placed:
        chosen = FilesOptions(directory=self.root / name, **options)
        return Placed(name, registry.build("files", chosen))

    def deploy(self, *targets: Placed, serial: int = 1, forced: bool = False) -> tuple[DeployResult, ...]:
        deployer = Deployer(self.memory, lambda: self.now)
        left = deployer.add(certificate(serial), self.generation, targets, forced=forced)
        return left + deployer.run()

    def behind(self, *targets: Placed) -> list[str]:
        return [placed.name for placed, _ in behind(self.memory, certificate(1), targets)]


def certificate(serial: int) -> Installed:
    """Always of generation 1, as after somebody removed the folder."""
    return Installed("mail", 1, frozenset(), None, f"{serial:x}", f"f{serial:x}", "CA", NOW, NOW + timedelta(days=90))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_target_is_deployed_once_for_each_certificate_whatever_its_number(place: Place) -> None:
    target = place.target("tls")
    assert [r.error for r in place.deploy(target)] == [None]
    assert (place.root / "tls" / "privkey.pem").read_text() == "privkey"
    assert place.deploy(target) == ()
    assert len(place.deploy(target, serial=2)) == 1
    assert place.deploy(target, serial=2) == ()


@pytest.mark.parametrize(
    "spoil",
    [Path.unlink, lambda copy: copy.write_text("garbage"), lambda copy: os.utime(copy, ns=(1, 1))],
    ids=["deleted", "overwritten", "restored from a backup"],
)
@pytest.mark.parametrize("name", ["privkey.pem", "fullchain.pem"])
def test_a_copy_that_somebody_spoiled_is_deployed_again_and_its_service_reloaded(
    place: Place, name: str, spoil: Callable[[Path], object]
) -> None:
    target = place.target("tls", reload=("sh", "-c", f"echo reloaded >>{place.root}/log"))
    place.deploy(target)
    copy = place.root / "tls" / name
    content = copy.read_text()
    spoil(copy)
    assert place.behind(target) == ["tls"]
    assert [r.error for r in place.deploy(target)] == [None]
    assert copy.read_text() == content
    assert (place.root / "log").read_text() == "reloaded\n" * 2
    assert place.deploy(target) == ()


def test_a_reload_that_rewrites_the_copies_is_not_a_reason_to_deploy_at_every_run(place: Place) -> None:
    target = place.target("tls", reload=("sh", "-c", f"echo appended >>{place.root}/tls/fullchain.pem"))
    place.deploy(target)
    assert place.deploy(target) == ()


def test_a_target_whose_options_changed_is_deployed_anew(place: Place) -> None:
    place.deploy(place.target("tls"))
    changed = place.target("tls", certificate_mode="0640")
    assert place.behind(changed) == ["tls"]
    place.deploy(changed)
    assert (place.root / "tls" / "cert.pem").stat().st_mode & 0o777 == 0o640


def test_targets_with_the_same_reload_command_reload_once(place: Place) -> None:
    reload = ("sh", "-c", f"echo reloaded >>{place.root}/log")
    results = place.deploy(place.target("one", reload=reload), place.target("two", reload=reload))
    assert [r.error for r in results] == [None, None]
    assert (place.root / "log").read_text() == "reloaded\n"


def test_a_reload_that_fails_is_tried_again_with_growing_pauses_until_it_works(place: Place) -> None:
    target = place.target("tls", reload=("ls", str(place.root / "socket")))
    (failed,) = place.deploy(target)
    assert failed.error is not None
    assert failed.error.startswith(f"`ls {place.root}/socket` failed with exit status 2: ls: cannot access")
    assert failed.retry_at == NOW + timedelta(minutes=1)
    place.now += timedelta(seconds=59)
    (left_alone,) = place.deploy(target)
    assert left_alone.error == failed.error
    place.now += timedelta(seconds=1)
    (again,) = place.deploy(target)
    assert again.retry_at == place.now + timedelta(minutes=10)
    (place.root / "socket").touch()
    (forced,) = place.deploy(target, forced=True)
    assert forced.error is None
    assert place.behind(target) == []


def test_a_new_certificate_does_not_wait_for_the_pause_of_the_old_one(place: Place) -> None:
    target = place.target("tls", reload=("false",))
    place.deploy(target)
    assert [r.target for r in place.deploy(target, serial=2)] == ["tls"]
    assert place.memory.deployments("mail")[0].fingerprint == "f2"


def test_one_target_that_fails_leaves_the_others_alone(place: Place) -> None:
    (place.root / "file").touch()
    results = place.deploy(place.target("file"), place.target("tls", reload=("true",)))
    assert [(r.target, r.error is None) for r in results] == [("file", False), ("tls", True)]
    assert place.behind(place.target("file"), place.target("tls", reload=("true",))) == ["file"]
