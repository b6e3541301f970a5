"""Remembered failures -> when to try again: after 1, 10 and 100 minutes, then daily, as Let's Encrypt asks of clients.

"Daily" is 23 hours, so that a cron job that runs each day, some seconds earlier or later, is never just too early.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from acmectl.model.memory import Failure

PAUSES = (timedelta(minutes=1), timedelta(minutes=10), timedelta(minutes=100), timedelta(hours=23))
LONGEST_IN_OUTAGE = timedelta(minutes=10)


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
) -> Failure:
    """The failure to remember after one more; a Retry-After of the CA is obeyed where it is later.

    `paused` says that a person must act first (429 without Retry-After, CA-side pause): there is no next attempt. `local`
    says that the CA had no part in it (a name server that is down): the next run tries again, since trying asks nothing of the CA.
    """
    count = previous.count + 1 if previous else 1
    pause = timedelta() if local else max(pause_after(count), retry_after or timedelta())
    return Failure(
        kind=kind,
        key=key,
        count=count,
        first_at=previous.first_at if previous else now,
        last_at=now,
        retry_at=None if paused else now + pause,
        reason=reason,
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
        retry_at=now + max(pause, retry_after or timedelta()),
        reason=reason,
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
    asked_until = now + retry_after if retry_after else None
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


def may_try(failure: Failure | None, now: datetime) -> bool:
    """Whether the next attempt is allowed at `now`."""
    return failure is None or (failure.retry_at is not None and failure.retry_at <= now)
