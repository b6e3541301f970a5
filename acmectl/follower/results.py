"""What a follower is asked for, and what it answers: settings, wishes, results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from acmectl.follower.key_publishing import KeyNews
from acmectl.follower.outcomes import Issued, KeyWaits, Waiting
from acmectl.follower.targets import DeployResult, Placed
from acmectl.model.certificates import CertificateSpec, Installed
from acmectl.model.names import Identifier
from acmectl.policy import health
from acmectl.policy.health import ExitStatus
from acmectl.policy.renewal import NotDue


@dataclass(frozen=True, slots=True)
class Settings:
    """How patient a follower is; the configuration's `follower:` says what each means. `onchange` is run once after all."""

    grace: timedelta
    alarm_at: float
    no_certificate_alarm: timedelta
    keep_generations: int
    onchange: tuple[Placed, ...] = ()


@dataclass(frozen=True, slots=True)
class Wish:
    """A certificate of the configuration, where it is to be deployed, and what is run after that.

    `names` are in the order of the configuration.
    """

    spec: CertificateSpec
    targets: tuple[Placed, ...]
    onchange: tuple[Placed, ...] = ()
    names: tuple[Identifier, ...] = ()


@dataclass(frozen=True, slots=True)
class Failed:
    """The attempt failed, or is left alone until `retry_at` after it did (`attempted` is False).

    `unreachable` says that the CA was not there to be asked, so that it is worth trying again in this run.
    """

    reason: str
    hint: str | None
    retry_at: datetime | None
    attempted: bool = True
    unreachable: bool = False


@dataclass(frozen=True, slots=True)
class CertificateResult:
    """What became of one certificate: `installed` is what its services can use after the run.

    `outcome` is None where the caller asked not to order it.
    """

    label: str
    outcome: NotDue | Issued | Waiting | KeyWaits | Failed | None
    due: str | None
    installed: Installed | None
    running_out: bool
    deployments: tuple[DeployResult, ...] = ()


@dataclass(frozen=True, slots=True)
class FollowerReport:
    """The result of each certificate, how many requests of each kind it took, and what became of commands that are run once."""

    results: tuple[CertificateResult, ...]
    requests: Mapping[str, int]
    clock_offset: timedelta | None = None
    onchange: tuple[DeployResult, ...] = ()
    key_news: tuple[KeyNews, ...] = ()

    @property
    def exit_status(self) -> ExitStatus:
        """0 as wanted or waiting with time in hand, 1 something failed, 4 a waiting certificate runs out."""
        return health.exit_status(
            failed=any(isinstance(r.outcome, Failed) or any(d.error for d in r.deployments) for r in self.results)
            or any(d.error for d in self.onchange)
            or any(news.is_error for news in self.key_news),
            running_out=any(r.running_out for r in self.results),
        )
