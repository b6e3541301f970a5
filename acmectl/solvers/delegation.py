"""A name whose `_acme-challenge` leads by CNAME into another zone is published there by the solver that is configured for that zone.

The usual set-up of a careful office: the zone of its names is not writable at all, and a CNAME at each challenge record leads into a
small zone that exists for nothing else. Where the two zones have different servers or keys, or are at different providers, each has a
solver, and the one of the small zone says `zone:`. Which one a name uses in the configuration does not change with that.

The CNAMEs are followed anew for each call, in whatever process: a CNAME that was changed between publishing and removing leaves its old
record with the solver that the new one leads to, which has nothing to remove there, and says nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from acmectl.errors import AcmectlError, SolverError
from acmectl.options import Options
from acmectl.solvers.base import DNS_01, Capabilities, Failures, KeepsReceipts, Receipts, Response, Solver
from acmectl.solvers.dns_check import DnsCheck, DnsCheckOptions
from acmectl.solvers.failures import solver_error

Build = Callable[[], Solver]


def delegating(own: Build, options: Options, others: Mapping[str, Build]) -> Solver:
    """The solver that `own` makes; where a CNAME leads into a zone of `others` (by their zones' names), those take over.

    No solver of `others` is made before a CNAME leads to it, and nothing is looked up where there are none.
    """
    solver = own()
    if not isinstance(options, DnsCheckOptions) or DNS_01 not in solver.capabilities.challenge_types:
        return solver
    foreign = {zone: build for zone, build in others.items() if zone != options.zone}
    return Delegating(solver, options, foreign) if foreign else solver


def zone_of(options: Options) -> str | None:
    """The zone that a solver with these options is for, None if it is for any."""
    return options.zone if isinstance(options, DnsCheckOptions) else None


class Delegating:
    """Hands each response to its own solver, or to the one for the zone where the record really lies."""

    def __init__(self, own: Solver, options: DnsCheckOptions, others: Mapping[str, Build]) -> None:
        self._own = own
        self._check = DnsCheck(options.model_copy(update={"zone": None}))
        self._zone = options.zone
        self._others = others
        self._made: dict[str, Solver] = {}
        self._receipts: Receipts | None = None

    @property
    def capabilities(self) -> Capabilities:
        """Those of the name's own solver."""
        return self._own.capabilities

    def keep_receipts_in(self, receipts: Receipts) -> None:
        """Handed on to all solvers that want it."""
        self._receipts = receipts
        if isinstance(self._own, KeepsReceipts):
            self._own.keep_receipts_in(receipts)

    def publish(self, responses: Sequence[Response]) -> Failures:
        """Each by the solver of its zone."""
        return self._call(responses, lambda solver, some: solver.publish(some))

    def seen(self, responses: Sequence[Response]) -> Failures:
        """Each where the solver of its zone looks."""
        return self._call(responses, lambda solver, some: solver.seen(some))

    def remove(self, responses: Sequence[Response]) -> Failures:
        """Each by the solver of its zone."""
        return self._call(responses, lambda solver, some: solver.remove(some))

    def _call(self, responses: Sequence[Response], call: Callable[[Solver, Sequence[Response]], Failures]) -> Failures:
        failures: dict[Response, SolverError] = {}
        for zone, some in self._by_zone(responses).items():
            try:
                failures |= call(self._solver(zone), some)
            except AcmectlError as error:
                failures |= dict.fromkeys(some, solver_error(error))
        return failures

    def _by_zone(self, responses: Sequence[Response]) -> Mapping[str | None, list[Response]]:
        """The responses of each of the other solvers, by its zone; None is our own, which also tells what is wrong with a chain."""
        located, _ = self._check.locate([r for r in responses if r.type == DNS_01])
        groups: dict[str | None, list[Response]] = {}
        for response in responses:
            location = located.get(response)
            leads_away = location is not None and location.owner != location.asked
            zone = self._zone_around(location.owner.to_text()) if location and leads_away else None
            groups.setdefault(zone, []).append(response)
        return groups

    def _zone_around(self, owner: str) -> str | None:
        name = f".{owner.lower().removesuffix('.')}"
        candidates = [*self._others, *([self._zone] if self._zone else [])]
        nearest = max((zone for zone in candidates if name.endswith(f".{zone}")), key=len, default=None)
        return None if nearest == self._zone else nearest

    def _solver(self, zone: str | None) -> Solver:
        if zone is None:
            return self._own
        if zone not in self._made:
            solver = self._made[zone] = self._others[zone]()
            if self._receipts is not None and isinstance(solver, KeepsReceipts):
                solver.keep_receipts_in(self._receipts)
        return self._made[zone]
