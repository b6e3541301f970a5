"""A run's deployments: the targets of all certificates together, then each certificate's commands, then those that are run once."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from acmectl.errors import StorageError
from acmectl.follower import former, onchange
from acmectl.follower.deploying import Deployer
from acmectl.follower.onchange import OnChange
from acmectl.follower.settling import settle_all
from acmectl.follower.targets import DeployResult, Work, known, ordered

if TYPE_CHECKING:
    from acmectl.follower.means import Means
    from acmectl.follower.results import Wish
    from acmectl.model.certificates import Installed


class HandingOut:
    """Hands certificates to services."""

    def __init__(self, means: Means) -> None:
        """Whatever a follower has."""
        self._means = means

    def begin(self) -> tuple[DeployResult, ...]:
        """Before a run does anything: undo what killed runs left half done, in the places of whatever target; what could not be undone."""
        means = self._means
        OnChange(means.memory, means.clock).begin(self._in_use, means.settings.onchange)
        failed = settle_all(means.previous_files)
        for result in failed:
            self._log(result)
        return failed

    def deploy(
        self,
        wishes: Sequence[Wish],
        in_use: Mapping[str, Installed | None],
        *,
        at_once: bool,
        again: Collection[str] = (),
        only: bool = False,
        held: Mapping[str, Collection[str]],
    ) -> tuple[DeployResult, ...]:
        """Deploy what is behind; `at_once` waits for no pause. What is named in `again` is deployed in any case, with `only` nothing else.

        `held` are targets that keep what they have, by the label of the certificate.
        The commands of a certificate follow its deployment, also where that was to one target alone.
        """
        means = self._means
        have = [(wish, installed) for wish in wishes if (installed := in_use[wish.spec.label]) is not None]
        deployer = Deployer(means.memory, means.previous_files, means.clock, means.pause)
        for wish, installed in have:
            directory = means.certificates.current_directory(wish.spec.label)
            deployer.add(
                installed,
                directory,
                [placed for placed in wish.targets if placed.name not in held.get(wish.spec.label, ())],
                lineage=self._lineage(wish.spec.label),
                names=wish.names,
                at_once=at_once,
                again=again,
                only=only,
            )
        done = list(deployer.run())
        changed = {result.label for result in done if result.attempted and not result.error}
        silent = {wish.spec.label for wish, _ in have if wish.spec.label not in changed} if only else set[str]()
        done += self._commands(have, at_once=at_once, again=again, silent=silent)
        for wish, _ in have:
            self._forget_former(wish)
        for result in done:
            if result.attempted:
                self._log(result)
        return tuple(done)

    def once(self, wishes: Sequence[Wish], in_use: Mapping[str, Installed | None]) -> tuple[onchange.Once, ...]:
        """How the commands stand that are run once for all certificates, which `wishes` are."""
        have = [installed for wish in wishes if (installed := in_use[wish.spec.label]) is not None]
        return onchange.once(self._means.memory, have, self._means.settings.onchange)

    def _commands(
        self,
        have: Sequence[tuple[Wish, Installed]],
        *,
        at_once: bool,
        again: Collection[str],
        silent: Collection[str],
    ) -> list[DeployResult]:
        """Run what is missing; of the certificates in `silent`, only what is named in `again`."""
        runner = OnChange(self._means.memory, self._means.clock, at_once=at_once)
        done: list[DeployResult] = []
        for wish, installed in have:
            if wish.onchange:
                works = self._works(wish, installed)
                works = [w for w in works if w.placed.name in again or installed.label not in silent]
                done += runner.after(works, wish.targets, again=again)
        return [*done, *runner.after_all((installed for _, installed in have), self._means.settings.onchange)]

    def _works(self, wish: Wish, installed: Installed) -> list[Work]:
        last = onchange.remembered(self._means.memory, installed.label, wish.onchange)
        directory = self._means.certificates.current_directory(installed.label)
        names = ordered(wish.names, installed.names)
        lineage = self._lineage(installed.label)
        return [Work(installed, names, directory, lineage, placed, last.get(placed.name)) for placed in wish.onchange]

    def _in_use(self) -> Iterator[Installed]:
        certificates = self._means.certificates
        for label in certificates.labels():
            installed = None
            with contextlib.suppress(StorageError):  # told of the certificate, if it is configured
                installed = certificates.current(label)
            if installed is not None:
                yield installed

    def _lineage(self, label: str) -> Callable[[], Path]:
        return partial(self._means.certificates.lineages.made, label)

    def _forget_former(self, wish: Wish) -> None:
        """What is known of a target that is none any more is of use as long as its files are there, to name them."""
        present = {*(placed.name for placed in wish.targets), *map(onchange.key_of, wish.onchange)}
        kept = former.written(wish.targets)
        for last in known(self._means.memory, wish.spec.label).values():
            if last.target not in present and not former.stay(last.places, kept):
                self._means.memory.forget_deployment(last.label, last.target)

    def _log(self, result: DeployResult) -> None:
        subject = result.label or "onchange"
        if result.error:
            self._means.log(subject, "not deployed", f"{result.target}: {result.error}")
        else:
            why = ": its files were changed or removed by somebody since" if result.changed else ""
            self._means.log(subject, "deployed", f"{result.target}{why}")
