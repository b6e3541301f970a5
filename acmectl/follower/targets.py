"""What is to be deployed: targets as configured, which of them are behind, and what went wrong with one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from acmectl.errors import AcmectlError
from acmectl.model.certificates import Installed
from acmectl.model.memory import Deployment, DeployStep
from acmectl.model.names import Identifier
from acmectl.policy import deployment as policy

if TYPE_CHECKING:
    from acmectl.deploy.target import Target
    from acmectl.storage.memory import Memory


@dataclass(frozen=True, slots=True)
class Placed:
    """A configured target, and its name in messages."""

    name: str
    target: Target


@dataclass(frozen=True, slots=True)
class DeployResult:
    """What became of one target: deployed in this run, failed, or left alone until `retry_at` (`attempted` is False).

    `label` is empty for what is run once for all certificates.
    """

    label: str
    target: str
    error: str | None = None
    retry_at: datetime | None = None
    step: DeployStep | None = None
    hint: str | None = None
    attempts: int = 0
    attempted: bool = True


@dataclass(frozen=True, slots=True)
class Broken:
    """Where a deployment ended, and in whose words."""

    step: DeployStep
    message: str
    hint: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Work:
    """One target that is to get one certificate, which lies in `directory`; `names` are in the order in which people wrote them.

    `lineage` makes and returns the folder that is called as the certificate; it raises StorageError. `again` says that a person wants all of
    it done, whatever is remembered.
    """

    installed: Installed
    names: tuple[Identifier, ...]
    directory: Path
    lineage: Callable[[], Path]
    placed: Placed
    last: Deployment | None
    again: bool = False

    @property
    def target(self) -> Target:
        """What the service gets."""
        return self.placed.target

    @property
    def subject(self) -> dict[str, str]:
        """What the policy compares with what is remembered."""
        return {"digest": self.target.digest, "fingerprint": self.installed.fingerprint}


Failures = dict[Work, Broken]


def attempt(step: DeployStep, doing: Callable[[], object]) -> Broken | None:
    """Do it; what failed is a value, so that one target leaves the others alone."""
    try:
        doing()
    except AcmectlError as error:
        return Broken(step, error.message, error.hint)
    return None


def known(memory: Memory, label: str) -> dict[str, Deployment]:
    """What is remembered of the targets of a certificate, by name."""
    return {deployment.target: deployment for deployment in memory.deployments(label)}


def behind(
    memory: Memory, installed: Installed, targets: Sequence[Placed]
) -> tuple[tuple[Placed, Deployment | None], ...]:
    """The targets that do not hold `installed`, or whose service does not serve it, with what is remembered of each."""
    last = known(memory, installed.label) if targets else {}
    return tuple((p, last.get(p.name)) for p in targets if not _is_deployed(last.get(p.name), p, installed))


def _is_deployed(last: Deployment | None, placed: Placed, installed: Installed) -> bool:
    target = placed.target
    return policy.is_deployed(last, digest=target.digest, fingerprint=installed.fingerprint, stamp=target.stamp())


def result_of(deployment: Deployment, *, attempted: bool = True) -> DeployResult:
    """What to tell of a deployment."""
    return DeployResult(
        deployment.label,
        deployment.target,
        deployment.error,
        deployment.retry_at,
        deployment.failed_step,
        deployment.hint,
        deployment.attempts,
        attempted,
    )


def ordered(names: Iterable[Identifier], certified: Iterable[Identifier]) -> tuple[Identifier, ...]:
    """The names of a certificate in the order of the configuration, and then those that the configuration does not have."""
    present = frozenset(certified)
    listed = tuple(name for name in names if name in present)
    return (*listed, *sorted(present.difference(listed)))
