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
from acmectl.master.ordering import Unordered
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
        self._stopped: AcmectlError | None = None

    def refresh(self, stale: Sequence[Stale]) -> dict[Wanted, Proven | AcmectlError]:
        """Replace what can be replaced safely; every name gets its new authorization or the reason why not."""
        failed = self._preflight.failing(s.wanted for s in stale)
        outcomes: dict[Wanted, Proven | AcmectlError] = {
            w: NotRefreshed(f"not refreshed: {e.message}", hint=e.hint, local=True) for w, e in failed.items()
        }
        ready = [s for s in stale if s.wanted not in failed]
        urgent = [s for s in ready if s.urgent]
        outcomes |= self._batches(urgent, until_bad=True)
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
        outcomes |= self._batches([s for zone in zones if zone in good for s in zones[zone]], until_bad=True)
        spared = NotRefreshed("not refreshed: other names of its zone failed just now")
        return outcomes | {s.wanted: spared for zone in zones if zone not in good for s in zones[zone]}

    def _batches(self, stale: Iterable[Stale], *, until_bad: bool = False) -> dict[Wanted, Proven | AcmectlError]:
        """Batch by batch, until the CA refuses the account; `until_bad`: a zone's, until a batch proves none of it."""
        by_name = {s.wanted: s for s in stale}
        outcomes: dict[Wanted, Proven | AcmectlError] = {}
        bad: set[_Zone] = set()
        for batch in batching.pack(by_name, limit=self._limit):
            members = [by_name[w] for w in batch if _zone(by_name[w]) not in bad]
            outcomes |= dict.fromkeys(batch, NotRefreshed("not refreshed: other names of its zone failed just now"))
            if not members:
                continue
            spared = self._unaffordable(len(members))
            outcomes |= self._replace(members) if spared is None else dict.fromkeys((s.wanted for s in members), spared)
            if until_bad:
                bad |= {_zone(s) for s in members} - {
                    _zone(s) for s in members if isinstance(outcomes[s.wanted], Proven)
                }
        return outcomes

    def _unaffordable(self, names: int) -> NotRefreshed | None:
        """Why no more names may be given up in this run: a deactivated one that cannot be ordered is lost."""
        if self._stopped is not None:
            return NotRefreshed(f"not refreshed: {self._stopped.message}", hint=self._stopped.hint, local=True)
        if self._budget() < cost(names):
            return NotRefreshed("not refreshed: the order budget of the account is used up until later", local=True)
        return None

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
            self._stopped = next((o for o in outcomes.values() if isinstance(o, Unordered)), self._stopped)
            due = [w for w in due if _may_pass(outcomes[w])]
            if not due or self._budget() < cost(len(due)):
                break
        return outcomes | {s.wanted: _kept(error) for s, error in failed.items() if _is_same(outcomes[s.wanted], s)}


def _is_same(outcome: Proven | AcmectlError, item: Stale) -> bool:
    """Whether a name came back with the authorization that was to be given up."""
    return isinstance(outcome, Proven) and outcome.authorization.url == item.authorization.url


def _kept(error: AcmectlError) -> NotRefreshed:
    return NotRefreshed(
        f"not refreshed: the old authorization could not be deactivated: {error.message}", hint=error.hint
    )


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
