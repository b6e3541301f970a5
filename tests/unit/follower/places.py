"""Targets with real files, real commands and the real store, for tests of what is deployed when."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from acmectl.deploy import registry
from acmectl.deploy.files import FilesOptions
from acmectl.follower.deploying import Deployer, DeployResult, Placed, behind
from acmectl.follower.settling import settle_all
from acmectl.model.certificates import Installed
from acmectl.model.memory import Deployment
from acmectl.model.names import Identifier
from acmectl.storage.lineages import Lineages
from acmectl.storage.memory import Memory
from acmectl.storage.previous_files import PreviousFiles, Remembered, digest_of

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
PARTS = ("privkey", "cert", "chain", "fullchain")


class Place:
    """Generations, a memory, and targets below one directory."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.memory = Memory(root / "state.db")
        self.previous = PreviousFiles(root / "deployed")
        self.lineages = Lineages(root / "live", root / "certificates")
        self.now = NOW

    def generation(self, serial: int) -> Path:
        folder = self.root / f"generation-{serial}"
        folder.mkdir(exist_ok=True)
        for part in PARTS:
            (folder / f"{part}.pem").write_text(f"{part} {serial}")
        return folder

    def target(self, name: str, **options: Any) -> Placed:
        chosen = FilesOptions(directory=self.root / name, **options)
        return Placed(name, registry.build("files", chosen))

    def shell(self, script: str) -> tuple[str, ...]:
        """A command that runs in this directory."""
        return ("sh", "-c", f"cd '{self.root}' && {script}")

    def deploy(
        self,
        *targets: Placed,
        serial: int = 1,
        label: str = "mail",
        at_once: bool = False,
        again: Collection[str] = (),
    ) -> tuple[DeployResult, ...]:
        unsettled = settle_all(self.previous)
        deployer = self.deployer()
        self.add(deployer, *targets, serial=serial, label=label, at_once=at_once, again=again)
        return (*unsettled, *deployer.run())

    def killed(self, target: Placed, *begun: str, serial: int = 2, label: str = "mail") -> None:
        """What a run leaves that was killed when it had renamed these files of a target."""
        made = target.target.made(self.generation(serial))
        digests = tuple(digest_of(file.content) for file in made)
        found = Remembered(label, target.name, target.target.digest, target.target.standing(), digests)
        self.previous.remember(found)
        target.target.put([file for file in made if file.path.name in begun])

    def deployer(self) -> Deployer:
        return Deployer(self.memory, self.previous, lambda: self.now, lambda _: None)

    def add(
        self,
        deployer: Deployer,
        *targets: Placed,
        serial: int = 1,
        label: str = "mail",
        at_once: bool = False,
        again: Collection[str] = (),
    ) -> None:
        names = [Identifier.parse("b.example"), Identifier.parse("a.example")]
        have = certificate(serial, label)
        made = self.generation(serial)
        live = partial(self.lineages.made, label)
        deployer.add(have, made, targets, lineage=live, names=names, at_once=at_once, again=again)

    def behind(self, *targets: Placed, serial: int = 1) -> list[str]:
        return [placed.name for placed, _ in behind(self.memory, certificate(serial), targets)]

    def record(self, target: str, label: str = "mail") -> Deployment:
        (found,) = [d for d in self.memory.deployments(label) if d.target == target]
        return found

    def lines(self, name: str) -> list[str]:
        path = self.root / name
        return path.read_text().splitlines() if path.exists() else []

    def content(self, name: str) -> list[str]:
        """Which generation each file of a target is of; sorted and without repetition."""
        return sorted({path.read_text().split()[1] for path in (self.root / name).iterdir()})


def certificate(serial: int, label: str = "mail") -> Installed:
    """Always of generation 1, as after somebody removed the folder."""
    names = frozenset({Identifier.parse("a.example"), Identifier.parse("b.example")})
    return Installed(label, 1, names, None, f"{serial:x}", f"f{serial:x}", "CA", NOW, NOW + timedelta(days=90))


def errors(results: Collection[DeployResult]) -> list[str | None]:
    return [result.error for result in results]
