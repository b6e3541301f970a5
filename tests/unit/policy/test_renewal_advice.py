"""The CA's advice when to renew: one moment for all runs, and questions about twice a day."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acmectl.model.certificates import Installed, KeyType
from acmectl.model.names import Identifier
from acmectl.model.renewals import RenewalInfo
from acmectl.policy import renewal_advice

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
HAVE = Installed(
    "mail",
    1,
    frozenset({Identifier("a.test")}),
    KeyType.ECDSA_P256,
    "0a",
    "ff",
    "CA",
    NOW,
    NOW + timedelta(days=90),
)
DAY = timedelta(days=1)
INFO = RenewalInfo("mail", "ff", "id", NOW, NOW + DAY / 2, NOW + 58 * DAY, NOW + 60 * DAY)


@given(st.integers(min_value=1, max_value=2**159))
def test_the_moment_lies_in_the_window_and_depends_on_the_serial_alone(serial: int) -> None:
    have = replace(HAVE, serial=f"{serial:x}")
    moment = renewal_advice.moment_in(INFO, have)
    assert moment is not None
    assert INFO.start_at is not None
    assert INFO.end_at is not None
    assert INFO.start_at <= moment < INFO.end_at
    assert renewal_advice.moment_in(INFO, replace(have, generation=7, label="other")) == moment


def test_different_serials_spread_over_the_window() -> None:
    moments = {renewal_advice.moment_in(INFO, replace(HAVE, serial=f"{serial:x}")) for serial in range(100)}
    assert len(moments) == 100


def test_a_window_that_moves_takes_the_moment_along() -> None:
    before = renewal_advice.moment_in(INFO, HAVE)
    assert INFO.start_at is not None
    assert INFO.end_at is not None
    moved = replace(INFO, start_at=INFO.start_at - 40 * DAY, end_at=INFO.end_at - 40 * DAY)
    assert before is not None
    assert renewal_advice.moment_in(moved, HAVE) == before - 40 * DAY


@pytest.mark.parametrize(
    "info", [replace(INFO, fingerprint="ee"), replace(INFO, start_at=None), replace(INFO, end_at=None)]
)
def test_advice_for_another_certificate_or_without_a_window_is_none(info: RenewalInfo) -> None:
    assert renewal_advice.moment_in(info, HAVE) is None


@pytest.mark.parametrize(
    ("asked", "pause"),
    [
        (None, timedelta(hours=11)),
        (timedelta(0), timedelta(hours=11)),
        (timedelta(hours=6), timedelta(hours=11)),
        (timedelta(hours=18), timedelta(hours=18)),
        (timedelta(days=30), DAY),
    ],
)
def test_the_ca_is_asked_about_twice_a_day_whatever_it_asks_for(asked: timedelta | None, pause: timedelta) -> None:
    assert renewal_advice.next_question_at(NOW, asked) == NOW + pause
    assert renewal_advice.next_try_at(NOW, asked, unreachable=False) == NOW + pause


@pytest.mark.parametrize(
    ("asked", "pause"),
    [(None, timedelta(hours=1)), (timedelta(hours=2), timedelta(hours=2)), (timedelta(days=30), DAY)],
)
def test_after_an_outage_the_ca_is_asked_again_soon(asked: timedelta | None, pause: timedelta) -> None:
    assert renewal_advice.next_try_at(NOW, asked, unreachable=True) == NOW + pause


def test_advice_is_stale_when_it_is_none_old_for_another_certificate_or_from_a_future_that_was_none() -> None:
    assert renewal_advice.is_fresh(INFO, HAVE, NOW)
    assert not renewal_advice.is_fresh(None, HAVE, NOW)
    assert not renewal_advice.is_fresh(INFO, HAVE, INFO.ask_again_at)
    assert not renewal_advice.is_fresh(INFO, replace(HAVE, fingerprint="ee"), NOW)
    assert not renewal_advice.is_fresh(INFO, HAVE, NOW - 300 * DAY)
