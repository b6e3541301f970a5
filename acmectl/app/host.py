"""The composition root: a configuration becomes engines that are ready to run. It decides nothing.

Everything heavy is imported where it is first needed, so that a run with nothing to do stays cheap.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from acmectl import workers
from acmectl.app import accounts, provable
from acmectl.app import wishes as made
from acmectl.app.loading import Parts, read
from acmectl.errors import StorageError, UsageError
from acmectl.model.authorities import KNOWN_DIRECTORIES
from acmectl.model.certificates import KIND
from acmectl.model.names import Identifier
from acmectl.options import nearest
from acmectl.policy import backoff, batching, ca_rules
from acmectl.policy.lifetimes import Schedule
from acmectl.policy.refresh import Wanted
from acmectl.policy.renewal import Due
from acmectl.solvers import registry as solvers
from acmectl.solvers.delegation import delegating, zone_of
from acmectl.solvers.marks import mark
from acmectl.storage.clock import CAClock
from acmectl.storage.state import StateDirectory

if TYPE_CHECKING:
    from acmectl.ca.session import Session
    from acmectl.config import Config
    from acmectl.deploy.tlsa.publisher import Publisher
    from acmectl.follower import CertificateStatus, Follower, Wish
    from acmectl.keys import PrivateKey
    from acmectl.master import Master
    from acmectl.model.certificates import CertificateSpec
    from acmectl.solvers.base import Solver
    from acmectl.storage.accounts import StoredAccount
    from acmectl.storage.memory import Memory

MissingKey = tuple[str, str | None, Identifier]
"""Account, profile and name, as in `Wanted.key`."""

LETS_ENCRYPT = {KNOWN_DIRECTORIES["letsencrypt"], KNOWN_DIRECTORIES["letsencrypt-staging"]}


def utc_now() -> datetime:
    """The clock of this host, aware."""
    return datetime.now(UTC)


def load(path: Path) -> Host:
    """The host that the configuration at `path` describes; raises ConfigurationError with all problems of all files."""
    return Host(*read(path))


class Host:
    """One host with its configuration and state directory; makes its engines."""

    def __init__(
        self,
        config: Config,
        parts: Parts,
        *,
        clock: Callable[[], datetime] = utc_now,
        pause: Callable[[float], None] = workers.pause,
        published: Collection[str] = LETS_ENCRYPT,
    ) -> None:
        """`clock` gives aware UTC, `pause` sleeps for seconds; `published` are directories that keep Let's Encrypt's rules."""
        self.config = config
        self.clock = clock
        self.state = StateDirectory(config.state_directory)
        self.parts = parts
        self._pause = pause
        self._published = frozenset(published)

    @property
    def memory(self) -> Memory:
        """What this host remembers, without what belongs to accounts that were replaced since, or cannot be used now."""
        return accounts.memory(self.config, self.state)

    def settle(self) -> None:
        """For a run, which holds the lock: forget what belongs to accounts that were replaced."""
        accounts.adopt(self.config, self.state)

    @property
    def unusable_accounts(self) -> Mapping[str, StorageError]:
        """Why accounts of the configuration cannot be used: missing, damaged, of another CA. A run tells it of all that needs them."""
        return accounts.in_use(self.config, self.state)[1]

    @property
    def is_follower(self) -> bool:
        """Whether this host issues certificates; one whose last was taken out of the configuration (`certificates: {}`) still is one."""
        return bool(self.config.certificates) or self.config.master is None

    @property
    def wanted(self) -> tuple[Wanted, ...]:
        """The names that the master's part keeps authorized, in the order of the configuration."""
        return provable.kept(self.config)

    def tried_names(self, texts: Iterable[str]) -> tuple[Wanted, ...]:
        """The names that this host proves: those that a person names, or all; raises UsageError as `provable.tried` does."""
        return provable.tried(self.config, texts)

    def chosen_names(self, texts: Iterable[str]) -> frozenset[Identifier]:
        """The names of `wanted` that a person names; raises UsageError for one that is not configured."""
        return provable.chosen(self.config, texts)

    def wishes(self, labels: Iterable[str] = ()) -> tuple[Wish, ...]:
        """The certificates of the follower's part, or those that a person names: LABEL in all kinds of keys, LABEL+KEYTYPE in one.

        Raises UsageError for an unknown label or kind.
        """
        specs = dict.fromkeys(
            spec for label in tuple(labels) or self.config.certificates for spec in self._specs(label)
        )
        return tuple(made.wish(self.config, self.parts, self._kept(spec)) for spec in specs)

    def _kept(self, spec: CertificateSpec) -> CertificateSpec:
        """A certificate whose `tlsa` was taken out goes on with its key: validating clients turn away from another while there are records."""
        if spec.pinned or not self.state.certificates.keys.published.may_bind(spec.label):
            return spec
        return replace(spec, pinned=True, reuse_key=True, prepare_key=False)

    def _specs(self, label: str) -> tuple[CertificateSpec, ...]:
        """The kinds of a certificate that a person means. Raises UsageError."""
        configured, _, kind = label.partition(KIND)
        if configured not in self.config.certificates:
            raise UsageError(f"there is no certificate `{label}`", hint=nearest(configured, self.config.certificates))
        specs = self.config.certificates[configured].specs
        found = tuple(spec for spec in specs if not kind or spec.key_type == kind)
        if not found:
            kinds = ", ".join(f"`{spec.key_type}`" for spec in specs)
            raise UsageError(f"the certificate `{configured}` has no key of the kind `{kind}`", hint=f"it has {kinds}")
        return found

    @property
    def publishers(self) -> Mapping[str, Publisher]:
        """Who publishes the keys of certificates that have `tlsa`, by their configured labels."""
        from acmectl.deploy.tlsa.publisher import Publisher

        return {label: Publisher(options) for label, options in self.parts.tlsa.items()}

    def master(self, solver: Solver | None = None) -> Master:
        """The engine that keeps names authorized; the configuration must have a `master` part.

        `solver` stands in for all that are configured, where a program rather than a person knows how to prove.
        """
        if self.config.master is None:
            raise UsageError("this host is no master", hint="its configuration has no `master:`")
        schedule = Schedule(self.config.master.every, early=self.config.master.refreshes_early)
        return self._master(schedule, solver)

    def prover(self) -> Master:
        """The same engine, for names that are proven when they are needed: it keeps nothing alive."""
        return self._master(Schedule(timedelta(), early=False), may_wait=False)

    def needed(self, wishes: Iterable[Wish], *, forced: bool = False, at_once: bool = False) -> tuple[Wanted, ...]:
        """The names to prove before the follower's part: those of certificates with a `solver` that are due now.

        What the master's part keeps authorized is left to it. `forced` and `at_once` are as in `Follower.run`.
        """
        kept = {w.key for w in self.wanted}
        follower = self.follower()
        found: dict[tuple[str, str | None, Identifier], Wanted] = {}
        for wish in wishes:
            solvers_ = self.config.certificates[wish.spec.configured_label].solvers
            if not solvers_ or not self._is_tried_now(follower.status(wish, forced=forced), at_once=at_once):
                continue
            for name in sorted(wish.spec.names):
                wanted = Wanted(name, wish.spec.account, wish.spec.profile, solvers_[0], solvers_[1:])
                if wanted.key not in kept:
                    found.setdefault(wanted.key, wanted)
        return tuple(found.values())

    def held(self, wishes: Iterable[Wish], missing: Collection[MissingKey]) -> tuple[Wish, ...]:
        """The certificates that a run should not order: due, with a name in `missing`, which this host itself did not get authorized.

        An order now would only wait, and could get in the way of the next one (Boulder hands it out again). One that is remembered
        already is asked for again.
        """
        follower, memory = self.follower(), self.memory
        return tuple(
            wish
            for wish in wishes
            if any((wish.spec.account, wish.spec.profile, name) in missing for name in wish.spec.names)
            and memory.follower_order(wish.spec.label) is None
            and self._is_tried_now(follower.status(wish))
        )

    def _is_tried_now(self, status: CertificateStatus, *, at_once: bool = False) -> bool:
        """Whether a follower run now would order this certificate."""
        return isinstance(status.decision, Due) and (at_once or backoff.may_try(status.failure, self.clock()))

    def _master(self, schedule: Schedule, solver: Solver | None = None, *, may_wait: bool = True) -> Master:
        from acmectl.master import Master, Settings

        settings = Settings(schedule, may_wait=may_wait)
        if self.config.master is not None:
            workers, new_orders = self.config.master.workers, self.config.master.new_orders
            settings = Settings(schedule, workers=workers, new_orders=new_orders, may_wait=may_wait)
        return Master(
            connect=self.connect,
            solvers={name: (lambda: solver) if solver else partial(self._solver, name) for name in self.parts.solvers},
            memory=self.memory,
            clock=CAClock(self.state.memory, self.clock),
            settings=settings,
            directory_url=self.config.authority.directory_url,
            published_cutoff=self._cutoff,
            max_names=self._max_names,
            marks={name: mark(section.type, section.options) for name, section in self.config.solvers.items()},
        )

    def follower(self, *, past: bool = False) -> Follower:
        """The engine that issues and deploys. Raises UsageError for a master without certificates, but for a look at `past` ones."""
        from acmectl.follower import Follower, Settings

        if not self.is_follower and not past:
            raise UsageError("this host is no follower", hint="its configuration lists no certificates")
        patience = self.config.follower
        return Follower(
            connect=self.connect,
            certificates=self.state.certificates,
            revocations=self.state.revocations,
            previous_files=self.state.previous_files,
            memory=self.memory,
            clock=CAClock(self.state.memory, self.clock),
            pause=self._pause,
            directory_url=self.config.authority.directory_url,
            account_profile=self._account_profile,
            account_error=self.unusable_accounts.get,
            publishers=self.publishers,
            kinds={label: tuple(spec.label for spec in one.specs) for label, one in self.config.certificates.items()},
            settings=Settings(
                grace=patience.grace,
                alarm_at=patience.alarm_at,
                no_certificate_alarm=patience.no_certificate_alarm,
                keep_generations=patience.keep_generations,
                onchange=made.commands(self.config, self.config.onchange),
            ),
        )

    def connect(self, account: str) -> Session:
        """A session with the stored account's key, for a run, which holds the lock: a rollover that was interrupted is settled first.

        Raises AccountMissing, and StorageError for an account of another CA than the configuration's; CAError.
        """
        stored = self.account(account)
        return self.session(stored.private_key(), stored.account_url)

    def account(self, name: str) -> StoredAccount:
        """The stored account, under the lock, with the key that the CA knows. Raises as `connect` does."""
        stored = self.state.accounts.load(name)
        accounts.check_authority(stored, self.config.authority.directory_url)
        from acmectl.app import rollover

        if stored.next_key_pem is None:
            rollover.tell(self.state.memory, stored)
            return stored
        settled = rollover.settle(self.state.accounts, stored, self.session)
        if settled.next_key_pem is None:
            rollover.told(self.state.memory, name)  # `settle` has just said it
        return settled

    def session(self, key: PrivateKey | None = None, account_url: str | None = None) -> Session:
        """A session with the configured CA, for any key or none."""
        from acmectl.ca.session import Session

        pool_size = self.config.master.workers if self.config.master else 4
        return Session(
            self.config.authority.directory_url,
            key=key,
            account_url=account_url,
            ca_bundle=self.config.authority.ca_bundle,
            pool_size=pool_size,
            pauses=self._pause,
            now=self.clock,
        )

    def _account_profile(self, name: str) -> str | None:
        """The profile that came with an account; an account that is missing or damaged is told of where it is used."""
        try:
            return self.state.accounts.load(name).profile
        except StorageError:
            return None

    def _solver(self, name: str) -> Solver:
        """The solver `name`; where CNAMEs lead into the zone of another one, that one takes over."""
        makes = {other: partial(solvers.build, *part) for other, part in self.parts.solvers.items()}
        others: dict[str, Callable[[], Solver]] = {}
        for other, (_, options) in self.parts.solvers.items():
            if other != name and (zone := zone_of(options)):
                others.setdefault(zone, makes[other])
        return delegating(makes[name], self.parts.solvers[name][1], others)

    def _cutoff(self, profile: str | None, now: datetime) -> timedelta | None:
        rules = self._rules(profile, now)
        return rules.cutoff if rules else None

    def _max_names(self, profile: str | None, now: datetime) -> int:
        rules = self._rules(profile, now)
        return rules.max_names if rules else batching.MAX_NAMES

    def _rules(self, profile: str | None, now: datetime) -> ca_rules.ProfileRules | None:
        if self.config.authority.directory_url not in self._published or profile not in {None, *ca_rules.LETS_ENCRYPT}:
            return None
        return ca_rules.rules_at(profile, now)
