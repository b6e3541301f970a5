"""`acmectl master try`: the preflight of a refresh for a person, name by name and solver by solver."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from acmectl.errors import AcmectlError
from acmectl.master.choosing import Choice, Choosing
from acmectl.master.preflight import Candidate, Preflight, Probed
from acmectl.policy.refresh import Wanted
from acmectl.solvers.base import Probe


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of trying a name by one solver.

    `type` is the challenge type, None where the solver cannot prove this name at all; `is_probed` is False for that, and for a
    solver that publishes nothing without a challenge. `error` says why it does not work, `left` why the probe is still there.
    """

    wanted: Wanted
    solver: str
    type: str | None
    is_probed: bool
    error: AcmectlError | None = None
    left: AcmectlError | None = None

    @property
    def failed(self) -> bool:
        """Whether a person should look at it; that a listed solver is not for this kind of name is as it should be."""
        return (self.type is not None and self.error is not None) or self.left is not None


def attempt(
    names: Iterable[Wanted], choosing: Choosing, preflight: Preflight, *, every: bool = False
) -> tuple[Trial, ...]:
    """Try each name by its solvers up to the first that works, as a run would; with `every` by all of them."""
    trials: dict[Wanted, dict[str, Trial]] = {wanted: {} for wanted in names}
    pending = list(trials)
    while pending:
        candidates = [c for wanted in pending for c in _next(wanted, choosing, trials[wanted], every=every)]
        for (wanted, choice), outcome in preflight.probe(candidates).items():
            trials[wanted][choice.solver] = _trial(wanted, choice, outcome)
        pending = [w for w in {w: None for w, _ in candidates} if not every and _goes_on(w, trials[w])]
    return tuple(trials[w][name] for w in trials for name in w.solvers if name in trials[w])


def _next(wanted: Wanted, choosing: Choosing, tried: dict[str, Trial], *, every: bool) -> Sequence[Candidate]:
    """The next solver of a name, or with `every` all; those that cannot prove it are noted as tried on the way."""
    found: list[Candidate] = []
    for name in wanted.solvers:
        if name in tried or (found and not every):
            continue
        choice = choosing.of(wanted, name)
        if isinstance(choice, Choice):
            found.append((wanted, choice))
        else:
            tried[name] = Trial(wanted, name, None, is_probed=False, error=choice)
    return found


def _trial(wanted: Wanted, choice: Choice, outcome: Probed) -> Trial:
    is_probed = choice.probe is not Probe.NONE
    return Trial(wanted, choice.solver, choice.type, is_probed, outcome.error, outcome.left)


def _goes_on(wanted: Wanted, tried: Mapping[str, Trial]) -> bool:
    return all(trial.error for trial in tried.values()) and len(tried) < len(wanted.solvers)
