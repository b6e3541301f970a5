"""What validations have shown that a later run needs: zones whose names failed after they were given up, and solvers that failed for a name.

The first keeps a run from giving up other names of such a zone, the second has it begin with another solver where a name has several.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from acmectl.policy.replacing import Zone

if TYPE_CHECKING:
    from acmectl.errors import AcmectlError
    from acmectl.policy.refresh import Wanted
    from acmectl.storage.memory import Memory

_SOLVER_AVOIDED = timedelta(days=30)  # as long as authorizations live: one failure more each time is nothing lost
_FAILED_VALIDATIONS = "failed-validations"


class Validations:
    """What the CA's validations came to in former runs, and in this one."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def failed_zones(self, account: str, profile: str | None) -> frozenset[Zone]:
        """Zones of which a name that was given up could not be validated, and none was proven since."""
        known = json.loads(self._memory.fact(self._zones_key(account, profile)) or "[]")
        return frozenset((solver, domain) for solver, domain in known)

    def judge_zones(
        self, account: str, profile: str | None, *, failed: Collection[Zone], proven: Collection[Zone]
    ) -> None:
        """Names of these zones failed after they were given up, or were proven."""
        known = self.failed_zones(account, profile)
        if (zones := (known | {*failed}) - {*proven}) != known:
            self._memory.set_fact(self._zones_key(account, profile), json.dumps(sorted(zones)))

    def _zones_key(self, account: str, profile: str | None) -> str:
        return f"failed-zones/{account}/{profile or ''}"

    def judge_solvers(self, results: Mapping[tuple[Wanted, str], AcmectlError | None], now: datetime) -> None:
        """By which solvers a validation failed, and why, or did not (None), of names that can be proven by several."""
        known = self._failed_solvers(now)
        for (wanted, solver), error in results.items():
            of_name = known.setdefault(wanted.failure_key, {})
            of_name.pop(solver, None)
            if error is not None:
                of_name[solver] = (now.timestamp(), error.message)
        self._memory.set_fact(_FAILED_VALIDATIONS, json.dumps({key: failed for key, failed in known.items() if failed}))

    def failed_solvers(self, wanted: Wanted, now: datetime) -> Mapping[str, str]:
        """Why which solvers of a name could not prove it to the CA lately, the longest ago first."""
        failed = self._failed_solvers(now).get(wanted.failure_key, {})
        return {solver: reason for solver, (_, reason) in sorted(failed.items(), key=lambda item: item[1][0])}

    def _failed_solvers(self, now: datetime) -> dict[str, dict[str, tuple[float, str]]]:
        known: dict[str, dict[str, tuple[float, str]]] = json.loads(self._memory.fact(_FAILED_VALIDATIONS) or "{}")
        since = (now - _SOLVER_AVOIDED).timestamp()
        return {key: {s: (at, why) for s, (at, why) in failed.items() if at > since} for key, failed in known.items()}
