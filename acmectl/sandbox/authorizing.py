"""Authorizations: answered, judged, deactivated (RFC 8555 sections 7.5 and 8), with Boulder's rules and words."""

from __future__ import annotations

from acmectl.errors import Problem
from acmectl.model.orders import AuthorizationStatus, ChallengeStatus
from acmectl.sandbox.objects import Account, Authorization, Challenge
from acmectl.sandbox.problems import not_found, refuse, unauthorized
from acmectl.sandbox.state import State

_OPEN = frozenset({AuthorizationStatus.PENDING, AuthorizationStatus.VALID})


class Authorizing:
    """What happens to authorizations after their order was made."""

    def __init__(self, state: State) -> None:
        self._state = state

    def find(self, account: Account, number: int) -> Authorization:
        """An authorization of `account`; 404 for an unknown or expired one, 403 for another account's."""
        with self._state.lock:
            found = self._state.store.authorizations.get(number)
            if found is None:
                raise not_found("No such authorization")
            if found.account_id != account.id:
                raise unauthorized("User account ID doesn't match account ID in authorization")
            if self._state.rules.hides_expired and found.expires_at <= self._state.clock.now():
                raise not_found("Expired authorization")
            return found

    def find_challenge(self, account: Account, number: int, kind: str) -> tuple[Authorization, Challenge]:
        """One challenge of an authorization, by its type."""
        with self._state.lock:
            authorization = self.find(account, number)
            for challenge in authorization.challenges:
                if challenge.type == kind:
                    return authorization, challenge
            raise not_found("No such challenge")

    def deactivate(self, account: Account, number: int) -> Authorization:
        """Deactivate (RFC 8555 section 7.5.2). A pending one counts as a failed validation; a valid one is free."""
        with self._state.lock:
            found, now = self.find(account, number), self._state.clock.now()
            if found.status is AuthorizationStatus.DEACTIVATED:
                return found
            if found.status not in _OPEN:
                raise refuse("malformed", f"Authorization is {found.status}, and cannot be deactivated")
            if found.status is AuthorizationStatus.PENDING:
                self._state.limits.failed(account.id, found.identifier, now)
            found.deactivated_from, found.deactivated_at = found.status, now
            found.status = AuthorizationStatus.DEACTIVATED
            return found

    def begin(self, account: Account, number: int, kind: str) -> tuple[Authorization, Challenge, bool]:
        """Take the answer to a challenge; the last value says whether a validation must be started.

        A valid authorization answers as it is. Raises 400 for one that is neither pending nor valid.
        """
        with self._state.lock:
            found, challenge = self.find_challenge(account, number, kind)
            status = self._state.authorization_status(found, self._state.clock.now())
            if status is AuthorizationStatus.VALID:
                return found, challenge, False
            if status is not AuthorizationStatus.PENDING:
                raise refuse("malformed", "Unable to update challenge :: authorization must be pending")
            starts = challenge.status is ChallengeStatus.PENDING
            challenge.status = ChallengeStatus.PROCESSING
            return found, challenge, starts

    def settle(self, authorization: Authorization, challenge: Challenge, problem: Problem | None) -> None:
        """Take the outcome of a validation. What was deactivated or expired meanwhile stays as it is.

        The siblings in the order are not touched: they can still be proven, and are reused then.
        """
        with self._state.lock:
            now = self._state.clock.now()
            if self._state.authorization_status(authorization, now) is not AuthorizationStatus.PENDING:
                challenge.status = ChallengeStatus.PENDING
                return
            authorization.challenges = [challenge]  # Boulder shows only the one that decided
            if problem is None:
                self._validate(authorization, challenge)
                return
            challenge.status, challenge.error = ChallengeStatus.INVALID, problem
            authorization.status = AuthorizationStatus.INVALID
            self._state.limits.failed(authorization.account_id, authorization.identifier, now)

    def _validate(self, authorization: Authorization, challenge: Challenge) -> None:
        now = self._state.clock.now()
        rules = self._state.rules.profile(authorization.profile, now)
        challenge.status, challenge.validated_at = ChallengeStatus.VALID, now.replace(microsecond=0)
        authorization.status = AuthorizationStatus.VALID
        authorization.expires_at = (now + rules.reuse).replace(microsecond=0)
        self._state.store.validated(authorization)
