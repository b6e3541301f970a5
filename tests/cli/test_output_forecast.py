"""What `forecast` says, whole, and the warnings of `check` and `status`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.hosts import WEB, Host

LETS_ENCRYPT = "authority: letsencrypt\nprofile: {profile}\ncontact: [admin@acme.test]\nstate_directory: state\n"
NAMES = "[a.acme.test, b.acme.test, c.acme.test]"


def at_lets_encrypt(path: Path, *, profile: str = "classic", **keys: str) -> Host:
    """A master of Let's Encrypt that nobody asks; `keys` are of its `master:`."""
    more = "".join(f"  {key}: {value}\n" for key, value in keys.items())
    names = f"  authorize:\n    - {{names: {NAMES}, solver: web}}\n"
    text = LETS_ENCRYPT.format(profile=profile) + WEB + f"master:\n{more}" + names
    host = Host(path / "master", text)
    (host.directory / "www").mkdir()
    return host


@pytest.fixture
def daily(tmp_path: Path) -> Host:
    return at_lets_encrypt(tmp_path)


def test_a_schedule_that_holds(daily: Host) -> None:
    assert (
        daily.block(daily.acmectl("forecast", "--ca", "classic-2028", "--every", "3h", "--days", "30"))
        == """\
3 names, a run every 3h, `refresh: early`, 30 days from TIME
rules: `classic-2028` for the whole time, starting from nothing

a.acme.test and 2 others  open 99.44 % of the time  longest gap 1 minute, from TIME; 239 gaps

followers can issue 99.44 % of the time; the longest gap is 1 minute
each day: 31.9 newOrders, 24.0 validations, 184 requests
at most 4 newOrders in three hours, of 300 that an account may send
this schedule holds: no gap is longer than a validation takes
-> 0
"""
    )
    assert not daily.state.exists()


def test_a_schedule_that_does_not_hold_and_the_one_that_would(daily: Host) -> None:
    assert (
        daily.block(daily.acmectl("forecast", "--ca", "tlsserver", "--days", "10"))
        == """\
3 names, a run every 1d, `refresh: early`, 10 days from TIME
rules: `tlsserver` for the whole time, starting from nothing

a.acme.test and 2 others  open 25.00 % of the time  longest gap 18 hours, from TIME; 10 gaps

followers can issue 25.00 % of the time; the longest gap is 18 hours
each day: 1.00 newOrders, 3.00 validations, 13.0 requests
at most 1 newOrder in three hours, of 300 that an account may send
this schedule does not hold
! warning: runs every 1d leave names unauthorized for 18 hours of every day
! hint: `every: 3h` would hold, with cron to match
-> 1
"""
    )


def test_lapse_is_told_from_early(daily: Host) -> None:
    ran = daily.acmectl("forecast", "--ca", "classic", "--refresh", "lapse", "--days", "90")
    assert ran.status == 1
    assert "`refresh: early` with `every: 1d` would hold" in ran.err


def test_the_default_at_lets_encrypt_is_its_calendar(daily: Host) -> None:
    assert "rules: what Let's Encrypt has announced, by its dates" in daily.good("forecast", "--days", "2").out


def test_a_timeline_on_a_terminal_is_understood_without_colour(daily: Host) -> None:
    ran = daily.on_terminal("--no-color", "forecast", "--ca", "classic-2028", "--days", "5")
    row = next(line for line in ran.out.splitlines() if "█" in line)
    assert row.count("█") >= 10
    assert row.count("·") >= 40
    assert "█ open, ▄ shut for a part of it, · shut for most of it" in ran.out


def test_what_was_never_observed_is_not_made_up(daily: Host) -> None:
    assert (
        daily.block(daily.acmectl("forecast", "--ca", "observed"))
        == """\
! error: no lifetime of an authorization has been seen yet at this CA
! hint: do a first `acmectl master run`, or choose rules: `acmectl forecast --ca classic`
-> 2
"""
    )


