"""Remembered failures -> when to try again: after 1, 10 and 100 minutes, then daily, as Let's Encrypt asks of clients.

"Daily" is 23 hours, so that a cron job that runs each day, some seconds earlier or later, is never just too early.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from acmectl.model.memory import Failure

PAUSES = (timedelta(minutes=1), timedelta(minutes=10), timedelta(minutes=100), timedelta(hours=23))
LONGEST_IN_OUTAGE = timedelta(minutes=10)
LONGEST_STANDING = timedelta(minutes=100)  # between two tries to replace what is still good
LONGEST_ASKED = timedelta(days=7)
"""No limit that a CA publishes lasts longer than a week; a Retry-After beyond that is a mistake, and must not end the renewals of a year."""


def pause_after(count: int) -> timedelta:
    """How long to leave a subject alone after `count` failures in a row (1 or more)."""
    return PAUSES[min(count, len(PAUSES)) - 1]


def failed(
    previous: Failure | None,
    *,
    kind: str,
    key: str,
    reason: str,
    now: datetime,
    retry_after: timedelta | None = None,
    paused: bool = False,
    local: bool = False,
    standing: bool = False,
) -> Failure:
    """The failure to remember after one more; a Retry-After of the CA says it all, neither earlier nor later.

    `paused` says that a person must act first (429 without Retry-After, CA-side pause): there is no next attempt. `local`
    says that the CA had no part in it (a name server that is down): the next run tries again, since trying asks nothing of the CA.
    `standing` says that what was to be replaced is still good: the pause grows with the time, to `LONGEST_STANDING`. Neither of the
    two, and no refusal with a Retry-After, counts for the pause of a failure that comes after it: when a name is lost, it is
    tried again as soon as one that never failed.
    """
    steps = previous.steps if previous else 0
    began = previous.first_at if previous else now
    if local:
        pause = timedelta()
    elif retry_after is not None:
        pause = asked(retry_after)
    elif standing:
        pause = min(max(now - began, PAUSES[0]), LONGEST_STANDING)
    else:
        steps += 1
        pause = pause_after(steps)
    return Failure(
        kind=kind,
        key=key,
        count=previous.count + 1 if previous else 1,
        first_at=began,
        last_at=now,
        retry_at=None if paused else now + pause,
        reason=reason,
        asked_until=None if retry_after is None or paused or local else now + pause,
        steps=steps,
    )


def outage(
    previous: Failure | None,
    *,
    kind: str,
    key: str,
    reason: str,
    now: datetime,
    retry_after: timedelta | None = None,
) -> Failure:
    """The failure to remember when the CA was not reached: it counts as one, however often, and soon is tried again.

    Nothing was asked of the CA, so nothing has to be spared: the pause grows with the outage, from one to ten minutes. A
    Retry-After is obeyed.
    """
    began = previous.first_at if previous else now
    pause = min(max(now - began, PAUSES[0]), LONGEST_IN_OUTAGE)
    return Failure(
        kind=kind,
        key=key,
        count=previous.count if previous else 1,
        first_at=began,
        last_at=now,
        retry_at=now + (pause if retry_after is None else max(pause, asked(retry_after))),
        reason=reason,
        steps=previous.steps if previous else 0,
    )


def blocked(
    previous: Failure | None,
    *,
    account: str,
    reason: str,
    now: datetime,
    retry_after: timedelta | None,
    limited: bool = False,
) -> Failure:
    """The failure to remember of a whole account: never without a next attempt, which nobody would think of making.

    A Retry-After says it all: neither earlier nor later. Without one a limit (429) is left alone for a day, and a refusal for a
    growing time.
    """
    count = previous.count + 1 if previous else 1
    asked_until = None if retry_after is None else now + asked(retry_after)
    return Failure(
        kind="account",
        key=account,
        count=count,
        first_at=previous.first_at if previous else now,
        last_at=now,
        retry_at=asked_until or now + (PAUSES[-1] if limited else pause_after(count)),
        reason=reason,
        asked_until=asked_until,
    )


def asked(retry_after: timedelta) -> timedelta:
    """How long a Retry-After is obeyed: `0` is a minute, since runs may come every second, and more than a week is a week."""
    return min(retry_after or PAUSES[0], LONGEST_ASKED)


def may_try(failure: Failure | None, now: datetime) -> bool:
    """Whether the next attempt is allowed at `now`."""
    return failure is None or (failure.retry_at is not None and failure.retry_at <= now)
