"""A follower takes the CA's advice when to renew: asked about twice a day, kept, followed, and never needed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from acmectl.follower import FollowerReport, Issued
from acmectl.model.renewals import RenewalInfo
from acmectl.policy.renewal import NotDue
from acmectl.sandbox.rules import Lifetimes
from acmectl.sandbox.state import Window
from tests.stories.world import DAY, HOUR, MINUTE, Host, World

NAME = "mail.acme.test"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path, is_trusting=True) as world:
        yield world


@pytest.fixture
def follower(world: World) -> Host:
    """A follower that got its certificate a moment ago."""
    world.master(NAME).run()
    host = world.follower("mail", NAME)
    assert isinstance(outcome(host.follow()), Issued)
    return host


def outcome(report: FollowerReport) -> object:
    return report.results[0].outcome


def remembered(host: Host) -> RenewalInfo:
    opened = host.app()
    try:
        found = opened.state.memory.renewal_info("mail")
    finally:
        opened.state.close()
    assert found is not None
    return found


def test_the_ca_is_asked_about_twice_a_day_however_often_cron_comes(world: World, follower: Host) -> None:
    assert follower.follow().requests == {}, "nothing is to be said of a new certificate"
    follower.costs.requests.clear()
    for _ in range(10 * 24):
        world.clock.advance(HOUR)
        assert isinstance(outcome(follower.follow()), NotDue)
    asked = follower.costs.requests
    assert set(asked) == {"directory", "renewalInfo"}
    assert 15 <= asked["renewalInfo"] <= 22


def test_every_run_finds_the_same_moment_in_the_window(world: World, follower: Host) -> None:
    world.clock.advance(DAY)
    first, second = outcome(follower.follow()), outcome(follower.follow())
    assert isinstance(first, NotDue)
    assert first == second
    found = remembered(follower)
    assert found.start_at is not None
    assert found.end_at is not None
    assert found.start_at <= first.at < found.end_at


def test_a_window_that_the_ca_moves_into_the_past_has_the_certificate_renewed_at_once(
    world: World, follower: Host
) -> None:
    page = "https://ca.test/incident"
    world.clock.advance(DAY)
    assert isinstance(outcome(follower.follow()), NotDue)
    window = Window(world.now - 2 * DAY, world.now - DAY, page)
    world.sandbox.authority.state.injections.windows[NAME] = window
    world.clock.advance(12 * HOUR)
    world.sample(NAME)  # still authorized
    report = follower.follow()
    (result,) = report.results
    assert isinstance(result.outcome, Issued), result
    assert result.due is not None
    assert f"the CA asks for renewal, see {page}" in result.due
    assert isinstance(outcome(follower.follow()), NotDue), "of the new certificate nothing was said"


def test_a_new_order_says_which_certificate_it_replaces(world: World, follower: Host) -> None:
    certificates = world.sandbox.authority.state.store.certificates
    (before,) = certificates.values()
    host = follower.app()
    try:
        with host.state.locked():
            host.follower().run(host.wishes(), forced=True)
    finally:
        host.state.close()
    assert len(certificates) == 2
    assert before.replaced_by is not None


def test_where_the_ca_knows_nothing_of_a_certificate_it_is_renewed_by_its_age(
    tmp_path: Path,
) -> None:
    with World(tmp_path, is_trusting=True) as world:
        world.master(NAME).run()
        host = world.follower("mail", NAME)
        host.follow()
        world.sandbox.authority.state.store.by_ari_id.clear()  # 404 for every certificate
        world.clock.advance(DAY)
        assert host.follow().requests == {"directory": 1, "renewalInfo": 1}
        assert remembered(host).error
        assert host.follow().requests == {}
        installed = host.follow().results[0].installed
        assert installed is not None
        assert outcome(host.follow()) == NotDue(installed.not_after - installed.lifetime / 3)


def test_a_ca_that_is_down_holds_up_nothing_and_is_asked_again_after_an_hour(tmp_path: Path) -> None:
    with World(tmp_path, is_trusting=True) as world:
        world.master(NAME).run()
        host = world.follower("mail", NAME)
        host.follow()
        world.clock.advance(DAY)
        world.sandbox.stop()
        assert isinstance(outcome(host.follow()), NotDue)
        assert remembered(host).error
        assert remembered(host).ask_again_at - remembered(host).asked_at < 2 * HOUR
        assert host.follow().requests == {}


def test_advice_survives_no_loss_of_the_database_and_none_is_needed(world: World, follower: Host) -> None:
    world.clock.advance(DAY)
    follower.follow()
    before = remembered(follower)
    (follower.path.parent / "state" / "state.db").unlink()
    follower.follow()
    after = remembered(follower)
    assert (after.start_at, after.end_at, after.certificate_id) == (
        before.start_at,
        before.end_at,
        before.certificate_id,
    )
    assert after.asked_at - before.asked_at < timedelta(minutes=1)


def test_a_window_that_is_always_in_the_past_brings_no_certificate_twice_a_day(world: World, follower: Host) -> None:
    """The first time the CA may be about to revoke; what it said again and again would use its limits up."""
    past = Window(world.now - 2 * DAY, world.now - DAY, None)
    world.sandbox.authority.state.injections.windows[NAME] = past
    master, issued = world.hosts[0], []
    for day in range(45):
        master.run()
        for _ in range(4):
            world.clock.advance(6 * HOUR)
            if isinstance(outcome(follower.follow()), Issued):
                issued.append(day)
    assert issued[0] == 0
    assert issued[1] >= 29
    assert len(issued) == 3, "and what came after the rest is replaced as fast, once"


def test_a_certificate_that_is_dated_back_beyond_its_half_is_not_replaced_at_every_run(tmp_path: Path) -> None:
    """80 minutes of which 60 are over when it comes, as an internal CA with a backdate of an hour may issue them."""
    with World(
        tmp_path, is_trusting=True, overrides={"classic": Lifetimes(certificate_lifetime=timedelta(minutes=80))}
    ) as world:
        world.master(NAME).run()
        host = world.follower("mail", NAME)
        issued = 0
        for _ in range(30):
            issued += isinstance(outcome(host.follow()), Issued)
            world.clock.advance(MINUTE)
        assert 2 <= issued <= 6, "one in ten minutes, and one more where the CA asks for it"
