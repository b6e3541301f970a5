"""Early refresh: replacing an authorization that is still good, without ever risking it for nothing.

A CA gives no new authorization while the old one is reusable, so the old one has to be deactivated first. Before that, in
this order: the CA was asked by newOrder and did not refuse (the engine's first round); the solver publishes a probe value for
each name, and it is seen wherever the CA will look; one name of each solver and zone went first, as canary; the budget of
orders covers proving the batch and splitting it. What is about to be deactivated is remembered as lost before the request is
sent: a run that is killed in between is mended by the next one.
"""

from __future__ import annotations

import logging
import math
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from acmectl import workers
from acmectl.errors import AcmectlError, CAError, SolverError
from acmectl.master.proving import Proven
from acmectl.model.memory import RememberedAuthorization
from acmectl.policy import batching
from acmectl.policy.refresh import Wanted
from acmectl.solvers.base import Response, Solver

if TYPE_CHECKING:
    from acmectl.ca.session import Session
    from acmectl.master.books import Books

log = logging.getLogger(__name__)

CANARIES = 3  # of one solver and zone in one run; when all fail, the others are left alone
RETRIES = 2  # of a name's validation after its deactivation, in one run

Outcomes = Mapping[Wanted, Proven | AcmectlError]


class NotRefreshed(AcmectlError):
    """An authorization was left as it is, still usable; `cause` says why."""


@dataclass(frozen=True, slots=True)
class Stale:
    """A name whose valid authorization is to be replaced; `urgent` ones lapse before the next run: no canary for them."""

    wanted: Wanted
    authorization: RememberedAuthorization
    urgent: bool


class Refresher:
    """Refreshes the authorizations of one account in one run."""

    def __init__(
        self,
        session: Session,
        books: Books,
        solver: Callable[[str], Solver],
        *,
        prove: Callable[[list[Wanted]], Outcomes],
        budget: Callable[[], int],
        limit: int,
        pool: int,
    ) -> None:
        """`prove` orders and proves names; `budget` is how many orders are left; `limit` names fit into one; `pool` threads."""
        self._session = session
        self._books = books
        self._solver = solver
        self._prove = prove
        self._budget = budget
        self._limit = limit
        self._pool = pool

    def refresh(self, stale: Sequence[Stale]) -> dict[Wanted, Proven | AcmectlError]:
        """Replace what can be replaced safely; every name gets its new authorization or the reason why not."""
        outcomes: dict[Wanted, Proven | AcmectlError] = {}
        failed = self._preflight(stale)
        outcomes |= {w: NotRefreshed(f"not refreshed: {e.message}", hint=e.hint) for w, e in failed.items()}
        ready = [s for s in stale if s.wanted not in failed]
        for group in _groups(ready):
            outcomes |= self._group(group)
        return outcomes

    def _preflight(self, stale: Iterable[Stale]) -> dict[Wanted, AcmectlError]:
        """Publish a probe for every name as its solver would publish a challenge, see it, and remove it."""
        by_solver: dict[str, dict[Response, Wanted]] = {}
        failed: dict[Wanted, AcmectlError] = {}
        for item in stale:
            try:
                kinds = self._solver(item.wanted.solver).capabilities.challenge_types
            except AcmectlError as error:
                failed[item.wanted] = error
                continue
            by_solver.setdefault(item.wanted.solver, {})[_probe(item.wanted, kinds[0])] = item.wanted

        def probe(name: str) -> dict[Response, SolverError]:
            solver, responses = self._solver(name), tuple(by_solver[name])
            self._books.publishing(name, responses)
            try:
                failures = dict(solver.publish(responses))
                return failures | dict(solver.seen([r for r in responses if r not in failures]))
            finally:
                left = solver.remove(responses)
                self._books.removed(name, [r for r in responses if r not in left])

        done, broken = workers.each(by_solver, probe, workers=self._pool)
        for name, failures in done.items():
            failed |= {by_solver[name][response]: error for response, error in failures.items()}
        for name, defect in broken.items():
            failed |= dict.fromkeys(by_solver[name].values(), defect)
        return failed

    def _group(self, group: list[Stale]) -> dict[Wanted, Proven | AcmectlError]:
        """One solver and zone: a canary first, unless all of it is urgent; then the rest, batch by batch."""
        urgent = [s for s in group if s.urgent]
        patient = [s for s in group if not s.urgent]
        outcomes = self._batches(urgent)
        proved = any(isinstance(o, Proven) for o in outcomes.values())
        for _ in range(CANARIES):
            if proved or not patient:
                break
            canary = patient.pop(0)
            outcomes |= self._batches([canary])
            proved = isinstance(outcomes[canary.wanted], Proven)
        if patient and not proved:
            reason = f"not refreshed: {CANARIES} other names of its zone failed just now"
            return outcomes | {s.wanted: NotRefreshed(reason) for s in patient}
        return outcomes | self._batches(patient)

    def _batches(self, stale: list[Stale]) -> dict[Wanted, Proven | AcmectlError]:
        by_name = {s.wanted: s for s in stale}
        outcomes: dict[Wanted, Proven | AcmectlError] = {}
        for batch in batching.pack(by_name, limit=self._limit):
            if self._budget() < cost(len(batch)):
                spared = NotRefreshed("not refreshed: the order budget of the account is used up until later")
                outcomes |= dict.fromkeys(batch, spared)
            else:
                outcomes |= self._replace([by_name[w] for w in batch])
        return outcomes

    def _replace(self, batch: list[Stale]) -> dict[Wanted, Proven | AcmectlError]:
        """Deactivate, then prove again; what fails is tried again at once, as often as the limits of CAs allow."""
        from acmectl.ca.orders import deactivate_authorization

        self._books.giving_up(s.authorization for s in batch)
        _, failed = workers.each(
            batch, lambda s: deactivate_authorization(self._session, s.authorization.url), workers=self._pool
        )
        for item, error in failed.items():
            log.info("%s: the old authorization could not be deactivated: %s", item.wanted.identifier, error)
        outcomes: dict[Wanted, Proven | AcmectlError] = {}
        due = [s.wanted for s in batch]
        for _ in range(1 + RETRIES):
            outcomes |= self._prove(due)
            due = [w for w in due if isinstance(outcomes[w], CAError | SolverError)]
            if not due or self._budget() < cost(len(due)):
                break
        return outcomes


def cost(names: int) -> int:
    """The newOrders that proving a batch can take: its own, and those of splitting it around one refused name."""
    return 1 + 2 * math.ceil(math.log2(names)) if names > 1 else 1


def _probe(wanted: Wanted, kind: str) -> Response:
    """A response that no CA asked for, published where a real one would be."""
    token = f"acmectl-probe-{secrets.token_urlsafe(12)}"
    return Response(wanted.identifier, kind, token, f"{token}.probe")


def _groups(stale: Iterable[Stale]) -> list[list[Stale]]:
    """By solver and by the last two labels: close enough to zones to share a canary, and known without a query."""
    groups: dict[tuple[str, str], list[Stale]] = {}
    for item in stale:
        zone = ".".join(item.wanted.identifier.base.split(".")[-2:])
        groups.setdefault((item.wanted.solver, zone), []).append(item)
    return list(groups.values())
