"""What a configuration says, as frozen values: names are identifiers, durations are timedeltas, paths are absolute."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

from acmectl.config.section import Section
from acmectl.errors import ConfigurationError, ConfigurationProblem, Place
from acmectl.model.certificates import CertificateSpec
from acmectl.model.names import Identifier


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority: what to call it, the URL of its directory, and who vouches for that server.

    `ca_bundle` is a PEM file of roots to trust instead of the system's, for a CA of one's own.
    """

    name: str
    directory_url: str
    ca_bundle: Path | None = None


@dataclass(frozen=True, slots=True)
class ExternalAccount:
    """Where a CA's key identifier and HMAC key for External Account Binding are; either `kid` or `kid_file` is there.

    Needed when the account is registered, and never again.
    """

    kid: str | None
    kid_file: Path | None
    hmac_key_file: Path


@dataclass(frozen=True, slots=True)
class Authorize:
    """Names that a master keeps authorized for one account by the first solver that can. No name twice for an account."""

    names: tuple[Identifier, ...]
    solvers: tuple[str, ...]
    account: str
    place: Place


@dataclass(frozen=True, slots=True)
class Master:
    """The master's part.

    `every` is how often the person runs it; `refreshes_early` whether authorizations are replaced before they lapse;
    `new_orders` how many orders an account may send in three hours; `workers` bounds its requests and DNS queries at once.
    """

    authorize: tuple[Authorize, ...]
    every: timedelta
    refreshes_early: bool
    new_orders: int
    workers: int


@dataclass(frozen=True, slots=True)
class Command:
    """A command of an `onchange`, and where it is written."""

    argv: tuple[str, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate as wanted, and the targets that it is handed to.

    The first of `solvers` that can proves its names just before it is issued; none where a master, here or elsewhere, keeps them
    authorized. `others` are its further kinds of keys. `key_place` is where the file with its key or CSR is named, if there is one.
    `names` are in the order in which they are written; `onchange` are commands to run after it was deployed.
    """

    spec: CertificateSpec
    solvers: tuple[str, ...]
    deploy: tuple[Section, ...]
    place: Place
    others: tuple[CertificateSpec, ...] = ()
    key_place: Place | None = None
    names: tuple[Identifier, ...] = ()
    onchange: tuple[Command, ...] = ()

    @property
    def specs(self) -> tuple[CertificateSpec, ...]:
        """One for each kind of key, the one with the configured label first."""
        return (self.spec, *self.others)


@dataclass(frozen=True, slots=True)
class Follower:
    """How a follower waits.

    `grace` is how long an order that was seen pending is left alone before it is released. Waiting is an alarm
    once less than the fraction `alarm_at` of the installed certificate's lifetime is left (0.15: 13 days of 90, one
    of 160 h), or `no_certificate_alarm` after the first attempt where none is installed. Of the generations of a
    certificate `keep_generations` stay on the disk.
    """

    grace: timedelta
    alarm_at: float
    no_certificate_alarm: timedelta
    keep_generations: int


@dataclass(frozen=True, slots=True)
class Sections:
    """The sections whose options belong to other rooms, recognised even where other parts of the files are wrong."""

    solvers: Mapping[str, Section]
    deploy: Mapping[str, tuple[Section, ...]]
    tlsa: Mapping[str, Section] = field(default_factory=dict)
    records: tuple[Section, ...] = ()

    def all(self) -> tuple[Section, ...]:
        """Every section, the solvers first."""
        targets = (section for targets in self.deploy.values() for section in targets)
        return (*self.solvers.values(), *targets, *self.tlsa.values(), *self.records)


@dataclass(frozen=True, slots=True)
class Config:
    """A configuration in which every reference holds. At least one of `master` and `certificates` is there.

    `external_accounts` are those of the accounts that are registered with a binding, by name. `onchange` are commands to run once
    after a run that changed anything; each of these, and of a certificate's, may take `onchange_timeout`.
    """

    authority: Authority
    profile: str | None
    contact: tuple[str, ...]
    state_directory: Path
    accounts: tuple[str, ...]
    external_accounts: Mapping[str, ExternalAccount]
    solvers: Mapping[str, Section]
    master: Master | None
    certificates: Mapping[str, Certificate]
    follower: Follower
    onchange: tuple[Command, ...] = ()
    onchange_timeout: timedelta = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Loaded:
    """The answer of `load`: the files that were read, and either a configuration or problems.

    `problems` are in the order of files and lines. `named` are the files that the keys outside of sections name. `sections` are there in both cases, so that what is wrong with the
    options of solvers and deploy targets can be said in the same answer.
    """

    files: tuple[Path, ...]
    config: Config | None
    sections: Sections
    problems: tuple[ConfigurationProblem, ...]
    named: tuple[tuple[str, Path], ...] = ()

    def require(self) -> Config:
        """The configuration; raises ConfigurationError with all problems where there is none."""
        if self.config is None:
            raise ConfigurationError(self.problems)
        return self.config

    def with_problems(self, more: tuple[ConfigurationProblem, ...]) -> Loaded:
        """The same, with what other rooms found wrong in their sections; no configuration is left if there is any."""
        if not more:
            return self
        problems = in_order((*self.problems, *more), self.files)
        return replace(self, config=None, problems=problems)


def in_order(problems: tuple[ConfigurationProblem, ...], files: tuple[Path, ...]) -> tuple[ConfigurationProblem, ...]:
    """By file, in the order in which they were read, then by line; none twice."""
    rank = {file: index for index, file in enumerate(files)}
    unique = dict.fromkeys(problems)
    return tuple(sorted(unique, key=lambda p: (rank.get(p.place.file, len(rank)), p.place.line or 0)))
