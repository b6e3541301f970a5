"""Others share the account: a second master, followers in a hurry, a customer whose zone is broken."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from acmectl.errors import Problem
from acmectl.policy.replacing import CANARIES
from tests.stories.world import DAY, HOUR, IN_2027, MINUTE, TODAY, Span, World

BAR = timedelta(minutes=1, seconds=10)
USABLE = 10 * DAY - 21 * HOUR  # of an authorization's life, L - C
REFILL = 7 * DAY / 50  # when one of the fifty certificates of a week comes back
NAMES = ("a.acme.test", "b.acme.test")


@pytest.mark.parametrize("phase", [timedelta(0), 30 * MINUTE])
def test_two_masters_of_one_account_do_not_fight_and_either_may_be_away(tmp_path: Path, phase: timedelta) -> None:
    with World(tmp_path, start=IN_2027) as world:
        one, two = world.master(*NAMES, name="one"), world.master(*NAMES, name="two")
        away = Span(world.now + 12 * DAY, world.now + 19 * DAY)
        world.play(
            world.every(HOUR, one.run, away=[away]),
            world.every(HOUR, two.run, phase=phase),
            until=world.now + 30 * DAY,
        )
        assert max(world.measure(name).longest for name in NAMES) <= BAR
        validations = one.costs.requests["challenge"] + two.costs.requests["challenge"]
        assert (
            validations <= 2 * 5
        )  # two names, five periods of nine days: nobody proves what the other has just proven


def test_followers_that_used_up_the_certificates_of_a_domain_cost_no_name(tmp_path: Path) -> None:
    with World(tmp_path, start=IN_2027) as world:
        master = world.master(*NAMES)
        master.run()
        due = world.now + 9 * DAY
        world.play(world.every(HOUR, master.run, phase=HOUR), until=due)
        world.use_up_certificates("acme.test")
        world.play(world.every(HOUR, master.run, phase=HOUR), until=due + DAY)
        deactivated = [a for a in world.authorizations() if a.deactivated_at]
        for old in deactivated:  # nothing was given up that could not be had again at once
            assert any(
                new.identifier == old.identifier and new.challenges[0].validated_at is not None and new.id != old.id
                for new in world.authorizations()
            )
        for name in NAMES:
            for gap in world.measure(name).gaps:
                assert gap.length <= BAR or gap.length <= REFILL + HOUR


def test_one_broken_zone_among_a_hundred_names_costs_the_others_nothing(tmp_path: Path) -> None:
    zones = [f"customer{number}.test" for number in range(20)]
    names = [f"{host}.{zone}" for zone in zones for host in ("www", "mail", "xmpp", "imap", "smtp")]
    with World(tmp_path, start=IN_2027) as world:
        master = world.master(*names)
        master.run()
        world.play(world.every(HOUR, master.run, phase=HOUR), until=world.now + 5 * DAY)
        broken = [name for name in names if name.endswith(zones[7])]
        for name in broken:
            world.sandbox.authority.state.injections.failing[name] = Problem("dns", "SERVFAIL looking up A", 400)
        world.play(world.every(HOUR, master.run, phase=HOUR), until=world.now + 7 * DAY)
        assert max(world.measure(name).longest for name in names if name not in broken) <= BAR
        for name in broken:  # left alone while it could still be of use, but for the canaries of its zone
            end = min(gap.start for gap in world.measure(name).gaps)
            assert end >= world.start + 9 * DAY
        early = [
            name for name in broken if min(g.start for g in world.measure(name).gaps) < world.start + USABLE - HOUR
        ]
        assert len(early) <= CANARIES


def test_five_followers_that_wait_for_one_name_get_it_though_they_share_its_failure_limit(tmp_path: Path) -> None:
    with World(tmp_path, start=TODAY) as world:
        late = "late.acme.test"
        failing = world.sandbox.authority.state.injections.failing
        failing[late] = Problem("connection", "Connection refused", 400)
        master = world.master(late, *NAMES)
        followers = [world.follower(f"f{n}", late, f"f{n}.acme.test") for n in range(5)]
        master.rewrite(
            lambda text: text.replace(NAMES[0], '", "'.join(["a.acme.test", *(f"f{n}.acme.test" for n in range(5))]))
        )
        mended_at = world.now + 8 * HOUR
        world.play(
            world.every(HOUR, master.run),
            *(world.every(HOUR, follower.follow, phase=(10 * n + 5) * MINUTE) for n, follower in enumerate(followers)),
            world.once(mended_at, failing.clear),
            until=mended_at + 40 * HOUR,
        )
        gaps = world.measure(late, since=mended_at).gaps
        assert sum((gap.length for gap in gaps), timedelta()) <= DAY + HOUR  # the pause after several failures is a day
        assert all(follower.has_certificate() for follower in followers)
