"""What people do to certificates, and what the runs after it make of that: rollbacks hold, revocations and lost keys do not come back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import pytest

from acmectl import app
from acmectl.ca.session import Session
from acmectl.errors import CAUnreachable, UsageError
from acmectl.follower import Follower, FollowerReport, Issued, Waiting, Wish
from acmectl.model.certificates import Installed
from acmectl.model.renewals import Reason
from acmectl.policy.renewal import NotDue
from tests.stories.world import DAY, HOUR, Host, World

NAME, OTHER = "mail.acme.test", "www.acme.test"
T = TypeVar("T")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path, is_trusting=True) as world:
        yield world


@pytest.fixture
def master(world: World) -> Host:
    master = world.master(NAME, OTHER)
    master.run()
    return master


@pytest.fixture
def follower(world: World, master: Host) -> Host:  # noqa: ARG001  # the names must be authorized first
    """A follower that got its certificate a moment ago."""
    host = world.follower("mail", NAME)
    host.follow()
    return host


def act(host: Host, work: Callable[[app.Host, Follower, Wish], T]) -> T:
    """What a command does: under the lock, with an engine of its own."""
    opened = host.app()
    try:
        with opened.state.locked():
            (wish,) = opened.wishes()
            return work(opened, opened.follower(), wish)
    finally:
        opened.state.close()


def renew(host: Host) -> FollowerReport:
    return act(host, lambda _, engine, wish: engine.run([wish], forced=True))


def roll_back(host: Host, *, expired: bool = False) -> int:
    (done,) = act(host, lambda _, engine, wish: engine.roll_back([wish], expired=expired))
    return done.installed.generation


def revoke(host: Host, reason: Reason, generation: int | None = None, *, by_own_key: bool = False) -> bool:
    def work(opened: app.Host, engine: Follower, wish: Wish) -> bool:
        target = engine.revocable(wish, generation)
        return engine.revoke(wish, target, reason, by_own_key=opened.session if by_own_key else None).was_already

    return act(host, work)


def result(report: FollowerReport) -> tuple[object, str | None]:
    return report.results[0].outcome, report.results[0].due


def installed(host: Host) -> Installed:
    found = act(host, lambda opened, _, wish: opened.state.certificates.current(wish.spec.label))
    assert found is not None
    return found


def test_a_certificate_that_was_put_back_into_use_is_renewed_a_week_later_and_not_before(
    world: World, master: Host, follower: Host
) -> None:
    world.clock.advance(65 * DAY)  # past its renewal
    master.run()
    renew(follower)
    assert roll_back(follower) == 1
    for _ in range(6):
        outcome, _ = result(follower.follow())
        assert isinstance(outcome, NotDue)
        assert outcome.held == "rolled back"
        world.clock.advance(DAY)
        master.run()
    world.clock.advance(DAY)
    master.run()
    outcome, due = result(follower.follow())
    assert isinstance(outcome, Issued), outcome
    assert outcome.installed.generation == 3
    assert due is not None
    assert "expires at" in due


def test_a_rollback_to_other_names_is_not_fought_until_the_configuration_changes_again(
    world: World, master: Host, follower: Host
) -> None:
    del master
    follower.rewrite(lambda text: text.replace(f'"{NAME}"', f'"{NAME}", "{OTHER}"'))
    assert isinstance(result(follower.follow())[0], Issued)
    roll_back(follower)
    world.clock.advance(HOUR)
    assert isinstance(result(follower.follow())[0], NotDue)
    assert {name.value for name in installed(follower).names} == {NAME}
    follower.rewrite(lambda text: text.replace(f'"{NAME}", "{OTHER}"', f'"{OTHER}"'))
    assert isinstance(result(follower.follow())[0], Issued)
    assert {name.value for name in installed(follower).names} == {OTHER}


def test_one_that_has_expired_is_put_back_only_when_a_person_insists(
    world: World, master: Host, follower: Host
) -> None:
    world.clock.advance(91 * DAY)
    master.run()
    renew(follower)
    with pytest.raises(UsageError, match=r"generation 1 of `mail` expired at"):
        roll_back(follower)
    assert roll_back(follower, expired=True) == 1
    assert isinstance(result(follower.follow())[0], NotDue)


def test_pruning_keeps_the_generation_in_use_and_the_one_before_it(world: World, master: Host, follower: Host) -> None:
    del world, master
    for _ in range(6):
        renew(follower)
    generations = act(follower, lambda opened, _, wish: opened.state.certificates.generations(wish.spec.label))
    assert generations == (3, 4, 5, 6, 7)
    assert roll_back(follower) == 6


@pytest.mark.parametrize("key", ["reuse_key: true", "prepare_key: true", "reuse_key: false"])
def test_a_compromised_key_is_never_used_again(world: World, master: Host, key: str) -> None:
    del master
    host = world.host("mail", f'certificates: {{mail: {{names: ["{NAME}"], {key}}}}}\n')
    host.follow()
    renew(host)
    before = installed(host)
    assert not revoke(host, Reason.KEY_COMPROMISE)
    outcome, due = result(host.follow())
    assert isinstance(outcome, Issued)
    assert due == "revoked (keyCompromise)"
    after = installed(host)
    assert after.spki != before.spki
    renew(host)
    assert installed(host).spki != before.spki


def test_another_generation_with_the_compromised_key_is_replaced_too(world: World, master: Host) -> None:
    del master
    host = world.host("mail", f'certificates: {{mail: {{names: ["{NAME}"], reuse_key: true}}}}\n')
    host.follow()
    renew(host)
    revoke(host, Reason.UNSPECIFIED, 1, by_own_key=True)  # CAs take that for a compromise
    assert result(host.follow())[1] == "its key was revoked as compromised"
    with pytest.raises(UsageError, match="there is no generation of `mail` to go back to"):
        roll_back(host)


def test_a_revocation_that_was_interrupted_is_done_again(follower: Host) -> None:
    def no_answer(*_: object) -> Session:
        raise CAUnreachable("the line is cut")

    def interrupted(opened: app.Host, engine: Follower, wish: Wish) -> None:
        del opened
        engine.revoke(wish, engine.revocable(wish), Reason.KEY_COMPROMISE, by_own_key=no_answer)

    with pytest.raises(CAUnreachable):
        act(follower, interrupted)
    assert isinstance(result(follower.follow())[0], NotDue), "nothing was revoked"
    assert not revoke(follower, Reason.SUPERSEDED)
    act(follower, lambda opened, *_: (opened.state.path / "certificates/mail/1/revoked.json").unlink())
    assert revoke(follower, Reason.SUPERSEDED), "the CA had it revoked already"
    assert result(follower.follow())[1] == "revoked (superseded)"


def test_failures_are_tried_again_after_1_10_and_100_minutes_then_daily_and_leave_others_alone(
    world: World, master: Host
) -> None:
    del master
    world.sandbox.authority.state.injections.rejected[NAME] = "not for you"
    host = world.host("two", f'certificates: {{bad: {{names: ["{NAME}"]}}, good: {{names: ["{OTHER}"]}}}}\n')
    first = host.follow()
    assert [type(r.outcome).__name__ for r in first.results] == ["Failed", "Issued"]
    minute, asked = timedelta(minutes=1), []
    for pause in (0.5, 0.6, 9, 1.2, 90, 11, 22 * 60, 61):
        world.clock.advance(pause * minute)
        report = host.follow()
        asked.append(report.requests.get("newOrder", 0))
    assert asked == [0, 1, 0, 1, 0, 1, 0, 1]
    assert (first.exit_status, report.exit_status) == (1, 4), "without any certificate for a day"


def test_a_paused_name_is_not_asked_for_again_until_a_person_did(world: World, follower: Host) -> None:
    world.sandbox.authority.state.injections.paused.add(NAME)
    report = renew(follower)
    (failed,) = report.results
    assert report.exit_status == 1
    assert "https://" in getattr(failed.outcome, "hint", "")
    (follower.path.parent / "state/certificates/mail/current").unlink()
    world.clock.advance(3 * DAY)
    assert "newOrder" not in follower.follow().requests
    world.sandbox.authority.state.injections.paused.clear()
    assert "newOrder" not in follower.follow().requests
    asked = act(follower, lambda _, engine, wish: engine.run([wish], at_once=True))
    assert isinstance(result(asked)[0], Issued | Waiting)


def test_a_follower_that_waits_for_a_renewal_sends_one_new_order_a_look(world: World, follower: Host) -> None:
    """While its order is open, every further one that says what it replaces is refused (409)."""
    world.clock.advance(65 * DAY)  # past its renewal, and nobody kept the name authorized
    assert isinstance(result(follower.follow())[0], Waiting)
    for _ in range(3):
        world.clock.advance(2 * HOUR)
        report = follower.follow()
        assert isinstance(result(report)[0], Waiting)
        assert report.requests["newOrder"] <= 2  # the second one after a release
