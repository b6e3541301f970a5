"""What becomes of followers to whom something happens, with the figures that `make stories` prints of it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from tests.stories import follower_stories as stories
from tests.stories.world import DAY, HOUR, MINUTE


@pytest.mark.parametrize("count", [5, 100])
def test_a_certificate_over_valid_names_takes_seven_requests_at_most_however_many_names(
    tmp_path: Path, count: int
) -> None:
    played = stories.names_are_valid(tmp_path, count)
    assert played.certificates == 1
    assert sum(played.requests.values()) <= 7


@pytest.mark.parametrize("same", [True, False], ids=["the master's set", "another set"])
@pytest.mark.parametrize(
    ("down", "interval", "late"),
    [
        (timedelta(), HOUR, HOUR),
        (8 * DAY, HOUR, 2 * HOUR),
        # One release a day, and the last may have been a moment before the names were authorized
        (8 * DAY, DAY, 2 * DAY),
    ],
)
def test_an_early_follower_gets_one_certificate_within_two_runs_after_its_names_are_authorized(
    tmp_path: Path, down: timedelta, interval: timedelta, late: timedelta, *, same: bool
) -> None:
    played = stories.early(tmp_path, same=same, down=down, interval=interval)
    assert played.certificates == 1
    assert played.late is not None
    assert timedelta() < played.late <= late
    assert played.requests["finalize"] == 1
    assert "challenge" not in played.requests
    assert played.requests["deactivate"] <= 3


def test_under_another_profile_it_waits_and_says_so_until_that_is_corrected(tmp_path: Path) -> None:
    played = stories.under_another_profile(tmp_path)
    assert played.said == ("another profile",)
    assert played.certificates == 1
    assert played.late is not None
    assert played.late <= HOUR
    assert "challenge" not in played.requests


def test_refused_for_two_days_it_asks_a_handful_of_times_and_issues_within_a_day_after(tmp_path: Path) -> None:
    for number, story in enumerate((stories.a_name_is_refused, stories.caa_forbids)):
        played = story(tmp_path / str(number))
        assert played.certificates == 1
        assert played.late is not None
        assert played.late <= DAY + MINUTE
        assert played.requests["newOrder"] <= 7, "after 1, 10 and 100 minutes, then daily"
        assert any(stories.NAMES[0] in said for said in played.said)


def test_without_its_account_it_asks_for_little_and_says_what_to_do(tmp_path: Path) -> None:
    for number, story in enumerate((stories.the_account_is_deactivated, stories.the_key_is_rolled_over)):
        played = story(tmp_path / str(number))
        assert played.certificates == 0
        assert played.requests["newOrder"] <= 10
        assert any("acmectl account" in said for said in played.said)


@pytest.mark.parametrize("spoiled", [0, 68, 100])
def test_two_hosts_that_finalize_one_order_at_once_get_one_certificate_each_and_order_no_more_than_needed(
    tmp_path: Path, spoiled: int
) -> None:
    """Fifty times as often as Boulder spoils orders, and some at each extreme."""
    played = stories.races(tmp_path, stories.RACES if spoiled == 68 else 5, race_invalid_percent=spoiled)
    for race in played:
        assert race.kept == 2, "each host has an order of its own that was issued"
        assert race.lonely == 0, "no order was made for nothing"
        assert race.certificates <= 2 + race.lost
        for asked in race.requests:
            assert asked["newOrder"] == asked["finalize"], "each order was asked for because the one before was lost"
            assert "challenge" not in asked
            assert spoiled or asked["directory"] == 1, (
                "whose order holds the other's certificate orders anew in the same run"
            )
    assert sum(sum(asked["finalize"] for asked in race.requests) > 2 for race in played) == len(played), "they met"
