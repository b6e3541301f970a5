"""Certificates for the same names, such as two kinds of keys: while one waits, the others of the run are not ordered.

Boulder hands out one pending order for one set of names, account and profile. To order for each would only count against
the limit that all hosts of the account share; and each would give the stuck order up in its turn, which costs a failed validation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from acmectl.follower.outcomes import Waiting
from acmectl.policy import order_flow
from acmectl.policy.order_flow import Step

if TYPE_CHECKING:
    from acmectl.model.certificates import CertificateSpec
    from acmectl.model.names import Identifier
    from acmectl.storage.memory import Memory

    Terms = tuple[frozenset[Identifier], str, str | None]


class SharedWaiting:
    """What waits in this run, by what is ordered."""

    def __init__(self, memory: Memory) -> None:
        """`memory` knows who holds an order already that was, or is about to be, finalized."""
        self._memory = memory
        self._waiting: dict[Terms, tuple[str, Waiting]] = {}

    def note(self, spec: CertificateSpec, outcome: object) -> None:
        """What became of `spec`, in the order in which certificates are served."""
        label = self._waiting.get(_terms(spec), (spec.label, None))[0]
        if label != spec.label:
            return
        if isinstance(outcome, Waiting):
            self._waiting[_terms(spec)] = (spec.label, outcome)
        else:
            self._waiting.pop(_terms(spec), None)

    def waits_with(self, spec: CertificateSpec) -> Waiting | None:
        """What another certificate waits for, whose order would be this one's as well; None where it is to be ordered."""
        label, waiting = self._waiting.get(_terms(spec), (spec.label, None))
        if waiting is None or label == spec.label:
            return None
        step = order_flow.first_step(self._memory.follower_order(spec.label), spec)
        return None if step is Step.RESUME else waiting


def _terms(spec: CertificateSpec) -> Terms:
    return spec.names, spec.account, spec.profile