def test_what_was_observed_is_played_from_where_it_stands(master: Host) -> None:
    master.good("master", "run")
    out = master.good("forecast", "--days", "20").out
    assert "rules: as observed at the CA" in out
    assert "open 100 % of the time  no gap" in out


def test_a_profile_without_announcements_needs_other_rules(tmp_path: Path) -> None:
    host = at_lets_encrypt(tmp_path, profile="odd")
    ran = host.acmectl("forecast")
    assert (ran.status, "nothing for a profile `odd`" in ran.err) == (2, True)


def test_a_follower_has_nothing_to_forecast(new_follower: Host) -> None:
    assert (
        new_follower.block(new_follower.acmectl("forecast"))
        == """\
! error: this host is no master
! hint: its configuration has no `master:`
-> 2
"""
    )


def test_runs_closer_than_a_minute_are_refused(daily: Host) -> None:
    assert daily.acmectl("forecast", "--every", "1s").status == 2


def document(host: Host, *arguments: str, status: int = 0) -> Any:
    ran = host.acmectl(*arguments, "--json")
    assert (ran.status, ran.err) == (status, "")
    return json.loads(ran.out)


def test_a_forecast_as_json(daily: Host) -> None:
    told = document(daily, "forecast", "--ca", "classic-2028", "--days", "4", status=1)["forecast"]
    assert (told["holds"], told["longest_gap_seconds"], told["refresh"]) == (False, 18 * 3600, "early")
    assert told["new_orders_in_3h"] == {"most": 1, "limit": 300}
    assert told["names"][0]["names"] == ["a.acme.test", "b.acme.test", "c.acme.test"]
    assert told["warnings"][0]["holding_every_seconds"] == 3 * 3600


WARNING = """\
! warning: from 2028-02-16 on, runs every 1d leave names unauthorized for 18 hours of every day
! hint: `every: 3h` would hold, with cron to match
"""


def test_check_and_status_warn_of_what_a_published_date_brings(daily: Host) -> None:
    checked = daily.acmectl("check")
    assert checked.status == 0
    assert daily.block(checked).endswith(WARNING + "-> 0\n")
    assert WARNING in daily.block(daily.acmectl("status"))
    (warning,) = document(daily, "check")["warnings"]
    assert (warning["from"], warning["gap_seconds"]) == ("2028-02-16T00:00:00+00:00", 18 * 3600)
    assert document(daily, "status", status=1)["warnings"] == [warning]


def test_an_hourly_master_is_not_warned(tmp_path: Path) -> None:
    host = at_lets_encrypt(tmp_path, every="1h")
    assert (host.acmectl("check").status, host.acmectl("check").err) == (0, "")


def test_lapse_is_warned_of_today_and_from_each_date(tmp_path: Path) -> None:
    host = at_lets_encrypt(tmp_path, every="1d", refresh="lapse")
    said = [line for line in host.acmectl("check").err.splitlines() if line.startswith("warning:")]
    assert said == [
        "warning: runs every 1d with `refresh: lapse` leave names unauthorized for 21 hours of every 30 days",
        "warning: from 2027-02-10 on, runs every 1d with `refresh: lapse` leave names unauthorized for 21 hours of every 10 days",
        "warning: from 2028-02-16 on, runs every 1d with `refresh: lapse` leave names unauthorized for 18 hours of every day",
    ]


def test_names_that_are_too_many_for_their_orders_are_warned_of(tmp_path: Path) -> None:
    crowded = at_lets_encrypt(tmp_path, every="1h", new_orders="1")
    assert (
        "! warning: 3 names of an account, with runs every 1h, take more than 1 newOrder in three hours: some stay "
        "unauthorized for up to 1 hour\n"
        "! hint: raise `master.new_orders` (Let's Encrypt takes 300), or divide the names among `accounts:`\n"
    ) in crowded.block(crowded.acmectl("check"))
    first, *_ = document(crowded, "check")["warnings"]
    assert (first["gap_seconds"], first["of_seconds"], first["holding_every_seconds"]) == (3600, None, None)
