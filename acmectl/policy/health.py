"""State -> findings and exit status: when waiting is fine, and when somebody should be woken."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import IntEnum

from acmectl.model.certificates import Installed
from acmectl.model.memory import Failure
from acmectl.model.orders import AuthorizationStatus
from acmectl.policy.refresh import Action, Decision, Plan


class ExitStatus(IntEnum):
    """What a run tells the shell; cron and monitoring build on it."""

    AS_WANTED = 0
    FAILED = 1
    USAGE = 2
    LOCKED = 3
    RUNNING_OUT = 4


def is_running_out(
    installed: Installed | None,
    waiting_since: datetime | None,
    *,
    now: datetime,
    alarm_at: float,
    no_certificate_alarm: timedelta,
) -> bool:
    """Whether a certificate that waits for the master has waited too long.

    With one installed: less than the fraction `alarm_at` of its lifetime is left. Without: it waits for
    `no_certificate_alarm` or longer.
    """
    if installed is not None:
        return installed.not_after - now < alarm_at * installed.lifetime
    return waiting_since is not None and now - waiting_since >= no_certificate_alarm


def exit_status(*, failed: bool, running_out: bool) -> ExitStatus:
    """The worst of what happened: a certificate that runs out counts more than a failure that will be tried again."""
    if running_out:
        return ExitStatus.RUNNING_OUT
    return ExitStatus.FAILED if failed else ExitStatus.AS_WANTED


def worst(statuses: Iterable[ExitStatus]) -> ExitStatus:
    """The exit status of a run that did several things."""
    return max(statuses, default=ExitStatus.AS_WANTED)


def is_authorized(decision: Decision, now: datetime) -> bool:
    """Whether a follower can still use the authorization that is remembered of a name."""
    known = decision.authorization
    if known is None or known.status is not AuthorizationStatus.VALID:
        return False
    return known.expires_at is not None and known.expires_at > now


def of_names(plan: Plan, failures: Mapping[str, Failure], now: datetime) -> ExitStatus:
    """A master's health: every name is authorized, and neither it nor its account failed when last tried."""
    fine = all(
        is_authorized(d, now) and d.action is not Action.WAIT and d.wanted.failure_key not in failures
        for d in plan.decisions
    )
    return ExitStatus.AS_WANTED if fine else ExitStatus.FAILED


def of_certificate(
    installed: Installed | None,
    failure: Failure | None,
    behind: Sequence[str],
    *,
    waiting: bool,
    running_out: bool,
    now: datetime,
    damaged: bool = False,
) -> ExitStatus:
    """A certificate's health: valid, deployed everywhere, its last attempt did not fail, and nothing that is kept of it is `damaged`.

    One that was never issued and is `waiting` for the master is as it should be, until its time runs out.
    """
    fine = installed.not_before <= now < installed.not_after if installed else waiting
    failed = not fine or damaged or failure is not None or bool(behind)
    return exit_status(failed=failed, running_out=running_out)
