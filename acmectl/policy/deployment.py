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

RELOADED_AGAIN = timedelta(days=1)
"""So long after its last reload a service is reloaded again that was reloaded three times and is not seen to have the certificate, or rewrote its files."""


def pause_after(failures: int, step: DeployStep | None = None) -> timedelta:
    """How long to leave a target alone after so many failures in a row (1 or more): no time at all, then 1, 2, 4 ... 60 minutes.

    A reload that works and rewrites the files does so again: after three there is one a day.
    """
    if step is DeployStep.KEEP and failures >= AT_ONCE:
        return RELOADED_AGAIN
    if failures <= AT_ONCE:
        return timedelta()
    return min(timedelta(minutes=2 ** min(failures - AT_ONCE - 1, 10)), LONGEST)


def is_deployed(last: Deployment | None, *, digest: str, fingerprint: str, stamp: str, verify: str = "") -> bool:
    """Whether all is done that these options ask for, and nobody changed a copy since (`stamp` is that of the target now)."""
    return (
        last is not None
        and last.error is None
        and (last.digest, last.fingerprint, last.copies, last.verify_digest) == (digest, fingerprint, stamp, verify)
    )


def was_changed(last: Deployment | None, *, digest: str, fingerprint: str, stamp: str) -> bool:
    """Whether all was done, and then somebody changed or removed a copy."""
    return (
        last is not None
        and last.error is None
        and (last.digest, last.fingerprint) == (digest, fingerprint)
        and last.copies != stamp
    )


def may_try(last: Deployment | None, *, digest: str, fingerprint: str, now: datetime, verify: str = "") -> bool:
    """Whether nothing is known to be wrong with just this, or its pause is over.

    A pause that is longer than any can be was begun by a clock that was ahead.
    """
    if last is None or (last.digest, last.fingerprint, last.verify_digest) != (digest, fingerprint, verify):
        return True
    longest = RELOADED_AGAIN if last.failed_step is DeployStep.KEEP else LONGEST
    return last.retry_at is None or not now < last.retry_at <= now + longest


def needs_only_a_look(last: Deployment | None, *, digest: str, fingerprint: str, stamp: str, verify: str = "") -> bool:
    """Whether all was done but the service did not show it yet, or was not looked at like this: it is not disturbed again before a look."""
    return (
        last is not None
        and (last.digest, last.fingerprint, last.copies) == (digest, fingerprint, stamp)
        and (last.failed_step is DeployStep.VERIFY or (last.error is None and last.verify_digest != verify))
    )


def may_reload(last: Deployment | None, *, now: datetime) -> bool:
    """Whether the service of what needs only a look, and was not seen, may be reloaded once more: what did not help three times hardly will."""
    if last is None or last.attempts < AT_ONCE or last.reloaded_at is None:
        return True
    return not timedelta() <= now - last.reloaded_at < RELOADED_AGAIN


def deployed(wanted: Deployment, now: datetime, *, changed: Deployment | None = None) -> Deployment:
    """What to remember once all steps of `wanted`, whose moments are set, succeeded; `changed` is what was remembered of copies that somebody changed.

    Who does so again and again is not answered each time: the pauses are those of failures.
    """
    if changed is None:
        return replace(wanted, deployed_at=now)
    held = changed.deployed_at is None or now - changed.deployed_at >= RELOADED_AGAIN
    changes = 1 if held else changed.changes + 1
    pause = pause_after(changes)
    return replace(wanted, deployed_at=now, changes=changes, retry_at=now + pause if pause else None)


def seen(wanted: Deployment, last: Deployment | None, now: datetime) -> Deployment:
    """What to remember of what needed only a look, and was seen: where all had been done before, nothing was deployed now."""
    if last is None or last.error is not None:
        return deployed(wanted, now)
    return replace(wanted, deployed_at=last.deployed_at)


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
        retry_at=now + pause_after(attempts, step),
        failed_step=step,
        error=error,
        hint=hint,
    )


def without_failure(deployment: Deployment) -> Deployment:
    """The same where nobody waits for what failed any more."""
    return replace(deployment, attempts=0, failing_since=None, retry_at=None, failed_step=None, error=None, hint=None)


def _subject(deployment: Deployment) -> tuple[str, str]:
    return deployment.digest, deployment.fingerprint
