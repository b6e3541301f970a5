"""When waiting is fine, and when somebody should be woken."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from acmectl.model.certificates import Installed
from acmectl.model.memory import Failure, RememberedAuthorization
from acmectl.model.names import Identifier
from acmectl.model.orders import AuthorizationStatus
from acmectl.policy import health, refresh
from acmectl.policy.health import ExitStatus
from acmectl.policy.lifetimes import Schedule
from acmectl.policy.refresh import Plan, Wanted

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def running_out(*, left: timedelta | None = None, waiting: timedelta | None = None) -> bool:
    start = NOW - timedelta(days=100) + (left or timedelta())
    have = (
        None
        if left is None
        else Installed("m", 1, frozenset(), None, "0", "f", "CA", start, start + timedelta(days=100))
    )
    since = None if waiting is None else NOW - waiting
    return health.is_running_out(have, since, now=NOW, alarm_at=0.15, no_certificate_alarm=timedelta(days=1))


def test_an_installed_certificate_runs_out_below_its_fraction() -> None:
    assert not running_out(left=timedelta(days=15))
    assert running_out(left=timedelta(days=14, hours=23))


def test_a_first_certificate_may_wait_for_a_day() -> None:
    assert not running_out(waiting=timedelta(hours=23))
    assert running_out(waiting=timedelta(hours=24))
    assert not running_out()


@pytest.mark.parametrize(
    ("failed", "late", "status"), [(False, False, 0), (True, False, 1), (False, True, 4), (True, True, 4)]
)
def test_the_exit_status_tells_the_worst(*, failed: bool, late: bool, status: int) -> None:
    assert health.exit_status(failed=failed, running_out=late) == status


def test_a_run_that_did_several_things_tells_the_worst_of_them() -> None:
    assert health.worst([ExitStatus.AS_WANTED, ExitStatus.RUNNING_OUT, ExitStatus.FAILED]) is ExitStatus.RUNNING_OUT
    assert health.worst([]) is ExitStatus.AS_WANTED


NAME = Identifier("a.test")
WANTED = Wanted(NAME, "default", None, "dns")


def plan(
    left: timedelta | None,
    status: AuthorizationStatus = AuthorizationStatus.VALID,
    blocked: dict[str, Failure] | None = None,
) -> Plan:
    known = RememberedAuthorization(
        "default",
        None,
        NAME,
        "u",
        status,
        None if left is None else NOW + left,
        None,
        None,
        None,
        NOW,
    )
    schedule = Schedule(timedelta(hours=1))
    return refresh.plan([WANTED], [known], {}, now=NOW, knowledge={}, schedule=schedule, blocked=blocked)


def test_an_authorization_that_was_lost_is_none_whatever_its_end() -> None:
    assert health.of_names(plan(timedelta(days=3), AuthorizationStatus.DEACTIVATED), {}, NOW) is ExitStatus.FAILED


def test_a_name_that_waits_for_its_refused_account_needs_somebody_though_it_is_authorized() -> None:
    refused = {"default": Failure("account", "default", 1, NOW, NOW, NOW + timedelta(hours=1), "no")}
    waits = plan(timedelta(minutes=5), blocked=refused)
    assert health.is_authorized(waits.decisions[0], NOW)
    assert health.of_names(waits, {}, NOW) is ExitStatus.FAILED
    assert health.of_names(plan(timedelta(days=300), blocked=refused), {}, NOW) is ExitStatus.AS_WANTED


def test_a_masters_names_are_healthy_while_they_are_authorized_and_nothing_failed() -> None:
    failure = Failure("name", WANTED.failure_key, 1, NOW, NOW, NOW, "no")
    assert health.of_names(plan(timedelta(days=3)), {}, NOW) is ExitStatus.AS_WANTED
    assert health.of_names(plan(timedelta(0)), {}, NOW) is ExitStatus.FAILED
    assert health.of_names(plan(None), {}, NOW) is ExitStatus.FAILED
    assert health.of_names(plan(timedelta(days=3)), {WANTED.failure_key: failure}, NOW) is ExitStatus.FAILED
    assert (
        health.of_names(
            refresh.plan([WANTED], [], {}, now=NOW, knowledge={}, schedule=Schedule(timedelta(hours=1))), {}, NOW
        )
        is ExitStatus.FAILED
    )


def test_a_certificate_is_healthy_when_it_is_valid_deployed_and_nothing_failed() -> None:
    have = Installed("m", 1, frozenset(), None, "0", "f", "CA", NOW, NOW + timedelta(days=90))
    failure = Failure("certificate", "m", 1, NOW, NOW, NOW, "no")

    def status(
        installed: Installed | None = have,
        failed: Failure | None = None,
        behind: tuple[str, ...] = (),
        *,
        waiting: bool = False,
        running_out: bool = False,
        now: datetime = NOW,
        damaged: bool = False,
    ) -> ExitStatus:
        asked = {"waiting": waiting, "running_out": running_out, "damaged": damaged}
        return health.of_certificate(installed, failed, behind, now=now, **asked)

    assert status() is ExitStatus.AS_WANTED
    assert status(None) is ExitStatus.FAILED
    assert status(None, waiting=True) is ExitStatus.AS_WANTED
    assert status(None, waiting=True, running_out=True) is ExitStatus.RUNNING_OUT
    assert status(failed=failure) is ExitStatus.FAILED
    assert status(behind=("files[0]",)) is ExitStatus.FAILED
    assert status(damaged=True) is ExitStatus.FAILED
    assert status(now=NOW + timedelta(days=90)) is ExitStatus.FAILED
    assert status(now=NOW - timedelta(seconds=1)) is ExitStatus.FAILED
    assert status(running_out=True) is ExitStatus.RUNNING_OUT
