"""The certificate authority without its wire: everything that it does, and nothing of HTTP.

A rehearsal's hand on the CA (forgetting, revoking, expiring) is here too, because it must take the same lock.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING

from acmectl.model.orders import AuthorizationStatus
from acmectl.sandbox.accounts import Accounts
from acmectl.sandbox.authorizing import Authorizing
from acmectl.sandbox.clock import Clock
from acmectl.sandbox.issuing import Issuing
from acmectl.sandbox.limits import RateLimits
from acmectl.sandbox.objects import Account, Authorization, Challenge
from acmectl.sandbox.ordering import Ordering
from acmectl.sandbox.rules import Rules
from acmectl.sandbox.state import State
from acmectl.sandbox.validation import Attempt, Validator

if TYPE_CHECKING:
    from acmectl.sandbox.issuer import Issuer

_WORKERS = 32


class Authority:
    """A CA in memory; its threads validate and issue. `close` ends them."""

    def __init__(self, rules: Rules, clock: Clock, issuer: Issuer, validator: Validator) -> None:
        self.state = State(rules=rules, clock=clock, limits=RateLimits(rules.limits))
        self.accounts = Accounts(self.state)
        self.ordering = Ordering(self.state)
        self.authorizing = Authorizing(self.state)
        self.issuing = Issuing(self.state, issuer, self._later)
        self._validator = validator
        self._closing = threading.Event()
        self._pool = ThreadPoolExecutor(_WORKERS, thread_name_prefix="sandbox")

    def close(self) -> None:
        """Let validations end, and drop what has not begun."""
        self._closing.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def answer(self, account: Account, number: int, kind: str) -> tuple[Authorization, Challenge]:
        """The client says that a challenge can be validated; validation begins in another thread."""
        authorization, challenge, starts = self.authorizing.begin(account, number, kind)
        if starts:
            key_authorization = f"{challenge.token}.{account.thumbprint}"
            attempt = Attempt(challenge.type, authorization.identifier, challenge.token, key_authorization)
            delay = self.state.rules.validation_delay
            self._later(delay, lambda: self._validate(authorization, challenge, attempt))
        return authorization, challenge

    def set_status(self, names: Iterable[str], status: AuthorizationStatus) -> int:
        """Revoke or expire every authorization of `names` that is open; returns how many there were."""
        wanted = frozenset(names)
        with self.state.lock:
            now = self.state.clock.now()
            found = [a for a in self.state.store.authorizations.values() if a.identifier.value in wanted]
            changed = [a for a in found if self.state.authorization_status(a, now) in {"valid", "pending"}]
            for authorization in changed:
                if status is AuthorizationStatus.EXPIRED:
                    authorization.expires_at = now
                else:
                    authorization.status = status
            return len(changed)

    def forget(self, *, accounts: bool) -> None:
        """Lose all orders and authorizations, and the accounts too."""
        with self.state.lock:
            self.state.store.forget_orders()
            if accounts:
                self.state.store.forget_accounts()

    def _validate(self, authorization: Authorization, challenge: Challenge, attempt: Attempt) -> None:
        with self.state.lock:
            failing = self.state.injections.failing
            injected = failing.get(attempt.identifier.value) or failing.get(attempt.identifier.base)
        problem = injected or self._validator.validate(attempt)
        self.authorizing.settle(authorization, challenge, problem)

    def _later(self, delay: timedelta, work: Callable[[], None]) -> None:
        def run() -> None:
            if not self._closing.wait(delay.total_seconds()):
                work()

        try:
            self._pool.submit(run).add_done_callback(_show_defect)
        except RuntimeError:  # the sandbox is being stopped: the client will lose its connection next
            return


def _show_defect(work: Future[None]) -> None:
    """A defect of the sandbox itself, which would else only show as a challenge that is judged never."""
    if not work.cancelled() and (defect := work.exception()):
        logging.getLogger(__name__).error("the sandbox has a defect", exc_info=defect)
