"""Authorizations that are to be replaced while they are still good, and why one was left as it is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from acmectl.errors import AcmectlError
from acmectl.master.ordering import Unordered
from acmectl.model.memory import RememberedAuthorization
from acmectl.policy import replacing
from acmectl.policy.refresh import Wanted
from acmectl.policy.replacing import Stake, Zone


class NotRefreshed(AcmectlError):
    """An authorization was left as it is, still usable; `local` where the CA was not even tried, `cause` what it said."""

    def __init__(
        self, message: str, *, hint: str | None = None, local: bool = False, cause: AcmectlError | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.local = local
        self.cause = cause


class Spared(NotRefreshed):
    """Left as it is for a reason that is not its own: nothing to hold against the name. `retry_at` as of `Unordered`."""

    def __init__(self, message: str, *, hint: str | None = None, retry_at: datetime | None = None) -> None:
        super().__init__(f"not refreshed: {message}", hint=hint, local=True)
        self.retry_at = retry_at


@dataclass(frozen=True, slots=True)
class Stale:
    """A name whose valid authorization is to be replaced, and what a failure would cost."""

    wanted: Wanted
    authorization: RememberedAuthorization
    stake: Stake

    @property
    def zone(self) -> Zone:
        """Whose canary speaks for it."""
        return replacing.zone(self.wanted)


def unprovable(error: AcmectlError) -> NotRefreshed:
    """That the solver cannot prove a name now, so that nothing of it is given up."""
    return NotRefreshed(f"not refreshed: {error.message}", hint=error.hint, local=True)


def spared(reason: Unordered | Spared) -> Spared:
    """That nothing of a name is given up, since the CA takes no orders."""
    if isinstance(reason, Spared):
        return reason
    return Spared(reason.message, hint=reason.hint, retry_at=reason.retry_at)


def kept(error: AcmectlError) -> NotRefreshed:
    """That the CA left an authorization in place which it was asked to deactivate."""
    return NotRefreshed(
        f"not refreshed: the old authorization could not be deactivated: {error.message}", hint=error.hint, cause=error
    )
