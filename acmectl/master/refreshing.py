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
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from acmectl import workers
from acmectl.errors import AcmectlError, CAError, CARefused, SolverError
from acmectl.master.proving import Proven
from acmectl.model.memory import RememberedAuthorization
from acmectl.policy import batching
from acmectl.policy.refresh import Wanted

if TYPE_CHECKING:
    from acmectl.ca.session import Session
    from acmectl.master.books import Books
    from acmectl.master.preflight import Preflight

log = logging.getLogger(__name__)

CANARIES = 3  # of one solver and zone in one run; when all fail, the others are left alone
RETRIES = 2  # of a name's validation after its deactivation, in one run

Outcomes = Mapping[Wanted, Proven | AcmectlError]
_Zone = tuple[str, str]


class NotRefreshed(AcmectlError):
    """An authorization was left as it is, still usable; `local` where the CA was not even tried."""

    def __init__(self, message: str, *, hint: str | None = None, local: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.local = local


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
        preflight: Preflight,
        *,
        prove: Callable[[list[Wanted]], Outcomes],
        budget: Callable[[], int],
        limit: int,
        pool: int,
        given_up: set[str],
    ) -> None:
        """`prove` orders and proves names; `budget` is how many orders are left; `limit` names fit into one; `pool` threads.

        The URLs of what was deactivated go into `given_up`.
        """
        self._session = session
        self._books = books
        self._preflight = preflight
        self._prove = prove
        self._budget = budget
        self._limit = limit
        self._pool = pool
        self._given_up = given_up

    def refresh(self, stale: Sequence[Stale]) -> dict[Wanted, Proven | AcmectlError]:
        """Replace what can be replaced safely; every name gets its new authorization or the reason why not."""
        failed = self._preflight.failing(s.wanted for s in stale)
        outcomes: dict[Wanted, Proven | AcmectlError] = {
            w: NotRefreshed(f"not refreshed: {e.message}", hint=e.hint, local=True) for w, e in failed.items()
        }
        ready = [s for s in stale if s.wanted not in failed]
        urgent = [s for s in ready if s.urgent]
        outcomes |= self._batches(urgent)
        good = {_zone(s) for s in urgent if isinstance(outcomes[s.wanted], Proven)}
        return outcomes | self._zones(_by_zone(s for s in ready if not s.urgent), good)

    def _zones(self, zones: dict[_Zone, list[Stale]], good: set[_Zone]) -> dict[Wanted, Proven | AcmectlError]:
        """A canary of each zone that is not known to be good, all canaries together; then the rest of the good zones."""
        outcomes: dict[Wanted, Proven | AcmectlError] = {}
        for _ in range(CANARIES):
            canaries = [members.pop(0) for zone, members in zones.items() if members and zone not in good]
            outcomes |= self._batches(canaries)
            good |= {_zone(s) for s in canaries if isinstance(outcomes[s.wanted], Proven)}
            if any(isinstance(outcomes[s.wanted], NotRefreshed) for s in canaries):
                break  # no order is left for a canary
        outcomes |= self._batches([s for zone in zones if zone in good for s in zones[zone]])
        spared = NotRefreshed("not refreshed: other names of its zone failed just now")
        return outcomes | {s.wanted: spared for zone in zones if zone not in good for s in zones[zone]}

    def _batches(self, stale: Iterable[Stale]) -> dict[Wanted, Proven | AcmectlError]:
        by_name = {s.wanted: s for s in stale}
        outcomes: dict[Wanted, Proven | AcmectlError] = {}
        for batch in batching.pack(by_name, limit=self._limit):
            if self._budget() < cost(len(batch)):
                spared = NotRefreshed(
                    "not refreshed: the order budget of the account is used up until later", local=True
                )
                outcomes |= dict.fromkeys(batch, spared)
            else:
                outcomes |= self._replace([by_name[w] for w in batch])
        return outcomes

    def _replace(self, batch: list[Stale]) -> dict[Wanted, Proven | AcmectlError]:
        """Deactivate, then prove again; what fails is tried again at once, as often as the limits of CAs allow."""
        from acmectl.ca.orders import deactivate_authorization

        self._books.giving_up((s.authorization for s in batch), self._session.ca_now())
        done, failed = workers.each(
            batch, lambda s: deactivate_authorization(self._session, s.authorization.url), workers=self._pool
        )
        self._given_up |= {s.authorization.url for s in done}
        for item, error in failed.items():
            log.info("%s: the old authorization could not be deactivated: %s", item.wanted.identifier, error)
        outcomes: dict[Wanted, Proven | AcmectlError] = {}
        due = [s.wanted for s in batch]
        for _ in range(1 + RETRIES):
            outcomes |= self._prove(due)
            due = [w for w in due if _may_pass(outcomes[w])]
            if not due or self._budget() < cost(len(due)):
                break
        return outcomes


def cost(names: int) -> int:
    """The newOrders that proving a batch can take: its own, and those of splitting it around one refused name."""
    return 1 + 2 * math.ceil(math.log2(names)) if names > 1 else 1


def _may_pass(outcome: Proven | AcmectlError) -> bool:
    """Whether another try could end otherwise: a failed validation may, a refused order (a limit, a policy) will not."""
    return isinstance(outcome, CAError | SolverError) and not isinstance(outcome, CARefused)


def _zone(item: Stale) -> _Zone:
    """The solver and the last two labels: close enough to zones to share a canary, and known without a query."""
    return item.wanted.solver, ".".join(item.wanted.identifier.base.split(".")[-2:])


def _by_zone(stale: Iterable[Stale]) -> dict[_Zone, list[Stale]]:
    zones: dict[_Zone, list[Stale]] = {}
    for item in stale:
        zones.setdefault(_zone(item), []).append(item)
    return zones
