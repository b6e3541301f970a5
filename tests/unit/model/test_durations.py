"""Lengths of time, as people write them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from acmectl.model.durations import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("90s", timedelta(seconds=90)),
        ("1d12h", timedelta(hours=36)),
        ("1.5m", timedelta(seconds=90)),
        ("0s", timedelta()),
    ],
)
def test_a_duration_is_read_and_its_shortest_text_means_the_same(text: str, duration: timedelta) -> None:
    assert parse_duration(text) == duration
    assert parse_duration(format_duration(duration)) == duration


@pytest.mark.parametrize(("text", "reason"), [("90", "not a duration"), ("-1s", "not a duration"), ("6000w", "longer")])
def test_what_is_no_duration_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_duration(text)


def test_the_shortest_text_uses_the_largest_units() -> None:
    assert format_duration(timedelta(hours=36, seconds=5)) == "1d12h5s"
    assert format_duration(timedelta()) == "0s"
