"""A run that waits: what is not there yet is ordered again, at growing intervals, until it is, or the time is over.

A person at a new host need not run the same command until the master has got round to the names.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from acmectl.follower.outcomes import KeyWaits, Waiting
from acmectl.follower.results import CertificateResult, Failed, Wish
from acmectl.policy import order_flow

if TYPE_CHECKING:
    from acmectl.follower.key_publishing import KeyPublishing
    from acmectl.follower.means import Means
    from acmectl.follower.serving import Serving


class Awaiting:
    """Waits for what `Serving` could not issue at once."""

    def __init__(self, means: Means, serving: Serving, publishing: KeyPublishing) -> None:
        """`publishing` looks at published keys again, which may be what is waited for."""
        self._means = means
        self._serving = serving
        self._publishing = publishing

    def order_again(
        self, wishes: Sequence[Wish], results: dict[str, CertificateResult], wait: timedelta, *, forced: bool
    ) -> bool:
        """Order what waits again and again, until nothing does or the time is over; whether any other certificate is in use then.

        `results` are brought up to date on the way.
        """
        before = {label: result.installed for label, result in results.items()}
        until = self._means.clock() + wait
        for looks in itertools.count():
            outcomes = {w: results[w.spec.label].outcome for w in wishes}
            waiting = [w for w, outcome in outcomes.items() if _is_worth_waiting_for(outcome, until)]
            left = until - self._means.clock()
            if not waiting or left <= timedelta():
                break
            sets = {(w.spec.names, w.spec.account, w.spec.profile) for w in waiting}
            self._means.pause(min(order_flow.pause_while_waiting(looks, len(sets)), left).total_seconds())
            self._publishing.refresh(waiting, again=True)
            at_once = {w for w in waiting if getattr(outcomes[w], "attempted", True)}
            results |= {
                w.spec.label: self._serving.serve(w, forced=forced, at_once=w in at_once, look=True) for w in waiting
            }
        return before != {label: result.installed for label, result in results.items()}


def _is_worth_waiting_for(outcome: object, until: datetime) -> bool:
    """Whether it waits for the master, the CA was away just now, or what else it waits for ends in the time of `--wait`."""
    if isinstance(outcome, KeyWaits):
        return outcome.until < until
    if not isinstance(outcome, Failed):
        return isinstance(outcome, Waiting)
    return outcome.unreachable or (not outcome.attempted and outcome.retry_at is not None and outcome.retry_at < until)
