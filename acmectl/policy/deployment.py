"""Whether a target holds the certificate in use, and when to try again what failed.

Nothing of this asks a CA, and a service that was being restarted, or a configuration that was being edited, is mostly fine soon: the
first failures are tried again by the very next run, and no pause is longer than an hour.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from acmectl.model.memory import Deployment, DeployStep

AT_ONCE = 3
"""So many failures in a row are tried again by the very next run."""

LONGEST = timedelta(hours=1)


def pause_after(failures: int) -> timedelta:
    """How long to leave a target alone after so many failures in a row (1 or more): no time at all, then 1, 2, 4 ... 60 minutes."""
    if failures <= AT_ONCE:
        return timedelta()
    return min(timedelta(minutes=2 ** min(failures - AT_ONCE - 1, 10)), LONGEST)


def is_deployed(last: Deployment | None, *, digest: str, fingerprint: str, stamp: str) -> bool:
    """Whether all is done that these options ask for, and nobody touched a copy since (`stamp` is that of the target now)."""
    return (
        last is not None
        and last.error is None
        and (last.digest, last.fingerprint, last.copies) == (digest, fingerprint, stamp)
    )


def may_try(last: Deployment | None, *, digest: str, fingerprint: str, now: datetime) -> bool:
    """Whether nothing is known to be wrong with just this, or its pause is over."""
    if last is None or (last.digest, last.fingerprint) != (digest, fingerprint):
        return True
    return last.retry_at is None or last.retry_at <= now


def needs_only_a_look(last: Deployment | None, *, digest: str, fingerprint: str, stamp: str) -> bool:
    """Whether all was done but the service did not show it yet: it may have taken its time, and is not disturbed again before a look."""
    return (
        last is not None
        and last.failed_step is DeployStep.VERIFY
        and (last.digest, last.fingerprint, last.copies) == (digest, fingerprint, stamp)
    )


def deployed(wanted: Deployment, now: datetime) -> Deployment:
    """What to remember once all steps of `wanted`, whose moments are set, succeeded."""
    return replace(wanted, deployed_at=now)


def failed(
    wanted: Deployment, last: Deployment | None, *, step: DeployStep, error: str, hint: str | None, now: datetime
) -> Deployment:
    """What to remember after one more failure; another certificate, or other options, begin to count anew."""
    again = last if last and last.error and (last.digest, last.fingerprint) == _subject(wanted) else None
    attempts = (again.attempts if again else 0) + 1
    return replace(
        wanted,
        deployed_at=last.deployed_at if last else None,
        attempts=attempts,
        failing_since=again.failing_since if again else now,
        retry_at=now + pause_after(attempts),
        failed_step=step,
        error=error,
        hint=hint,
    )


def _subject(deployment: Deployment) -> tuple[str, str]:
    return deployment.digest, deployment.fingerprint
